#include "cluster/gather.h"

#include "base/bitset.h"
#include "sparse/mapped.h"

#include <math.h>

static const double SMALL = 0.01;

/* @return the limit below which entries of the row [begin, end) are dropped: SMALL times the norm of the row, or half of what
 * all entries would be if they were equal, so that most of the row is always kept. */
static float drop_limit(const skx_csr *x, int64_t begin, int64_t end)
{
    double square = 0.0, n = (double)(end - begin);
    for (int64_t e = begin; e < end; e++) square += (double)x->data[e] * x->data[e];
    return (float)(sqrt(square) * (SMALL * SMALL * n < 0.25 ? SMALL : 0.5 / sqrt(n)));
}

static void copy_rows(const skx_csr *x, const int32_t *rows, skx_row_subset *out, bitset *columns)
{
    int64_t to = 0;
    for (int64_t i = 0; i < out->n_rows; i++) {
        int64_t begin = x->indptr[rows[i]], end = x->indptr[rows[i] + 1];
        float least = drop_limit(x, begin, end);
        mapped_visit(x, i, MAPPED_SCATTERED);
        skx_row_subset_visit(out, i);
        out->indptr[i] = to;
        for (int64_t p = begin; p < end; p++) {
            if (fabsf(x->data[p]) < least) continue;
            out->entries[to++] = (skx_entry){x->indices[p], x->data[p]};
            bitset_add(columns, x->indices[p]);
        }
    }
    out->indptr[out->n_rows] = to;
}

/* Replace every column by its rank among those that occur. @return SKX_OK, or SKX_ENOMEM. */
static int renumber(skx_row_subset *out, const bitset *columns)
{
    uint32_t *ranks = bitset_ranks(columns);
    if (!ranks) return SKX_ENOMEM;
    for (int64_t i = 0; i < out->n_rows; i++) {
        skx_row_subset_visit(out, i);
        for (int64_t p = out->indptr[i]; p < out->indptr[i + 1]; p++)
            out->entries[p].feature = bitset_rank(columns, ranks, out->entries[p].feature);
    }
    out->n_features = bitset_size(columns, ranks);
    free(ranks);
    return SKX_OK;
}

int skx_row_subset_gather(const skx_csr *x, const int32_t *rows, int64_t n, skx_scratch scratch, skx_arena *arena,
                          skx_row_subset *out)
{
    int64_t nnz = 0;
    bitset columns = {0, NULL, NULL};
    for (int64_t i = 0; i < n; i++) nnz += x->indptr[rows[i] + 1] - x->indptr[rows[i]];
    out->n_rows = n;
    out->indptr = skx_arena_take(arena, n + 1, sizeof *out->indptr);
    out->n_mapped = nnz * (int64_t)sizeof *out->entries <= scratch.n_bytes ? (size_t)nnz * sizeof *out->entries : 0;
    out->entries = out->n_mapped ? (skx_entry *)scratch.at : skx_arena_take(arena, nnz, sizeof *out->entries);
    int status = !arena->failed && bitset_init(&columns, x->n_cols) ? SKX_OK : SKX_ENOMEM;
    if (status == SKX_OK) {
        copy_rows(x, rows, out, &columns);
        status = renumber(out, &columns);
    }
    bitset_free(&columns);
    return status;
}
