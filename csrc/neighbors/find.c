/* The training rows most similar to a query, among those with one of its highest ranked labels. */
#include "base/arena.h"
#include "base/span.h"
#include "base/topk.h"
#include "neighbors/candidates.h"
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
    skx_candidates candidates;
    lookup query;
    int64_t longest; /* nonzeros of a query */
    uint64_t *keys;
    uint64_t *joined; /* used with a memo only */
    int32_t *unknown;
} finder;

/* @return the bits of a feature that a word stores. */
static inline uint32_t folded(int32_t feature) { return (uint32_t)feature & 0xffffffu; }

static inline uint32_t spread(uint32_t key, int shift) { return (key * 0x9e3779b1u) >> shift; }

static void finder_allocate(finder *f, int64_t n_keys, int64_t n_listed, skx_arena *arena)
{
    int64_t size = skx_power_above(4 * f->longest);
    f->query.key = skx_arena_take(arena, size, sizeof *f->query.key);
    f->query.value = skx_arena_take(arena, size, sizeof *f->query.value);
    skx_candidates_allocate(&f->candidates, arena);
    f->keys = skx_arena_take(arena, 2 * n_keys, sizeof *f->keys);
    f->joined = skx_arena_take(arena, n_keys, sizeof *f->joined);
    f->unknown = skx_arena_take(arena, n_listed, sizeof *f->unknown);
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
    int64_t size = skx_power_above(4 * n);
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

/* ---- with the results of earlier searches ---- */

/* The part of a memo that belongs to a query. */
typedef struct {
    int64_t max_labels, max_keys;
    int64_t n_labels;
    int32_t *label;
    uint64_t *key;
} known_rows;

static known_rows known_of(const skx_neighbor_memo *memo, int64_t query)
{
    known_rows known = {memo->n_labels, memo->n_keys, 0, memo->label + query * memo->n_labels, memo->key + query * memo->n_keys};
    while (known.n_labels < known.max_labels && known.label[known.n_labels] >= 0) known.n_labels++;
    return known;
}

static bool contains(const int32_t *labels, int64_t n, int32_t label)
{
    bool found = false;
    for (int64_t i = 0; i < n; i++) found |= labels[i] == label;
    return found;
}

/* @return whether the list of known rows is complete: it has all known rows that are similar at all. */
static bool is_complete(const known_rows *known) { return known->key[known->max_keys - 1] == 0; }

/* Join the keys of two lists in descending order. A key in both is the same row. */
static void join_keys(finder *f, known_rows *known, const selector *found)
{
    int64_t a = 0, b = 0, n = 0;
    while (n < known->max_keys) {
        uint64_t left = a < known->max_keys ? known->key[a] : 0, right = b < found->n ? found->keys[b] : 0;
        if (left == 0 && right == 0) break;
        f->joined[n++] = left > right ? left : right;
        a += left >= right;
        b += right >= left;
    }
    memcpy(known->key, f->joined, (size_t)n * sizeof *known->key);
}

/* Compare the rows of labels that are not known with the query. All rows are forgotten if there are too many labels, or if the
 * list is to be made anew. */
static void learn_labels(finder *f, known_rows *known, const int32_t *labels, int64_t n_listed, bool anew)
{
    int64_t n = 0;
    for (int64_t i = 0; i < n_listed; i++)
        if (labels[i] >= 0 && !contains(known->label, known->n_labels, labels[i])) f->unknown[n++] = labels[i];
    if (anew || known->n_labels + n > known->max_labels) {
        memset(known->label, 0xff, (size_t)known->max_labels * sizeof *known->label);
        memset(known->key, 0, (size_t)known->max_keys * sizeof *known->key);
        known->n_labels = n = 0;
        for (int64_t i = 0; i < n_listed; i++)
            if (labels[i] >= 0) f->unknown[n++] = labels[i];
    }
    if (n == 0) return;
    selector best = selector_make(f->keys, known->max_keys);
    compare_candidates(f, skx_candidates_collect(&f->candidates, f->unknown, n), &best);
    join_keys(f, known, &best);
    memcpy(known->label + known->n_labels, f->unknown, (size_t)n * sizeof *known->label);
    known->n_labels += n;
}

static bool has_label(const skx_neighbor_rows *rows, int32_t row, const int32_t *labels, int64_t n_listed)
{
    span s = span_of(rows->label_ptr, row, rows->n_entries);
    for (int64_t p = s.begin; p < s.end; p++)
        if (contains(labels, n_listed, rows->label[p])) return true;
    return false;
}

/* Select the first known rows with one of the labels. */
static void select_known(const finder *f, const known_rows *known, const int32_t *labels, int64_t n_listed, selector *best)
{
    best->n = 0;
    for (int64_t i = 0; i < known->max_keys && known->key[i] && best->n < best->k; i++)
        if (has_label(f->candidates.rows, key_id(known->key[i]), labels, n_listed)) best->keys[best->n++] = known->key[i];
}

/* Find the neighbors with the results of earlier searches. best has keys of its own. */
static void find_again(finder *f, known_rows *known, const int32_t *labels, int64_t n_listed, selector *best)
{
    learn_labels(f, known, labels, n_listed, false);
    select_known(f, known, labels, n_listed, best);
    if (best->n == best->k || is_complete(known)) return;
    learn_labels(f, known, labels, n_listed, true);
    select_known(f, known, labels, n_listed, best);
}

int skx_find_neighbors(const skx_neighbor_rows *rows, const skx_csr *queries, const skx_neighbor_params *params, int64_t begin,
                       int64_t end, int64_t n_listed, const int32_t *labels, skx_neighbor_memo *memo, int32_t *neighbor,
                       float *similarity)
{
    int64_t k = params->n_neighbors, longest = 0; /* nonzeros of a query */
    if (!skx_neighbor_params_valid(rows, params) || rows->n_words < 0 || rows->n_dims > 0) return SKX_EARG;
    if (begin < 0 || begin > end || end > queries->n_rows) return SKX_EARG;
    if (memo && (memo->n_labels < n_listed || memo->n_keys < k)) return SKX_EARG;
    for (int64_t i = begin; i < end; i++)
        if (queries->indptr[i + 1] - queries->indptr[i] > longest) longest = queries->indptr[i + 1] - queries->indptr[i];
    skx_arena arena = {0};
    finder f = {.candidates = skx_candidates_of(rows, params->n_candidates), .longest = longest};
    finder_allocate(&f, memo ? memo->n_keys : k, n_listed, &arena);
    uint64_t *keys = skx_arena_take(&arena, 2 * k, sizeof *keys);
    for (int64_t i = begin; i < end && !arena.failed; i++) {
        int64_t at = queries->indptr[i], out = (i - begin) * k;
        const int32_t *listed = labels + (i - begin) * n_listed;
        selector best = selector_make(keys, k);
        if (load_query(&f.query, queries->indices + at, queries->data + at, queries->indptr[i + 1] - at)) {
            if (memo && skx_candidates_are_all(&f.candidates, listed, n_listed)) {
                known_rows known = known_of(memo, i - begin);
                find_again(&f, &known, listed, n_listed, &best);
            } else {
                compare_candidates(&f, skx_candidates_collect(&f.candidates, listed, n_listed), &best);
            }
        }
        skx_neighbors_write(&best, k, neighbor + out, similarity + out);
    }
    skx_arena_free(&arena);
    return arena.failed ? SKX_ENOMEM : SKX_OK;
}
