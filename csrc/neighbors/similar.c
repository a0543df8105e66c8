/* The training rows whose embeddings are most similar to that of a query. */
#include "base/arena.h"
#include "base/topk.h"
#include "kernels/kernels.h"
#include "neighbors/candidates.h"
#include "skxmr.h"

#include <math.h>
#include <string.h>

enum { BATCH = 256 }; /* rows that are compared in one call of the kernel */

/* The embedding of a query: integers whose products with those of a row do not overflow in sum. */
typedef struct {
    int64_t n_dims;
    int64_t stride; /* n_dims, rounded up */
    float *values;
    int16_t *steps; /* the last ones are 0 */
    double scale;   /* 1 / the norm of the steps */
} query_embedding;

static void query_allocate(query_embedding *q, int64_t n_dims, skx_arena *arena)
{
    q->n_dims = n_dims;
    q->stride = skx_embedding_stride(n_dims);
    q->values = skx_arena_take(arena, n_dims, sizeof *q->values);
    q->steps = skx_arena_zeros(arena, q->stride, sizeof *q->steps);
}

/* The larger number. GCC 12 for arm64 fails with an internal error if these loops call fmax. */
static double larger(double a, double b) { return a < b ? b : a; }

/* Round to steps. @return false if all values are 0. */
static bool round_query(query_embedding *q)
{
    double largest = 0.0;
    int64_t square = 0;
    for (int64_t i = 0; i < q->n_dims; i++) largest = larger(largest, fabs((double)q->values[i]));
    if (!(largest > 0.0)) return false;
    int64_t most = INT32_MAX / (128 * q->n_dims);
    double factor = (double)(most < INT16_MAX ? most : INT16_MAX) / largest;
    for (int64_t i = 0; i < q->n_dims; i++) {
        q->steps[i] = (int16_t)lrint((double)q->values[i] * factor);
        square += (int64_t)q->steps[i] * q->steps[i];
    }
    q->scale = 1.0 / sqrt((double)square);
    return true;
}

/* Read the embedding of a row from its n nonzeros, which begin in column first.
 * @return SKX_OK; SKX_EINDEX, SKX_EORDER or SKX_EFINITE if they are not valid. */
static int read_query(query_embedding *q, const int32_t *indices, const float *data, int64_t n, int64_t first)
{
    int64_t last = -1;
    memset(q->values, 0, (size_t)q->n_dims * sizeof *q->values);
    for (int64_t i = 0; i < n; i++) {
        int64_t dim = (int64_t)indices[i] - first;
        if (dim < 0 || dim >= q->n_dims) return SKX_EINDEX;
        if (dim <= last) return SKX_EORDER;
        if (!isfinite(data[i])) return SKX_EFINITE;
        q->values[dim] = data[i];
        last = dim;
    }
    return SKX_OK;
}

/* Compare n candidates, or the first n rows if candidate is NULL, with the query. */
static void compare(const skx_kernels *kernels, const skx_neighbor_rows *rows, const query_embedding *q, const int32_t *candidate,
                    int64_t n, selector *best)
{
    int32_t product[BATCH], all[BATCH];
    for (int64_t begin = 0; begin < n; begin += BATCH) {
        int64_t m = n - begin < BATCH ? n - begin : BATCH;
        const int32_t *row = candidate ? candidate + begin : all;
        for (int64_t i = 0; i < m && !candidate; i++) all[i] = (int32_t)(begin + i);
        kernels->dot_bytes(q->steps, rows->vector, q->stride, row, m, product);
        for (int64_t i = 0; i < m; i++) {
            float s = (float)((double)product[i] * (double)rows->scale[row[i]] * q->scale);
            if (s > 0.0f) selector_push(best, key_make(s, row[i]));
        }
    }
    skx_selector_finish(best);
}

