/* The training rows most similar to a query, among those with one of its highest ranked labels. */
#include "base/arena.h"
#include "base/span.h"
#include "base/topk.h"
#include "neighbors/candidates.h"
#include "neighbors/index.h"
#include "skxmr.h"

#include <math.h>
#include <string.h>

enum {
    AHEAD = 8,     /* rows between the prefetch of a row and its use */
    FILTER = 1024, /* words of 64 bits */
    TILE = 256     /* nonzeros of a row that are filtered before any of them is looked up */
};

/* The nonzeros of a query, in a hash table by feature that is at most a quarter full. Few features of another row are among
 * them; the filter, which has a bit for each remainder of a feature, excludes most of the others without a branch. */
typedef struct {
    uint64_t filter[FILTER];
    int32_t *key; /* -1 where unused */
    float *value;
    uint32_t mask;
    int shift;
} lookup;

/* A feature of a query and its value, for lookups in the index. */
typedef struct {
    uint32_t hash;
    float value;
} query_feature;

typedef struct {
    const uint32_t *begin, *end;
} bucket;

typedef struct {
    skx_candidates candidates;
    lookup query; /* without an index */
    int64_t longest; /* nonzeros of a query */
    int64_t n_features;
    query_feature *features; /* with an index */
    bucket *buckets[2];      /* of the features, in the index of two labels */
    uint64_t *keys;
} finder;

/* @return the bits of a feature that a word stores. */
static inline uint32_t folded(int32_t feature) { return (uint32_t)feature & 0xffffffu; }

static inline uint32_t spread(uint32_t key, int shift) { return (key * 0x9e3779b1u) >> shift; }

static bool has_index(const skx_neighbor_rows *rows) { return rows->index_ptr != NULL; }

static void finder_allocate(finder *f, int64_t n_neighbors, int64_t n_listed, skx_arena *arena)
{
    int64_t size = skx_power_above(4 * f->longest);
    if (has_index(f->candidates.rows)) {
        f->features = skx_arena_take(arena, f->longest, sizeof *f->features);
        for (int i = 0; i < 2; i++) f->buckets[i] = skx_arena_take(arena, f->longest, sizeof *f->buckets[i]);
    } else {
        f->query.key = skx_arena_take(arena, size, sizeof *f->query.key);
        f->query.value = skx_arena_take(arena, size, sizeof *f->query.value);
    }
    skx_candidates_allocate(&f->candidates, n_listed, arena);
    f->keys = skx_arena_take(arena, 2 * n_neighbors, sizeof *f->keys);
}

static void insert(lookup *q, int32_t feature, float value)
{
    int32_t key = (int32_t)folded(feature);
    uint32_t at = spread((uint32_t)key, q->shift);
    while (q->key[at] >= 0 && q->key[at] != key) at = (at + 1) & q->mask;
    q->value[at] = q->key[at] == key ? q->value[at] + value : value;
    q->key[at] = key;
    q->filter[(uint32_t)key / 64 % FILTER] |= UINT64_C(1) << (uint32_t)key % 64;
}

/* @return the norm of a query. */
static double norm_of(const float *data, int64_t n)
{
    double square = 0.0;
    for (int64_t i = 0; i < n; i++) square += (double)data[i] * (double)data[i];
    return sqrt(square);
}

/* Fill the table with a query, divided by its norm. */
static void load_lookup(lookup *q, const int32_t *indices, const float *data, int64_t n, double norm)
{
    int64_t size = skx_power_above(4 * n);
    q->mask = (uint32_t)size - 1;
    q->shift = 32 - __builtin_ctzll((uint64_t)size);
    memset(q->filter, 0, sizeof q->filter);
    memset(q->key, 0xff, (size_t)size * sizeof *q->key);
    for (int64_t i = 0; i < n; i++) insert(q, indices[i], (float)(data[i] / norm));
}

/* Write the features of a query that the index may have, divided by its norm. */
static void load_features(finder *f, const int32_t *indices, const float *data, int64_t n, double norm)
{
    int bits = f->candidates.rows->feature_bits;
    f->n_features = 0;
    for (int64_t i = 0; i < n; i++)
        if ((int64_t)indices[i] < INT64_C(1) << bits && indices[i] >= 0)
            f->features[f->n_features++] =
                (query_feature){skx_feature_hash((uint32_t)indices[i], bits), (float)(data[i] / norm)};
}

