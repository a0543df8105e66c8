/* Parts of the search for related items that an update uses as well. */
#ifndef SKX_RELATED_H
#define SKX_RELATED_H
#include "base/arena.h"
#include "base/topk.h"
#include "skxmr.h"

/* The positions of the items that follow one item, and the number of rows of each. */
typedef struct {
    uint32_t *count;   /* of each position; zeros between two items */
    uint8_t *few;      /* the same, of items with at most FEW rows */
    double *sum;       /* SKX_WEIGHTED: sum of the weights of the rows */
    int32_t *position; /* positions with a count */
    uint32_t *both;    /* counts of these positions */
    int64_t n;
    enum { OF_LIST, IN_BYTES, IN_ALL } kind; /* where the counts are: those of listed positions, in few, or in count */
} follower_counts;

static inline uint32_t count_of(const follower_counts *f, int32_t position)
{
    return f->kind == IN_BYTES ? f->few[position] : f->count[position];
}

/* What one item is compared by. */
typedef struct {
    const skx_purchases *p;
    const skx_expectation *e;
    const skx_related_params *params;
    int32_t item;
    double *at_node; /* SKX_CORRECTED: expected counts at the nodes, */
    float *below;    /* and the same, rounded down */
    float *inverse;  /* SKX_COSINE: 1 / sqrt of the count of each position, rounded up */
    float *bound;    /* of each listed follower, or of each position */
} comparison;

/* @return the interpolated expected count of the item at a position. */
static inline double expected(const skx_expectation *e, const double *at_node, int32_t other)
{
    const double *node = at_node + e->share[other].cell - 2, *w = e->weight + 6 * (int64_t)other;
    return w[0] * node[0] + w[1] * node[1] + w[2] * node[2] + w[3] * node[3] + w[4] * node[4] + w[5] * node[5];
}

/* Some followers of an item. */
typedef struct {
    int64_t n;
    const int32_t *position; /* NULL: 0, 1, 2, ... */
    const uint32_t *both;    /* number of rows of each */
} followers;

int skx_check_related(const skx_expectation *expectation, const skx_related_params *params);

void skx_follower_counts_allocate(follower_counts *f, int64_t n_items, bool weighted, skx_arena *arena);

void skx_comparison_allocate(comparison *c, skx_arena *arena);

/* Set the counts of the listed positions to 0. */
void skx_clear_listed(follower_counts *f);

/* Compute the expected count of an item that has the share of each node. */
void skx_expect_at_nodes(comparison *c);

/* Push the followers with the highest scores, and set the bounds of all. Those with the highest bounds are scored, and then those
 * whose bounds are lower but reach the scores. highest and best have the same k. */
void skx_push_best(const comparison *c, const follower_counts *f, const followers *l, selector *highest, selector *best);

#endif
