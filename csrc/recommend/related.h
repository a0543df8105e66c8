/* Parts of the search for related items that an update uses as well. */
#ifndef SKX_RELATED_H
#define SKX_RELATED_H
#include "base/arena.h"
#include "base/topk.h"
#include "skxmr.h"

#include <math.h>

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

static inline double x_log_x(double x) { return x > 0.0 ? x * log(x) : 0.0; }

/* @return the statistic G^2 of a table of counts. */
static inline double log_likelihood_ratio(double both, double with, double followers, double rows)
{
    double only_with = with - both, only_follower = followers - both, neither = rows - with - followers + both;
    double table = x_log_x(both) + x_log_x(only_with) + x_log_x(only_follower) + x_log_x(neither);
    double margins = x_log_x(with) + x_log_x(rows - with) + x_log_x(followers) + x_log_x(rows - followers);
    return 2.0 * (table - margins + x_log_x(rows));
}

/* @return the score of a pair by the numbers of rows with both items, the item, the other one, and all, without shrinkage. */
static inline double measure(int kind, double both, double with, double followers, double rows)
{
    switch (kind) {
    case SKX_DIFFERENCE: return both / with - followers / rows;
    case SKX_COSINE: return both / sqrt(with * followers);
    case SKX_JACCARD: return both / (with + followers - both);
    case SKX_LIFT: return both * rows / (with * followers);
    case SKX_LOG_LIKELIHOOD: return both * rows > with * followers ? log_likelihood_ratio(both, with, followers, rows) : 0.0;
    default: return both;
    }
}

/* @return what the score of a pair with this number of rows is multiplied by. */
static inline double damping(double both, double shrinkage) { return shrinkage > 0.0 ? both / (both + shrinkage) : 1.0; }

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
