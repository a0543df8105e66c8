/* The last columns of a matrix, if they are dense. */
#ifndef SKX_DENSE_H
#define SKX_DENSE_H
#include "skxmr.h"

#include <string.h>

/* @return the position of the first entry of a row in the last n_dense columns, or the end of the row if there is none. */
static inline int64_t dense_begin(const skx_csr *x, int64_t row, int64_t n_dense)
{
    int64_t begin = x->indptr[row], end = x->indptr[row + 1], first = x->n_cols - n_dense;
    if (n_dense == 0) return end;
    if (end - begin >= n_dense && x->indices[end - n_dense] == first) return end - n_dense; /* all of them are stored */
    while (end > begin && x->indices[end - 1] >= first) end--;
    return end;
}

/* Copy the last n_dense columns of a row to a vector. */
static inline void dense_copy(const skx_csr *x, int64_t row, int64_t n_dense, float *out)
{
    int64_t p = dense_begin(x, row, n_dense), end = x->indptr[row + 1];
    if (end - p == n_dense) {
        if (n_dense) memcpy(out, x->data + p, (size_t)n_dense * sizeof *out);
        return;
    }
    memset(out, 0, (size_t)n_dense * sizeof *out);
    for (; p < end; p++) out[x->indices[p] - (x->n_cols - n_dense)] = x->data[p];
}

#endif
