#include "train/rows.h"

#include "base/bitset.h"
#include "base/huge.h" /* rows are visited in random order */
#include "sparse/dense.h"
#include "sparse/mapped.h"

#include <string.h>

static int64_t padded(int64_t length) { return (length + SKX_PADDING - 1) / SKX_PADDING * SKX_PADDING; }

static int64_t lines_of(int64_t length, int64_t n_dense)
{
    size_t bytes = skx_solver_row_end(padded(length)) + (n_dense ? sizeof(float *) : 0);
    return ((int64_t)bytes + SKX_LINE - 1) / SKX_LINE;
}

static int64_t lines_of_row(const skx_csr *x, int32_t row, int64_t n_dense)
{
    return lines_of(dense_begin(x, row, n_dense) - x->indptr[row], n_dense);
}

int64_t skx_solver_rows_bytes(const skx_csr *x, const int32_t *source, int64_t n, int64_t n_dense)
{
    int64_t lines = 0;
    for (int64_t i = 0; i < n; i++) lines += lines_of_row(x, source[i], n_dense);
    return lines * SKX_LINE;
}

/* Decide where each row begins and allocate them. @return SKX_OK, SKX_ENOMEM or SKX_ECAPACITY. */
static int allocate(const skx_csr *x, const int32_t *source, skx_scratch scratch, skx_arena *arena, skx_solver_rows *out)
{
    int64_t lines = 0;
    out->at = skx_arena_take(arena, out->n_rows, sizeof *out->at);
    if (!out->at) return SKX_ENOMEM;
    for (int64_t i = 0; i < out->n_rows; i++) {
        out->at[i] = (uint32_t)lines;
        lines += lines_of_row(x, source[i], out->n_dense);
        if (lines > UINT32_MAX) return SKX_ECAPACITY;
    }
    out->n_mapped = lines * SKX_LINE <= scratch.n_bytes ? (size_t)lines * SKX_LINE : 0;
    if (out->n_mapped)
        out->rows = scratch.at;
    else
        out->rows = skx_arena_own(arena, skx_huge_alloc((size_t)lines * SKX_LINE));
    return out->rows ? SKX_OK : SKX_ENOMEM;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Find the order in which rows are copied: of a mapped matrix in the order of the file, so that each of its pages is read once.
 * *order is NULL for the order of the rows, and otherwise belongs to the caller. @return SKX_OK, or SKX_ENOMEM. */
static int copy_order(const skx_csr *x, const int32_t *source, int64_t n, uint64_t **order)
{
    *order = NULL;
    if (!x->mapped) return SKX_OK;
    *order = malloc((size_t)(n + 1) * sizeof **order);
    if (!*order) return SKX_ENOMEM;
    for (int64_t i = 0; i < n; i++) (*order)[i] = (uint64_t)source[i] << 32 | (uint64_t)i;
    qsort(*order, (size_t)n, sizeof **order, compare);
    return SKX_OK;
}

static void copy_rows(const skx_csr *x, const int32_t *source, const uint64_t *order, skx_solver_rows *out, bitset *columns)
{
    for (int64_t visit = 0; visit < out->n_rows; visit++) {
        int64_t i = order ? (int64_t)(order[visit] & UINT32_MAX) : visit;
        skx_solver_row *row = skx_solver_rows_at(out, i);
        int64_t from = x->indptr[source[i]];
        mapped_visit(x, visit, MAPPED_SCATTERED);
        skx_solver_rows_visit(out, visit);
        row->length = (int32_t)(dense_begin(x, source[i], out->n_dense) - from);
        row->padded = (int32_t)padded(row->length);
        for (int32_t p = 0; p < row->length; p++) {
            row->entries[p] = (skx_entry){x->indices[from + p], x->data[from + p]};
            bitset_add(columns, x->indices[from + p]);
        }
    }
}

/* @return whether a row stores all of its dense features, so that these are a part of the data of x. */
static bool is_full(const skx_csr *x, int64_t row, int64_t n_dense)
{
    return x->indptr[row + 1] - dense_begin(x, row, n_dense) == n_dense;
}

/* Let each row point to its dense features. Those of rows that do not store all of them are copied. @return SKX_OK, or
 * SKX_ENOMEM. */
static int find_dense(const skx_csr *x, const int32_t *source, skx_arena *arena, skx_solver_rows *out)
{
    int64_t n_dense = out->n_dense, n_copies = 0;
    if (n_dense == 0) return SKX_OK;
    for (int64_t i = 0; i < out->n_rows; i++) n_copies += !is_full(x, source[i], n_dense);
    float *copy = skx_arena_take(arena, n_copies * n_dense, sizeof *copy);
    if (!copy) return SKX_ENOMEM;
    for (int64_t i = 0; i < out->n_rows; i++) {
        skx_solver_row *row = skx_solver_rows_at(out, i);
        const float *dense = x->data + x->indptr[source[i] + 1] - n_dense;
        if (!is_full(x, source[i], n_dense)) {
            dense_copy(x, source[i], n_dense, copy);
            dense = copy;
            copy += n_dense;
        }
        memcpy((uint8_t *)row + skx_solver_row_end(row->padded), &dense, sizeof dense);
    }
    return SKX_OK;
}

/* Replace every column by its rank among those that occur. @return SKX_OK, or SKX_ENOMEM. */
static int renumber(skx_solver_rows *out, const bitset *columns)
{
    uint32_t *ranks = bitset_ranks(columns);
    if (!ranks) return SKX_ENOMEM;
    out->n_features = bitset_size(columns, ranks);
    for (int64_t i = 0; i < out->n_rows; i++) {
        skx_solver_row *row = skx_solver_rows_at(out, i);
        skx_solver_rows_visit(out, i);
        for (int32_t p = 0; p < row->length; p++) row->entries[p].feature = bitset_rank(columns, ranks, row->entries[p].feature);
        for (int32_t p = row->length; p < row->padded; p++) row->entries[p] = (skx_entry){(int32_t)out->n_features, 0.0f};
    }
    free(ranks);
    return SKX_OK;
}

int skx_solver_rows_gather(const skx_csr *x, const int32_t *source, int64_t n, int64_t n_dense, skx_scratch scratch,
                           skx_arena *arena, skx_solver_rows *out)
{
    bitset columns = {0, NULL, NULL};
    out->n_rows = n;
    out->n_dense = n_dense;
    uint64_t *order = NULL;
    int status = allocate(x, source, scratch, arena, out);
    if (status == SKX_OK) status = copy_order(x, source, n, &order);
    if (status == SKX_OK && !bitset_init(&columns, x->n_cols)) status = SKX_ENOMEM;
    if (status == SKX_OK) {
        copy_rows(x, source, order, out, &columns);
        status = renumber(out, &columns);
    }
    free(order);
    if (status == SKX_OK) status = find_dense(x, source, arena, out);
    if (status == SKX_OK) {
        out->features = skx_arena_take(arena, out->n_features, sizeof *out->features);
        if (out->features)
            bitset_drain(&columns, out->features);
        else
            status = SKX_ENOMEM;
    }
    bitset_free(&columns);
    return status;
}
