/* The training rows most similar to a query, among those that carry labels that it ranks high. */
#include "kernels.h"
#include "topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    AHEAD = 8,     /* rows between a row's fetch and its use */
    FILTER = 1024, /* words of 64 bits */
    TILE = 256     /* nonzeros of a row looked at before any of them is looked up */
};

/* A query's nonzeros, found by feature in a hash table, a quarter full at the most. Few features of another row are among them:
 * the filter, which has a bit for each remainder of a feature, tells most of these few without a branch. */
typedef struct {
    uint64_t filter[FILTER];
    int32_t *key; /* -1 where unused */
    float *value;
    uint32_t mask;
    int shift;
} lookup;

typedef struct {
    const skx_voters *voters;
    int64_t n_candidates; /* rows looked at, with those that were met before */
    int64_t most;         /* different ones among them */
    lookup query;
    int64_t longest; /* nonzeros of a query */
    int32_t *seen;   /* a hash set of rows; -1 where unused */
    int64_t n_seen;  /* its size, a power of two */
    int32_t *rows;   /* the candidates */
    uint64_t *keys;
} finder;

/* Entries ptr[i] .. ptr[i + 1], none where they lead outside: a mapped file may hold any numbers. */
typedef struct {
    int64_t begin, end;
} span;

static inline span span_of(const int64_t *ptr, int64_t i, int64_t n)
{
    span s = {ptr[i], ptr[i + 1]};
    return s.begin < 0 || s.begin > s.end || s.end > n ? (span){0, 0} : s;
}

static inline uint32_t spread(int32_t key, int shift) { return ((uint32_t)key * 0x9e3779b1u) >> shift; }

static int64_t power_above(int64_t n)
{
    int64_t size = 16;
    while (size < n) size *= 2;
    return size;
}

static void finder_free(finder *f)
{
    free(f->query.key);
    free(f->query.value);
    free(f->seen);
    free(f->rows);
    free(f->keys);
}

static int finder_allocate(finder *f, int64_t n_neighbors)
{
    size_t size = (size_t)power_above(4 * f->longest), most = (size_t)f->most;
    f->query.key = malloc(size * sizeof *f->query.key);
    f->query.value = malloc(size * sizeof *f->query.value);
    f->n_seen = power_above(2 * f->most);
    f->seen = malloc((size_t)f->n_seen * sizeof *f->seen);
    f->rows = malloc((most + 1) * sizeof *f->rows);
    f->keys = malloc(2 * (size_t)n_neighbors * sizeof *f->keys);
    return f->query.key && f->query.value && f->seen && f->rows && f->keys;
}

static void insert(lookup *q, int32_t feature, float value)
{
    uint32_t at = spread(feature, q->shift);
    while (q->key[at] >= 0) at = (at + 1) & q->mask;
    q->key[at] = feature;
    q->value[at] = value;
    q->filter[(uint32_t)feature / 64 % FILTER] |= UINT64_C(1) << (uint32_t)feature % 64;
}

/* Fill the table with a query, scaled to unit norm. Returns 0 where it has none. */
static int load_query(lookup *q, const int32_t *indices, const float *data, int64_t n)
{
    double square = 0.0;
    int64_t size = power_above(4 * n);
    for (int64_t i = 0; i < n; i++) square += (double)data[i] * (double)data[i];
    if (!(square > 0.0) || !isfinite(square)) return 0;
    q->mask = (uint32_t)size - 1;
    q->shift = 32 - __builtin_ctzll((uint64_t)size);
    memset(q->filter, 0, sizeof q->filter);
    memset(q->key, 0xff, (size_t)size * sizeof *q->key);
    for (int64_t i = 0; i < n; i++) insert(q, indices[i], (float)(data[i] / sqrt(square)));
    return 1;
}

static float value_of(const lookup *q, int32_t feature)
{
    uint32_t at = spread(feature, q->shift);
    while (q->key[at] >= 0 && q->key[at] != feature) at = (at + 1) & q->mask;
    return q->key[at] >= 0 ? q->value[at] : 0.0f;
}

static float similarity_to(const lookup *q, const int32_t *indices, const float *data, int64_t n)
{
    uint16_t hit[TILE];
    float sum = 0.0f;
    for (int64_t lo = 0; lo < n; lo += TILE) {
        int64_t m = n - lo < TILE ? n - lo : TILE, n_hits = 0;
        for (int64_t i = 0; i < m; i++) {
            uint32_t feature = (uint32_t)indices[lo + i];
            hit[n_hits] = (uint16_t)i;
            n_hits += (int64_t)(q->filter[feature / 64 % FILTER] >> feature % 64 & 1);
        }
        for (int64_t h = 0; h < n_hits; h++) sum += data[lo + hit[h]] * value_of(q, indices[lo + hit[h]]);
    }
    return sum;
}

