/* Checks and whole-matrix operations on compressed sparse rows. */
#include "base/bitset.h"
#include "base/topk.h"
#include "sparse/mapped.h"

#include <math.h>
#include <string.h>

/* @return SKX_OK, SKX_EINDEX, SKX_EORDER or SKX_EFINITE. */
static int check_row(const skx_csr *a, int64_t i)
{
    int64_t last = -1;
    for (int64_t p = a->indptr[i]; p < a->indptr[i + 1]; p++) {
        int64_t j = a->indices[p];
        if (j < 0 || j >= a->n_cols) return SKX_EINDEX;
        if (j <= last) return SKX_EORDER;
        if (a->data && !isfinite(a->data[p])) return SKX_EFINITE;
        last = j;
    }
    return SKX_OK;
}

int skx_csr_check(const skx_csr *a, int64_t nnz, int64_t *row)
{
    *row = -1;
    if (a->indptr[0] != 0) return SKX_EPOINTER;
    for (int64_t i = 0; i < a->n_rows; i++) {
        int fault = SKX_EPOINTER;
        if (a->indptr[i + 1] >= a->indptr[i] && a->indptr[i + 1] <= nnz) fault = check_row(a, i);
        if (fault != SKX_OK) {
            *row = i;
            return fault;
        }
    }
    return SKX_OK;
}

int skx_csr_transpose(const skx_csr *a, int64_t *indptr, int32_t *indices, float *data)
{
    int64_t *cursor = malloc((size_t)(a->n_cols + 1) * sizeof *cursor), nnz = a->indptr[a->n_rows];
    if (!cursor) return SKX_ENOMEM;
    memset(indptr, 0, (size_t)(a->n_cols + 1) * sizeof *indptr);
    for (int64_t p = 0; p < nnz; p++) indptr[a->indices[p] + 1]++;
    for (int64_t j = 0; j < a->n_cols; j++) indptr[j + 1] += indptr[j];
    memcpy(cursor, indptr, (size_t)(a->n_cols + 1) * sizeof *cursor);
    for (int64_t i = 0; i < a->n_rows; i++) {
        for (int64_t p = a->indptr[i]; p < a->indptr[i + 1]; p++) {
            int64_t q = cursor[a->indices[p]]++;
            indices[q] = (int32_t)i;
            if (data) data[q] = a->data[p];
        }
    }
    free(cursor);
    return SKX_OK;
}

/* Add weight * row i to the dense sum, and its columns to the set. */
static void add_row(const skx_csr *x, int64_t i, float weight, float *sum, bitset *columns)
{
    for (int64_t p = x->indptr[i]; p < x->indptr[i + 1]; p++) {
        sum[x->indices[p]] += weight * x->data[p];
        bitset_add(columns, x->indices[p]);
    }
}

/* Move the sum at the n columns into data and leave it zero. @return SKX_OK, or SKX_EFINITE. */
static int take_sum(float *sum, const int32_t *columns, int64_t n, int normalize, float *data)
{
    double square = 0.0;
    for (int64_t p = 0; p < n; p++) {
        data[p] = sum[columns[p]];
        square += (double)data[p] * data[p];
        sum[columns[p]] = 0.0f;
    }
    if (!isfinite(square)) return SKX_EFINITE;
    if (!normalize || square <= 0.0) return SKX_OK;
    double inverse = 1.0 / sqrt(square);
    for (int64_t p = 0; p < n; p++) data[p] = (float)(data[p] * inverse);
    return SKX_OK;
}

enum { AHEAD = 8 }; /* members between a prefetch and its use */

/* The members of a group are scattered over the matrix. Without always_inline GCC drops prefetches from functions without a
 * result. */
static inline __attribute__((always_inline)) void prefetch_row(const skx_csr *x, int32_t row)
{
    int64_t begin = x->indptr[row];
    __builtin_prefetch(x->indices + begin);
    __builtin_prefetch(x->data + begin);
}

