/* Matrices that are mapped from files. */
#ifndef SKX_MAPPED_H
#define SKX_MAPPED_H
#include "base/pages.h"
#include "skxmr.h"

/* Rows visited between two drops. Rows in their order share pages. Any other row can map a large page of each array, of 2 MB. */
enum { MAPPED_IN_ORDER = 128, MAPPED_SCATTERED = 32 };

/* Call at every visit of a row, with the number of the visit: drops the pages of a mapped matrix now and then. */
static inline void mapped_visit(const skx_csr *x, int64_t visit, int64_t interval)
{
    if (!x->mapped || visit % interval != 0) return;
    size_t nnz = (size_t)x->indptr[x->n_rows];
    skx_pages_drop(x->indices, nnz * sizeof *x->indices);
    skx_pages_drop(x->data, nnz * sizeof *x->data);
}

#endif