/* @return the value of a feature in the query. */
static float value_of(const lookup *q, uint32_t feature)
{
    uint32_t at = spread(feature, q->shift);
    while (q->key[at] >= 0 && (uint32_t)q->key[at] != feature) at = (at + 1) & q->mask;
    return q->key[at] >= 0 ? q->value[at] : 0.0f;
}

/* @return the cosine of a row and the query. The words of a row are its scale and its nonzeros. */
static float similarity_to(const lookup *q, const uint32_t *words, int64_t n)
{
    uint32_t hit[TILE];
    float scale, sum = 0.0f;
    if (n < 1) return 0.0f;
    memcpy(&scale, words, sizeof scale);
    for (int64_t begin = 1; begin < n; begin += TILE) {
        int64_t end = n - begin < TILE ? n : begin + TILE, n_hits = 0;
        for (int64_t i = begin; i < end; i++) {
            hit[n_hits] = words[i];
            n_hits += (int64_t)(q->filter[(words[i] >> 14) % FILTER] >> (words[i] >> 8) % 64 & 1);
        }
        for (int64_t h = 0; h < n_hits; h++) sum += (float)((int32_t)(hit[h] & 0xff) - 128) * value_of(q, hit[h] >> 8);
    }
    return scale * sum;
}

static span row_of(const skx_neighbor_rows *rows, int32_t row) { return span_of(rows->word_ptr, row, rows->n_words); }

/* Without always_inline GCC drops prefetches from functions without a result. */
static inline __attribute__((always_inline)) void prefetch_row(const skx_neighbor_rows *rows, int32_t row)
{
    span s = row_of(rows, row);
    for (int64_t p = s.begin; p < s.end; p += 16) __builtin_prefetch(rows->word + p);
}

/* Compare the n candidates with the query. */
static void compare_candidates(finder *f, int64_t n, selector *best)
{
    const skx_neighbor_rows *rows = f->candidates.rows;
    const int32_t *candidate = f->candidates.found;
    for (int64_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n) __builtin_prefetch(rows->word_ptr + candidate[i + 2 * AHEAD]);
        if (i + AHEAD < n) prefetch_row(rows, candidate[i + AHEAD]);
        span row = row_of(rows, candidate[i]);
        float s = similarity_to(&f->query, rows->word + row.begin, row.end - row.begin);
        if (s > 0.0f) selector_push(best, key_make(s, candidate[i]));
    }
    skx_selector_finish(best);
}

/* Prefetch the offsets of the features in the index of a label. */
static inline __attribute__((always_inline)) void prefetch_offsets(const finder *f, const skx_label_rows *part)
{
    skx_label_index x = skx_label_index_of(f->candidates.rows, part->label, part->n_members);
    for (int64_t i = 0; i < f->n_features; i++) __builtin_prefetch(x.offset + (f->features[i].hash >> x.tag_bits));
}

/* Look up the buckets of the features in the index of a label, and prefetch them. */
static void find_buckets(const finder *f, const skx_label_rows *part, bucket *buckets)
{
    skx_label_index x = skx_label_index_of(f->candidates.rows, part->label, part->n_members);
    for (int64_t i = 0; i < f->n_features; i++) {
        const uint32_t *offset = x.offset + (f->features[i].hash >> x.tag_bits);
        buckets[i] = (bucket){x.entry + offset[0], x.entry + offset[1]};
        __builtin_prefetch(buckets[i].begin);
    }
    for (int64_t j = 0; j < part->n_members; j += 16) __builtin_prefetch(x.scale + j);
}

/* Add up the products of the members of a label and the query, in the order of the features. */
static void sum_products(const finder *f, int tag_bits, const bucket *buckets, float *sum)
{
    for (int64_t i = 0; i < f->n_features; i++) {
        uint32_t tag = f->features[i].hash & (uint32_t)((1 << tag_bits) - 1);
        float value = f->features[i].value;
        for (const uint32_t *e = buckets[i].begin; e < buckets[i].end; e++)
            if (*e >> SKX_TAG_BITS == tag) sum[*e >> 8 & 0xff] += (float)((int32_t)(*e & 0xff) - 128) * value;
    }
}

