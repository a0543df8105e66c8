/* The training rows most similar to a query, among those with one of its highest ranked labels. */
#include "base/arena.h"
#include "base/span.h"
#include "base/topk.h"
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

typedef struct {
    const skx_neighbor_rows *rows;
    int64_t n_candidates;   /* rows taken from postings, with repetitions */
    int64_t max_candidates; /* distinct ones among them */
    lookup query;
    int64_t longest;     /* nonzeros of a query */
    int32_t *seen;       /* a hash set of rows; -1 where unused */
    int64_t seen_mask;   /* its size less one */
    int32_t *candidates; /* rows */
    uint64_t *keys;
} finder;

/* @return the bits of a feature that a word stores. */
static inline uint32_t folded(int32_t feature) { return (uint32_t)feature & 0xffffffu; }

static inline uint32_t spread(uint32_t key, int shift) { return (key * 0x9e3779b1u) >> shift; }

static int64_t power_above(int64_t n)
{
    int64_t size = 16;
    while (size < n) size *= 2;
    return size;
}

static void finder_allocate(finder *f, int64_t n_neighbors, skx_arena *arena)
{
    int64_t size = power_above(4 * f->longest);
    f->query.key = skx_arena_take(arena, size, sizeof *f->query.key);
    f->query.value = skx_arena_take(arena, size, sizeof *f->query.value);
    f->seen = skx_arena_take(arena, power_above(2 * f->max_candidates), sizeof *f->seen);
    f->candidates = skx_arena_take(arena, f->max_candidates, sizeof *f->candidates);
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

/* Fill the table with a query, scaled to unit norm. @return false if its norm is 0 or not finite. */
static bool load_query(lookup *q, const int32_t *indices, const float *data, int64_t n)
{
    double square = 0.0;
    int64_t size = power_above(4 * n);
    for (int64_t i = 0; i < n; i++) square += (double)data[i] * (double)data[i];
    if (!(square > 0.0) || !isfinite(square)) return false;
    q->mask = (uint32_t)size - 1;
    q->shift = 32 - __builtin_ctzll((uint64_t)size);
    memset(q->filter, 0, sizeof q->filter);
    memset(q->key, 0xff, (size_t)size * sizeof *q->key);
    for (int64_t i = 0; i < n; i++) insert(q, indices[i], (float)(data[i] / sqrt(square)));
    return true;
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

static void empty_seen(finder *f, int64_t n)
{
    int64_t size = power_above(2 * n);
    f->seen_mask = size - 1;
    memset(f->seen, 0xff, (size_t)size * sizeof *f->seen);
}

/* Add a row to the set. @return whether it is new. */
static bool add_seen(finder *f, int32_t row)
{
    int64_t at = (int64_t)((uint64_t)(uint32_t)row * UINT64_C(0x9e3779b97f4a7c15) >> 32) & f->seen_mask;
    for (; f->seen[at] >= 0; at = (at + 1) & f->seen_mask)
        if (f->seen[at] == row) return false;
    f->seen[at] = row;
    return true;
}

static span postings_of(const skx_neighbor_rows *rows, int32_t label)
{
    return label < 0 || label >= rows->n_labels ? (span){0, 0} : span_of(rows->posting_ptr, label, rows->n_entries);
}

/* Empty the set of rows for the postings of the labels. @return the number of labels with postings. */
static int64_t begin_collection(finder *f, const int32_t *labels, int64_t n_listed)
{
    int64_t n = 0, n_with_postings = 0;
    for (int64_t i = 0; i < n_listed; i++) {
        span s = postings_of(f->rows, labels[i]);
        n += n < f->max_candidates ? s.end - s.begin : 0;
        n_with_postings += s.end > s.begin;
    }
    empty_seen(f, n < f->max_candidates ? n : f->max_candidates);
    return n_with_postings;
}

/* Collect rows with one of the labels. @return their number. */
static int64_t collect(finder *f, const int32_t *labels, int64_t n_listed)
{
    const skx_neighbor_rows *rows = f->rows;
    int64_t left = f->n_candidates, n = 0, n_labels_left = begin_collection(f, labels, n_listed);
    for (int64_t i = 0; i < n_listed && left > 0; i++) {
        span s = postings_of(rows, labels[i]);
        int64_t n_postings = s.end - s.begin;
        if (n_postings == 0) continue;
        int64_t quota = (left - 1) / n_labels_left-- + 1, m = n_postings < quota ? n_postings : quota;
        left -= m;
        for (int64_t j = 0; j < m; j++) {
            int32_t row = rows->posting[s.begin + (m == n_postings ? j : (int64_t)((double)j / (double)m * (double)n_postings))];
            if (row >= 0 && row < rows->n_rows && add_seen(f, row)) f->candidates[n++] = row;
        }
    }
    return n;
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
    const skx_neighbor_rows *rows = f->rows;
    for (int64_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n) __builtin_prefetch(rows->word_ptr + f->candidates[i + 2 * AHEAD]);
        if (i + AHEAD < n) prefetch_row(rows, f->candidates[i + AHEAD]);
        span row = row_of(rows, f->candidates[i]);
        float s = similarity_to(&f->query, rows->word + row.begin, row.end - row.begin);
        if (s > 0.0f) selector_push(best, key_make(s, f->candidates[i]));
    }
    skx_selector_finish(best);
}

static bool neighbor_rows_valid(const skx_neighbor_rows *rows)
{
    return rows->n_rows >= 0 && rows->n_words >= 0 && rows->n_labels >= 0 && rows->n_entries >= 0;
}

int skx_find_neighbors(const skx_neighbor_rows *rows, const skx_csr *queries, const skx_neighbor_params *params, int64_t begin,
                       int64_t end, int64_t n_listed, const int32_t *labels, int32_t *neighbor, float *similarity)
{
    int64_t k = params->n_neighbors, longest = 0; /* nonzeros of a query */
    if (!neighbor_rows_valid(rows) || k < 1 || params->n_candidates < 1) return SKX_EARG;
    if (begin < 0 || begin > end || end > queries->n_rows) return SKX_EARG;
    for (int64_t i = begin; i < end; i++)
        if (queries->indptr[i + 1] - queries->indptr[i] > longest) longest = queries->indptr[i + 1] - queries->indptr[i];
    int64_t max_candidates = params->n_candidates < rows->n_rows ? params->n_candidates : rows->n_rows;
    skx_arena arena = {0};
    finder f = {.rows = rows, .n_candidates = params->n_candidates, .max_candidates = max_candidates, .longest = longest};
    finder_allocate(&f, k, &arena);
    for (int64_t i = begin; i < end && !arena.failed; i++) {
        int64_t at = queries->indptr[i], out = (i - begin) * k;
        selector best = selector_make(f.keys, k);
        if (load_query(&f.query, queries->indices + at, queries->data + at, queries->indptr[i + 1] - at))
            compare_candidates(&f, collect(&f, labels + (i - begin) * n_listed, n_listed), &best);
        for (int64_t j = 0; j < k; j++) {
            neighbor[out + j] = j < best.n ? key_id(best.keys[j]) : -1;
            similarity[out + j] = j < best.n ? key_score(best.keys[j]) : 0.0f;
        }
    }
    skx_arena_free(&arena);
    return arena.failed ? SKX_ENOMEM : SKX_OK;
}