/* @return the number of the nonzeros of a valid row in columns below first. */
static int64_t count_before(const int32_t *indices, int64_t n, int64_t first)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (indices[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef struct {
    const skx_kernels *kernels;
    query_embedding query;
    skx_candidates candidates;
    bool all; /* compare all rows instead of candidates */
    int64_t k;
    uint64_t *keys;
} finder;

static finder finder_make(const skx_kernels *kernels, const skx_neighbor_rows *rows, const skx_neighbor_params *params, bool all,
                          skx_arena *arena)
{
    finder f = {.kernels = kernels, .all = all, .k = params->n_neighbors};
    f.candidates = skx_candidates_of(rows, params->n_candidates);
    query_allocate(&f.query, rows->n_dims, arena);
    f.keys = skx_arena_take(arena, 2 * f.k, sizeof *f.keys);
    if (!all) skx_candidates_allocate(&f.candidates, arena);
    return f;
}

/* Find the neighbors of a row, given its n nonzeros from the first dimension on. @return as read_query. */
static int find_one(finder *f, const int32_t *indices, const float *data, int64_t n, int64_t n_listed, const int32_t *labels,
                    int32_t *neighbor, float *similarity)
{
    const skx_neighbor_rows *rows = f->candidates.rows;
    selector best = selector_make(f->keys, f->k);
    int status = read_query(&f->query, indices, data, n, rows->first_dim);
    if (status == SKX_OK && round_query(&f->query)) {
        int64_t n_compared = f->all ? rows->n_rows : skx_candidates_collect(&f->candidates, labels, n_listed);
        compare(f->kernels, rows, &f->query, f->all ? NULL : f->candidates.found, n_compared, &best);
    }
    skx_neighbors_write(&best, f->k, neighbor, similarity);
    return status;
}

static bool arguments_valid(const skx_neighbor_rows *rows, const skx_neighbor_params *params)
{
    return skx_neighbor_params_valid(rows, params) && rows->n_dims >= 1 && rows->n_dims <= SKX_MAX_DIMS && rows->first_dim >= 0;
}

/* Round the nonzeros of a row, which begin in column first, to steps of a zeroed vector. @return the scale. */
static float pack_row(const int32_t *indices, const float *data, int64_t n, int64_t first, int8_t *vector)
{
    double largest = 0.0;
    int64_t square = 0;
    for (int64_t i = 0; i < n; i++) largest = larger(largest, fabs((double)data[i]));
    if (!(largest > 0.0)) return 0.0f;
    for (int64_t i = 0; i < n; i++) {
        long step = lrint((double)data[i] / largest * 127.0);
        vector[indices[i] - first] = (int8_t)step;
        square += step * step;
    }
    return (float)(1.0 / sqrt((double)square));
}

int skx_pack_embeddings(const skx_csr *x, const int32_t *rows, int64_t n, int64_t n_dims, int8_t *vector, float *scale)
{
    int64_t first = x->n_cols - n_dims, stride = skx_embedding_stride(n_dims);
    if (n_dims < 1 || n_dims > SKX_MAX_DIMS || first < 0) return SKX_EARG;
    memset(vector, 0, (size_t)(n * stride));
    for (int64_t r = 0; r < n; r++) {
        int64_t begin = x->indptr[rows[r]], length = x->indptr[rows[r] + 1] - begin;
        int64_t skipped = count_before(x->indices + begin, length, first), at = begin + skipped;
        scale[r] = pack_row(x->indices + at, x->data + at, length - skipped, first, vector + r * stride);
    }
    return SKX_OK;
}

int skx_find_similar(const skx_kernels *kernels, const skx_neighbor_rows *rows, const skx_csr *queries,
                     const skx_neighbor_params *params, int64_t begin, int64_t end, int64_t n_listed, const int32_t *labels,
                     int32_t *neighbor, float *similarity)
{
    if (!arguments_valid(rows, params)) return SKX_EARG;
    if (begin < 0 || begin > end || end > queries->n_rows) return SKX_EARG;
    int64_t k = params->n_neighbors;
    skx_arena arena = {0};
    finder f = finder_make(kernels, rows, params, labels == NULL, &arena);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    for (int64_t i = begin; i < end && status == SKX_OK; i++) {
        int64_t last = queries->indptr[i + 1], out = (i - begin) * k;
        int64_t at =
            queries->indptr[i] + count_before(queries->indices + queries->indptr[i], last - queries->indptr[i], rows->first_dim);
        const int32_t *listed = labels ? labels + (i - begin) * n_listed : NULL;
        status = find_one(&f, queries->indices + at, queries->data + at, last - at, n_listed, listed, neighbor + out,
                          similarity + out);
    }
    skx_arena_free(&arena);
    return status;
}

int skx_find_similar_to_row(const skx_kernels *kernels, const skx_neighbor_list *list, const skx_query_row *row, int64_t n_listed,
                            const int32_t *labels, int32_t *neighbor, float *similarity)
{
    bool all = list->n_candidates == 0;
    const skx_neighbor_params params = {list->n_neighbors, all ? 1 : list->n_candidates};
    if (!arguments_valid(list->rows, &params)) return SKX_EARG;
    skx_arena arena = {0};
    finder f = finder_make(kernels, list->rows, &params, all, &arena);
    int status = SKX_ENOMEM;
    if (!arena.failed)
        status = find_one(&f, row->indices + row->n_sparse, row->data + row->n_sparse, row->n - row->n_sparse, n_listed, labels,
                          neighbor, similarity);
    skx_arena_free(&arena);
    return status;
}
