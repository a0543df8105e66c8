/* The table of hot loops that every instruction set provides. Private to the library. */
#ifndef SKX_KERNELS_H
#define SKX_KERNELS_H
#include "skxmr.h"

enum { SKX_LANES = 16 }; /* children trained together: one cache line of float32 */

enum { SKX_POLL = 1024 }; /* rows visited between two looks at whether the caller has asked for an end */

static inline int skx_cancelled(const volatile int32_t *cancel) { return cancel && *cancel; }

/* A nonzero of a gathered row. Its two halves are always read together, so they lie together. */
typedef struct {
    int32_t feature; /* local number */
    float value;
} skx_entry;

/* A gathered row as a solver sees it: everything it reads before the nonzeros, in one cache line. */
typedef struct {
    int64_t begin; /* of its entries */
    int32_t length;
    float sq_norm;     /* the constant feature included */
    float cost;        /* C of the row */
    uint16_t positive; /* bit b: the row is a positive of lane b */
} skx_row;

/* A node's rows with up to 16 of its children, as the solvers see them. Lane b of row i is w[i * 16 + b]. */
typedef struct {
    int64_t n_rows;
    int64_t n_features;
    const skx_row *rows;
    const skx_entry *entries;
    uint16_t live; /* lanes in use */
    float bias;
    float tol;
    int max_iter;
    uint64_t seed;
    const volatile int32_t *cancel;
    float *w;       /* (n_features + 1, 16), zero on entry; the last row is the bias weight */
    float *alpha;   /* (n_rows, 16), zero on entry */
    int32_t *order; /* (n_rows), scratch */
} skx_block;

/* Where a query's nonzeros meet one chunk. */
typedef struct {
    skx_chunk chunk;
    float *scores; /* room for 256 lanes, so that no child number can lead outside */
} skx_target;

enum { SKX_TILE = 1024 }; /* (feature, chunk) pairs looked up per stage of the search */

struct skx_kernels {
    const char *name;
    /* The solvers return how many passes they made. */
    int (*solve_squared_hinge)(const skx_block *block);
    int (*solve_log_loss)(const skx_block *block);
    /* Adds to count[b] the number of lane b's weights with |w| >= threshold and w != 0. */
    void (*count_weights)(const float *w, int64_t n_features, float threshold, int64_t *count);
    /* Writes them: lane b's go to entries[cursor[b]], values[cursor[b]] and on; the cursors move. */
    void (*emit_weights)(const float *w, int64_t n_features, float threshold, int64_t *cursor, int32_t *entries,
                         float *values);
    /* Products of a row with a dense matrix (n_features, width), row-major, and with a dense vector. */
    void (*dot_matrix)(const skx_entry *entries, int64_t n, const float *b, int64_t width, float *out);
    float (*dot_vector)(const skx_entry *entries, int64_t n, const float *b);
    /* target.scores += query . chunk for every target. */
    void (*accumulate)(const skx_target *targets, int64_t n_targets, int64_t n_features, const int32_t *indices,
                       const float *data, int64_t n);
    /* scores[j] = f(scores[j]) joined with the parent's score, by post-processor. */
    void (*post_process)(float *scores, int64_t n, float parent, int post_processor, int power);
};

#endif