/* Push the members of a label that are new and may be among the best. Equal rows have equal keys, so that one that was left out
 * before is left out again. */
static void push_members(skx_candidates *c, const skx_label_rows *part, const skx_label_index *x, const float *sum, selector *best)
{
    for (int64_t j = 0; j < part->n_compared; j++) {
        int64_t member = skx_spread(j, part->n_compared, part->n_members);
        float scale, s;
        memcpy(&scale, x->scale + member, sizeof scale);
        s = scale * sum[member];
        if (!(s > 0.0f) || x->row[member] == SKX_NO_ROW) continue;
        uint64_t key = key_make(s, (int32_t)x->row[member]);
        if (key > best->threshold && skx_add_seen(c, (int32_t)x->row[member])) selector_push(best, key);
    }
}

/* Compare the members of the labels with the query, by the index. The data of the next labels is prefetched. */
static void compare_indexed(finder *f, const int32_t *labels, int64_t n_listed, selector *best)
{
    int64_t n_parts = skx_candidates_divide(&f->candidates, labels, n_listed);
    const skx_label_rows *parts = f->candidates.parts;
    for (int64_t p = 0; p < n_parts && p < 2; p++) prefetch_offsets(f, &parts[p]);
    if (n_parts > 0) find_buckets(f, &parts[0], f->buckets[0]);
    for (int64_t p = 0; p < n_parts; p++) {
        float sum[SKX_MAX_MEMBERS] = {0};
        skx_label_index x = skx_label_index_of(f->candidates.rows, parts[p].label, parts[p].n_members);
        if (p + 2 < n_parts) prefetch_offsets(f, &parts[p + 2]);
        if (p + 1 < n_parts) find_buckets(f, &parts[p + 1], f->buckets[(p + 1) % 2]);
        sum_products(f, x.tag_bits, f->buckets[p % 2], sum);
        push_members(&f->candidates, &parts[p], &x, sum, best);
    }
    skx_selector_finish(best);
}

/* Find the neighbors of a query. None are found if its norm is 0 or not finite. */
static void find_one(finder *f, const int32_t *indices, const float *data, int64_t n, int64_t n_listed, const int32_t *labels,
                     selector *best)
{
    double norm = norm_of(data, n);
    if (!(norm > 0.0) || !isfinite(norm)) return;
    if (has_index(f->candidates.rows)) {
        load_features(f, indices, data, n, norm);
        compare_indexed(f, labels, n_listed, best);
    } else {
        load_lookup(&f->query, indices, data, n, norm);
        compare_candidates(f, skx_candidates_collect(&f->candidates, labels, n_listed), best);
    }
}

int skx_find_neighbors(const skx_neighbor_rows *rows, const skx_csr *queries, const skx_neighbor_params *params, int64_t begin,
                       int64_t end, int64_t n_listed, const int32_t *labels, int32_t *neighbor, float *similarity)
{
    int64_t k = params->n_neighbors, longest = 0; /* nonzeros of a query */
    if (!skx_neighbor_params_valid(rows, params) || rows->n_words < 0 || rows->n_dims > 0) return SKX_EARG;
    if (begin < 0 || begin > end || end > queries->n_rows) return SKX_EARG;
    for (int64_t i = begin; i < end; i++)
        if (queries->indptr[i + 1] - queries->indptr[i] > longest) longest = queries->indptr[i + 1] - queries->indptr[i];
    skx_arena arena = {0};
    finder f = {.candidates = skx_candidates_of(rows, params->n_candidates, SKX_MAX_MEMBERS), .longest = longest};
    finder_allocate(&f, k, n_listed, &arena);
    for (int64_t i = begin; i < end && !arena.failed; i++) {
        int64_t at = queries->indptr[i], out = (i - begin) * k;
        selector best = selector_make(f.keys, k);
        find_one(&f, queries->indices + at, queries->data + at, queries->indptr[i + 1] - at, n_listed,
                 labels + (i - begin) * n_listed, &best);
        skx_neighbors_write(&best, k, neighbor + out, similarity + out);
    }
    skx_arena_free(&arena);
    return arena.failed ? SKX_ENOMEM : SKX_OK;
}