/* Whether a row is met for the first time. */
static int is_new(finder *f, int32_t row)
{
    int64_t mask = f->n_seen - 1, at = (int64_t)((uint64_t)(uint32_t)row * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
    for (; f->seen[at] >= 0; at = (at + 1) & mask)
        if (f->seen[at] == row) return 0;
    f->seen[at] = row;
    return 1;
}

/* The rows that carry one of the labels. Returns their number. */
static int64_t collect(finder *f, const int32_t *labels, int64_t n_listed)
{
    const skx_voters *v = f->voters;
    int64_t room = f->n_candidates, n = 0;
    memset(f->seen, 0xff, (size_t)f->n_seen * sizeof *f->seen);
    for (int64_t i = 0; i < n_listed && room > 0; i++) {
        if (labels[i] < 0 || labels[i] >= v->n_labels) continue;
        span s = span_of(v->carrier_ptr, labels[i], v->n_entries);
        if (s.end - s.begin > room) s.end = s.begin + room;
        room -= s.end - s.begin;
        for (int64_t p = s.begin; p < s.end; p++) {
            int32_t row = v->carrier[p];
            if (row >= 0 && row < v->x.n_rows && is_new(f, row)) f->rows[n++] = row;
        }
    }
    return n;
}

static void prefetch_row(const skx_csr *x, int64_t begin, int64_t end)
{
    for (int64_t p = begin; p < end; p += 16) {
        __builtin_prefetch(x->indices + p);
        __builtin_prefetch(x->data + p);
    }
}

static void find_for(finder *f, int64_t n, selector *best)
{
    const skx_csr *x = &f->voters->x;
    for (int64_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n) __builtin_prefetch(x->indptr + f->rows[i + 2 * AHEAD]);
        if (i + AHEAD < n) {
            span next = span_of(x->indptr, f->rows[i + AHEAD], f->voters->n_nonzeros);
            prefetch_row(x, next.begin, next.end);
        }
        span row = span_of(x->indptr, f->rows[i], f->voters->n_nonzeros);
        float s = similarity_to(&f->query, x->indices + row.begin, x->data + row.begin, row.end - row.begin);
        if (s > 0.0f) selector_push(best, key_make(s, f->rows[i]));
    }
    skx_selector_finish(best);
}

static int voters_valid(const skx_voters *v) { return v->x.n_rows >= 0 && v->n_labels >= 0 && v->n_entries >= 0; }

int skx_find_neighbors(const skx_voters *voters, const skx_csr *queries, const skx_neighbor_params *params, int64_t lo,
                       int64_t hi, int64_t n_listed, const int32_t *labels, int32_t *neighbor, float *similarity)
{
    int64_t k = params->n_neighbors, longest = 0;
    if (!voters_valid(voters) || k < 1 || params->n_candidates < 1 || lo < 0 || lo > hi || hi > queries->n_rows) return SKX_EARG;
    for (int64_t i = lo; i < hi; i++)
        if (queries->indptr[i + 1] - queries->indptr[i] > longest) longest = queries->indptr[i + 1] - queries->indptr[i];
    int64_t most = params->n_candidates < voters->x.n_rows ? params->n_candidates : voters->x.n_rows;
    finder f = {.voters = voters, .n_candidates = params->n_candidates, .most = most, .longest = longest};
    int status = finder_allocate(&f, k) ? SKX_OK : SKX_ENOMEM;
    for (int64_t i = lo; i < hi && status == SKX_OK; i++) {
        int64_t begin = queries->indptr[i], out = (i - lo) * k;
        selector best = selector_make(f.keys, k);
        if (load_query(&f.query, queries->indices + begin, queries->data + begin, queries->indptr[i + 1] - begin))
            find_for(&f, collect(&f, labels + (i - lo) * n_listed, n_listed), &best);
        for (int64_t j = 0; j < k; j++) {
            neighbor[out + j] = j < best.n ? key_id(best.keys[j]) : -1;
            similarity[out + j] = j < best.n ? key_score(best.keys[j]) : 0.0f;
        }
    }
    finder_free(&f);
    return status;
}
