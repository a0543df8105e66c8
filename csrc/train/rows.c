#include "train/rows.h"

#include "base/bitset.h"
#include "base/huge.h"

#include <stddef.h>
#include <string.h>

static int64_t padded(int64_t length) { return (length + SKX_PADDING - 1) / SKX_PADDING * SKX_PADDING; }

static int64_t lines_of(int64_t length)
{
    return ((int64_t)offsetof(skx_solver_row, entries) + padded(length) * (int64_t)sizeof(skx_entry) + SKX_LINE - 1) / SKX_LINE;
}

/* Lay the rows out and allocate them. */
static int allocate(const skx_csr *x, const int32_t *source, skx_solver_rows *out)
{
    int64_t lines = 0;
    out->at = malloc((size_t)(out->n_rows + 1) * sizeof *out->at);
    if (!out->at) return SKX_ENOMEM;
    for (int64_t i = 0; i < out->n_rows; i++) {
        out->at[i] = (uint32_t)lines;
        lines += lines_of(x->indptr[source[i] + 1] - x->indptr[source[i]]);
        if (lines > UINT32_MAX) return SKX_ENOMEM;
    }
    out->rows = skx_huge_alloc((size_t)lines * SKX_LINE);
    return out->rows ? SKX_OK : SKX_ENOMEM;
}

static void copy_rows(const skx_csr *x, const int32_t *source, skx_solver_rows *out, bitset *seen)
{
    for (int64_t i = 0; i < out->n_rows; i++) {
        skx_solver_row *row = skx_solver_rows_at(out, i);
        int64_t from = x->indptr[source[i]];
        row->length = (int32_t)(x->indptr[source[i] + 1] - from);
        row->padded = (int32_t)padded(row->length);
        for (int32_t p = 0; p < row->length; p++) {
            row->entries[p] = (skx_entry){x->indices[from + p], x->data[from + p]};
            bitset_add(seen, x->indices[from + p]);
        }
    }
}

/* Replace every column by its rank among those seen. */
static int renumber(skx_solver_rows *out, bitset *seen)
{
    uint32_t *ranks = bitset_ranks(seen);
    if (!ranks) return SKX_ENOMEM;
    out->n_features = bitset_size(seen, ranks);
    for (int64_t i = 0; i < out->n_rows; i++) {
        skx_solver_row *row = skx_solver_rows_at(out, i);
        for (int32_t p = 0; p < row->length; p++)
            row->entries[p].feature = bitset_rank(seen, ranks, row->entries[p].feature);
        for (int32_t p = row->length; p < row->padded; p++) row->entries[p] = (skx_entry){(int32_t)out->n_features, 0.0f};
    }
    free(ranks);
    out->features = malloc((size_t)(out->n_features + 1) * sizeof *out->features);
    if (!out->features) return SKX_ENOMEM;
    bitset_drain(seen, out->features);
    return SKX_OK;
}

int skx_solver_rows_gather(const skx_csr *x, const int32_t *source, int64_t n, skx_solver_rows *out)
{
    bitset seen = {0, NULL, NULL};
    memset(out, 0, sizeof *out);
    out->n_rows = n;
    int status = allocate(x, source, out);
    if (status == SKX_OK && !bitset_init(&seen, x->n_cols)) status = SKX_ENOMEM;
    if (status == SKX_OK) {
        copy_rows(x, source, out, &seen);
        status = renumber(out, &seen);
    }
    bitset_free(&seen);
    return status;
}

void skx_solver_rows_free(skx_solver_rows *rows)
{
    free(rows->rows);
    free(rows->at);
    free(rows->features);
}
