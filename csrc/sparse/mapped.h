/* Matrices that are mapped from files. */
#ifndef SKX_MAPPED_H
#define SKX_MAPPED_H
#include "base/cancel.h" /* SKX_POLL */
#include "base/pages.h"
#include "skxmr.h"

/* Call at every visit of a row, with the number of the visit: drops the pages of a mapped matrix now and then. */
static inline void mapped_visit(const skx_csr *x, int64_t visit)
{
    if (!x->mapped || visit % SKX_POLL != 0) return;
    size_t nnz = (size_t)x->indptr[x->n_rows];
    skx_pages_drop(x->indices, nnz * sizeof *x->indices);
    skx_pages_drop(x->data, nnz * sizeof *x->data);
}

#endif
