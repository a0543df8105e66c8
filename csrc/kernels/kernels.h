/* The table of hot loops that every instruction set provides. Private to the library. */
#ifndef SKX_KERNELS_H
#define SKX_KERNELS_H
#include "skxmr.h"

#include <stddef.h>
#include <string.h>

enum { SKX_LANES = 16 }; /* children trained together: one cache line of float32 */

/* A nonzero of a gathered row. Both halves are always read together. */
typedef struct {
    int32_t feature; /* local number */
    float value;
} skx_entry;

/* A gathered row with everything that a solver needs, in one piece of memory: rows are visited in random order, and a few
 * neighboring cache lines are hardly slower than one. If there are dense features, a pointer to those of the row follows the
 * entries. */
typedef struct {
    float alpha[SKX_LANES]; /* dual variables */
    float sq_norm;          /* the constant feature included */
    float cost;             /* C of the row */
    int32_t length;
    int32_t padded;    /* length of entries: rounded up to SKX_PADDING by entries of value 0 */
    uint16_t positive; /* bit b: the row is a positive of lane b */
    uint16_t learners; /* bit b: lane b learns from the row */
    skx_entry entries[];
} skx_solver_row;

enum { SKX_LINE = 64, SKX_PADDING = 4 };

/* @return where the pointer to the dense features begins in a row with so many padded entries. */
static inline size_t skx_solver_row_end(int64_t padded)
{
    return offsetof(skx_solver_row, entries) + (size_t)padded * sizeof(skx_entry);
}

static inline const float *skx_solver_row_dense(const skx_solver_row *row)
{
    const float *dense;
    memcpy(&dense, (const uint8_t *)row + skx_solver_row_end(row->padded), sizeof dense);
    return dense;
}

/* The rows of a node with up to 16 of its children, as input of the solvers. Lane b of row i of w is w[i * 16 + b]. A row is
 * identified by its offset in rows, in lines. */
typedef struct {
    int64_t n_rows;
    int64_t n_features; /* without the dense ones */
    uint8_t *rows;      /* skx_solver_row, each from the beginning of a line; alpha is zero on entry */
    size_t n_mapped;    /* their bytes, if they are mapped from a file; otherwise 0 */
    const uint32_t *at; /* (n_rows), the rows */
    uint32_t *order;    /* (n_rows), scratch */
    uint16_t live;      /* lanes in use */
    float bias;
    float tol;
    int max_iter;
    uint64_t seed;
    const int32_t *cancel;
    float *w; /* (n_features + 1, 16), zero on entry; the last row is the bias weight, and the target of padding */
    int64_t n_dense;
    float *dense_w; /* (n_dense, 16), zero on entry */
} skx_solver_block;

static inline skx_solver_row *skx_solver_block_row(const skx_solver_block *b, uint32_t at)
{
    return (skx_solver_row *)(b->rows + (size_t)at * SKX_LINE);
}

/* A row and a chunk to score it with. */
typedef struct {
    skx_chunk chunk;
    const int32_t *indices; /* the row's n nonzeros */
    const float *data;
    int64_t n;
    float *scores; /* 256 lanes, so that no child number leads outside */
} skx_target;

/* The weights of the dense features of a chunk. */
typedef struct {
    int64_t n_dense;
    int64_t width;
    int64_t value_bytes;
    const uint8_t *panels;
} skx_dense_weights;

enum { SKX_TILE = 1024 }; /* (feature, chunk) pairs looked up per stage of the search */

struct skx_kernels {
    const char *name;
    /* The solvers. @return the number of passes. */
    int (*solve_squared_hinge)(const skx_solver_block *block);
    int (*solve_log_loss)(const skx_solver_block *block);
    /* Add to count[b] the number of weights of lane b with |w| >= threshold and w != 0. */
    void (*count_weights)(const float *w, int64_t n_features, float threshold, int64_t *count);
    /* Write them: those of lane b to entries and values from cursor[b] on. Advances the cursors. */
    void (*emit_weights)(const float *w, int64_t n_features, float threshold, int64_t *cursor, int32_t *entries, float *values);
    /* Products of a row with a dense matrix (n_features, width), row-major, and with a dense vector. */
    void (*dot_matrix)(const skx_entry *entries, int64_t n, const float *b, int64_t width, float *out);
    float (*dot_vector)(const skx_entry *entries, int64_t n, const float *b);
    /* Products of a query with the rows vectors[rows[i] * stride .. (rows[i] + 1) * stride), for i < n. stride is a multiple of
     * 64, and no sum of absolute products overflows. The same on every instruction set. */
    void (*dot_bytes)(const int16_t *query, const int8_t *vectors, int64_t stride, const int32_t *rows, int64_t n, int32_t *out);
    /* Add the products of row and chunk to the scores of every target. */
    void (*accumulate)(const skx_target *targets, int64_t n_targets, int64_t n_features);
    /* Add the products of n dense rows x[i] and a chunk to the scores of each, which have 256 lanes. */
    void (*accumulate_dense)(const skx_dense_weights *weights, const float *const *x, float *const *scores, int64_t n);
    /* Convert margins without bias to scores, given the score of the parent. */
    void (*post_process)(float *scores, const float *bias, int64_t n, float parent, int post_processor, int power);
    /* Write the positions of the scores that are at least `least`, in increasing order; n <= 256, and NaN counts as -infinity.
     * @return their number. */
    int64_t (*survivors)(const float *scores, int64_t n, float least, uint8_t *out);
};

#endif
