/* The table of hot loops that every instruction set provides. Private to the library. */
#ifndef SKX_KERNELS_H
#define SKX_KERNELS_H
#include "skxmr.h"

#include <stddef.h>

enum { SKX_LANES = 16 }; /* children trained together: one cache line of float32 */

/* A nonzero of a gathered row. Its two halves are always read together, so they lie together. */
typedef struct {
    int32_t feature; /* local number */
    float value;
} skx_entry;

/* A gathered row as a solver sees it: everything that belongs to it in one piece of memory. Rows are visited in random
 * order, and a few neighboring cache lines cost hardly more than one. */
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

/* A node's rows with up to 16 of its children, as the solvers see them. Lane b of row i is w[i * 16 + b]. A row is named by
 * where it begins in rows, in lines. */
typedef struct {
    int64_t n_rows;
    int64_t n_features;
    uint8_t *rows;     /* skx_solver_row, each from the beginning of a line; alpha is zero on entry */
    const uint32_t *at; /* (n_rows), the rows */
    uint32_t *order;    /* (n_rows), scratch */
    uint16_t live;      /* lanes in use */
    float bias;
    float tol;
    int max_iter;
    uint64_t seed;
    const int32_t *cancel;
    float *w; /* (n_features + 1, 16), zero on entry; the last row is the bias weight, and what padding points to */
} skx_solver_block;

static inline skx_solver_row *skx_solver_block_row(const skx_solver_block *b, uint32_t at)
{
    return (skx_solver_row *)(b->rows + (size_t)at * SKX_LINE);
}

/* A row that meets one chunk. */
typedef struct {
    skx_chunk chunk;
    const int32_t *indices; /* the row's n nonzeros */
    const float *data;
    int64_t n;
    float *scores; /* room for 256 lanes, so that no child number can lead outside */
} skx_target;

enum { SKX_TILE = 1024 }; /* (feature, chunk) pairs looked up per stage of the search */

struct skx_kernels {
    const char *name;
    /* The solvers return how many passes they made. */
    int (*solve_squared_hinge)(const skx_solver_block *block);
    int (*solve_log_loss)(const skx_solver_block *block);
    /* Adds to count[b] the number of lane b's weights with |w| >= threshold and w != 0. */
    void (*count_weights)(const float *w, int64_t n_features, float threshold, int64_t *count);
    /* Writes them: lane b's go to entries[cursor[b]], values[cursor[b]] and on; the cursors move. */
    void (*emit_weights)(const float *w, int64_t n_features, float threshold, int64_t *cursor, int32_t *entries,
                         float *values);
    /* Products of a row with a dense matrix (n_features, width), row-major, and with a dense vector. */
    void (*dot_matrix)(const skx_entry *entries, int64_t n, const float *b, int64_t width, float *out);
    float (*dot_vector)(const skx_entry *entries, int64_t n, const float *b);
    /* target.scores += row . chunk for every target. */
    void (*accumulate)(const skx_target *targets, int64_t n_targets, int64_t n_features);
    /* scores[j] = f(scores[j] + bias[j]) joined with the parent's score, by post-processor. */
    void (*post_process)(float *scores, const float *bias, int64_t n, float parent, int post_processor, int power);
    /* The positions of the scores that are not below `least`, n <= 256, in rising order; NaN counts as -infinity. Returns their
     * number. */
    int64_t (*survivors)(const float *scores, int64_t n, float least, uint8_t *out);
};

#endif
