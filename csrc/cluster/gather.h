/* A copy of some rows of a matrix without their small entries, with renumbered columns. */
#ifndef SKX_GATHER_H
#define SKX_GATHER_H
#include "base/arena.h"
#include "kernels/kernels.h" /* skx_entry */

typedef struct {
    int64_t n_rows;
    int64_t n_features;
    int64_t *indptr;
    skx_entry *entries; /* feature: the column's rank among those that occur */
} skx_row_subset;

/* Row i of the result is row rows[i] of x without entries that hardly contribute to its norm: in label embeddings, at least half
 * of all entries, with a few hundredths of the norm. The arrays belong to the arena.
 * @return SKX_OK, or SKX_ENOMEM. */
int skx_row_subset_gather(const skx_csr *x, const int32_t *rows, int64_t n, skx_arena *arena, skx_row_subset *out);

#endif