int skx_csr_group_sum(const skx_csr *x, const int64_t *group_ptr, const int32_t *member, const float *weight, int64_t begin,
                      int64_t end, int normalize, skx_csr_buffers *out)
{
    if (begin < 0 || begin > end) return SKX_EARG;
    float *sum = calloc((size_t)x->n_cols + 1, sizeof *sum);
    bitset columns = {0, NULL, NULL};
    int status = sum && bitset_init(&columns, x->n_cols) ? SKX_OK : SKX_ENOMEM;
    out->indptr[0] = 0;
    for (int64_t g = begin; g < end && status == SKX_OK; g++) {
        int64_t used = out->indptr[g - begin], bound = 0;
        for (int64_t e = group_ptr[g]; e < group_ptr[g + 1]; e++) bound += x->indptr[member[e] + 1] - x->indptr[member[e]];
        if ((bound < x->n_cols ? bound : x->n_cols) > out->capacity - used) {
            status = SKX_ECAPACITY;
            break;
        }
        for (int64_t e = group_ptr[g]; e < group_ptr[g + 1]; e++) {
            mapped_visit(x, e, MAPPED_SCATTERED);
            if (e + AHEAD < group_ptr[end]) prefetch_row(x, member[e + AHEAD]);
            add_row(x, member[e], weight[e], sum, &columns);
        }
        int64_t n = bitset_drain(&columns, out->indices + used);
        status = take_sum(sum, out->indices + used, n, normalize, out->data + used);
        out->indptr[g - begin + 1] = used + n;
    }
    bitset_free(&columns);
    free(sum);
    return status;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

int skx_csr_hash_rows(const skx_csr *a, const uint64_t *seed, uint64_t *hash)
{
    for (int64_t i = 0; i < a->n_rows; i++) {
        uint64_t h = seed ? seed[i] : 0;
        mapped_visit(a, i, MAPPED_IN_ORDER);
        for (int64_t p = a->indptr[i]; p < a->indptr[i + 1]; p++) {
            uint32_t bits;
            memcpy(&bits, &a->data[p], sizeof bits);
            h = mix(h, (uint64_t)bits << 32 | (uint32_t)a->indices[p]);
        }
        hash[i] = mix(h, (uint64_t)(a->indptr[i + 1] - a->indptr[i]));
    }
    return SKX_OK;
}

int skx_csr_compare_rows(const skx_csr *a, const int32_t *left, const int32_t *right, int64_t n, uint8_t *equal)
{
    for (int64_t e = 0; e < n; e++) {
        mapped_visit(a, e, MAPPED_SCATTERED);
        int64_t p = a->indptr[left[e]], q = a->indptr[right[e]], length = a->indptr[left[e] + 1] - p;
        equal[e] = length == a->indptr[right[e] + 1] - q &&
                   memcmp(a->indices + p, a->indices + q, (size_t)length * sizeof *a->indices) == 0 &&
                   memcmp(a->data + p, a->data + q, (size_t)length * sizeof *a->data) == 0;
    }
    return SKX_OK;
}

int skx_csr_top_k(const skx_csr *a, int64_t k, int32_t *labels, float *scores)
{
    if (k < 1) return SKX_EARG;
    int64_t keep = k < a->n_cols ? k : a->n_cols;
    uint64_t *keys = malloc((size_t)(2 * keep + 1) * sizeof *keys);
    if (!keys) return SKX_ENOMEM;
    for (int64_t i = 0; i < a->n_rows; i++) {
        selector best = selector_make(keys, keep);
        for (int64_t p = a->indptr[i]; p < a->indptr[i + 1]; p++) selector_push(&best, key_make(a->data[p], a->indices[p]));
        skx_selector_finish(&best);
        skx_selector_write(&best, k, labels + i * k, scores + i * k);
    }
    free(keys);
    return SKX_OK;
}

static int64_t position_of(const skx_csr *a, int64_t row, int64_t first)
{
    int64_t low = a->indptr[row], high = a->indptr[row + 1];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (a->indices[middle] < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int skx_csr_split(const skx_csr *a, int64_t first, int64_t *at, double *norm)
{
    for (int64_t i = 0; i < a->n_rows; i++) {
        double square = 0.0;
        at[i] = position_of(a, i, first);
        if (!norm) continue;
        for (int64_t p = at[i]; p < a->indptr[i + 1]; p++) square += (double)a->data[p] * (double)a->data[p];
        norm[i] = sqrt(square);
    }
    return SKX_OK;
}
