/* A copy of some rows of a matrix without their small entries, with renumbered columns. */
#ifndef SKX_GATHER_H
#define SKX_GATHER_H
#include "base/arena.h"
#include "base/cancel.h" /* SKX_POLL */
#include "base/pages.h"
#include "kernels/kernels.h" /* skx_entry */

typedef struct {
    int64_t n_rows;
    int64_t n_features;
    int64_t *indptr;
    skx_entry *entries; /* feature: the column's rank among those that occur */
    size_t n_mapped;    /* their bytes, if they lie in mapped scratch memory; otherwise 0 */
} skx_row_subset;

/* Row i of the result is row rows[i] of x without entries that hardly contribute to its norm: in label embeddings, at least half
 * of all entries, with a few hundredths of the norm. The entries lie in the scratch memory if they fit. Other arrays belong to
 * the arena.
 * @return SKX_OK, or SKX_ENOMEM. */
int skx_row_subset_gather(const skx_csr *x, const int32_t *rows, int64_t n, skx_scratch scratch, skx_arena *arena,
                          skx_row_subset *out);

/* Call at every visit of a row, with the number of the visit: drops the pages of mapped entries now and then. */
static inline void skx_row_subset_visit(const skx_row_subset *z, int64_t visit)
{
    if (z->n_mapped && visit % SKX_POLL == 0) skx_pages_drop(z->entries, z->n_mapped);
}

#endif
