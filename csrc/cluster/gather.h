/* A few rows of a matrix, copied together without their faint entries, the columns that occur renumbered. */
#ifndef SKX_GATHER_H
#define SKX_GATHER_H
#include "kernels/kernels.h"

typedef struct {
    int64_t n_rows;
    int64_t n_features;
    int64_t *indptr;
    skx_entry *entries; /* feature: a position in features */
    int32_t *features;  /* the columns that occur, rising */
} skx_row_subset;

/* Row i of the result is row rows[i] of x without entries that hardly add to its norm: in label embeddings these are half of
 * all entries and more, and a few hundredths of the norm. SKX_OK or SKX_ENOMEM; free with skx_row_subset_free, also after a failure. */
int skx_row_subset_gather(const skx_csr *x, const int32_t *rows, int64_t n, skx_row_subset *out);
void skx_row_subset_free(skx_row_subset *local);

#endif
