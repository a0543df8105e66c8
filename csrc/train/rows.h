/* The training examples of a tree node, gathered in the format of the solvers. */
#ifndef SKX_ROWS_H
#define SKX_ROWS_H
#include "base/arena.h"
#include "base/cancel.h" /* SKX_POLL */
#include "base/pages.h"
#include "kernels/kernels.h" /* skx_solver_row */

typedef struct {
    int64_t n_rows;
    int64_t n_features; /* without the dense ones */
    int64_t n_dense;
    uint8_t *rows;     /* skx_solver_row, one after the other */
    size_t n_mapped;   /* their bytes, if they lie in mapped scratch memory; otherwise 0 */
    uint32_t *at;      /* offset of each, in lines */
    int32_t *features; /* the columns that occur, in increasing order */
} skx_solver_rows;

/* @return the bytes of rows source[0 .. n) of x as solver rows. */
int64_t skx_solver_rows_bytes(const skx_csr *x, const int32_t *source, int64_t n, int64_t n_dense);

/* Copy rows source[0 .. n) of x, with renumbered features, to the scratch memory if they fit. The last n_dense columns become the
 * dense features, which may remain a part of x. Sets the entries of each row, their numbers and the dense features only. Other
 * arrays belong to the arena.
 * @return SKX_OK; SKX_ENOMEM; or SKX_ECAPACITY where the rows take 2^32 lines or more. */
int skx_solver_rows_gather(const skx_csr *x, const int32_t *source, int64_t n, int64_t n_dense, skx_scratch scratch,
                           skx_arena *arena, skx_solver_rows *out);

/* Call at every visit of a row, with the number of the visit: drops the pages of mapped rows now and then. */
static inline void skx_solver_rows_visit(const skx_solver_rows *r, int64_t visit)
{
    if (r->n_mapped && visit % SKX_POLL == 0) skx_pages_drop(r->rows, r->n_mapped);
}

static inline skx_solver_row *skx_solver_rows_at(const skx_solver_rows *r, int64_t i)
{
    return (skx_solver_row *)(r->rows + (size_t)r->at[i] * SKX_LINE);
}

#endif
