/* Items related to an item: counts over the rows of its buyers, and measures of relatedness. */
#include "base/arena.h"
#include "base/cancel.h"
#include "base/topk.h"
#include "skxmr.h"

#include <math.h>
#include <string.h>

/* The positions of the items that follow one item. */
typedef struct {
    uint32_t *count;  /* of each position; zeros between two items */
    double *sum;      /* SKX_WEIGHTED: sum of the weights of the rows */
    int32_t *touched; /* positions with a count */
    int64_t n_touched;
} follower_counts;

enum { AHEAD = 6 }; /* rows between the prefetch of a row and its use */

static void count_followers(const skx_purchases *p, int32_t item, bool same, follower_counts *f)
{
    int64_t n = 0, end = p->row_ptr[item + 1];
    uint32_t *count = f->count;
    int32_t *touched = f->touched;
    for (int64_t b = p->row_ptr[item]; b < end; b++) {
        if (b + 2 * AHEAD < end) __builtin_prefetch(p->target_ptr + p->row[b + 2 * AHEAD]);
        if (b + AHEAD < end) __builtin_prefetch(p->target + p->target_ptr[p->row[b + AHEAD]]);
        const int32_t *last = p->target + p->target_ptr[p->row[b] + 1];
        for (const int32_t *t = p->target + p->target_ptr[p->row[b]]; t < last; t++) {
            touched[n] = *t;
            n += count[*t]++ == 0;
        }
    }
    f->n_touched = n;
    if (same && n) count[p->position_of[item]] = 0;
}

/* Add up the weights of the rows in addition to their count. */
static void sum_weights(const skx_purchases *p, int32_t item, follower_counts *f)
{
    for (int64_t b = p->row_ptr[item]; b < p->row_ptr[item + 1]; b++) {
        int32_t row = p->row[b];
        double weight = (double)p->row_weight[row];
        for (int64_t t = p->target_ptr[row]; t < p->target_ptr[row + 1]; t++) f->sum[p->target[t]] += weight;
    }
}

static void clear(follower_counts *f)
{
    for (int64_t i = 0; i < f->n_touched; i++) f->count[f->touched[i]] = 0;
    if (f->sum)
        for (int64_t i = 0; i < f->n_touched; i++) f->sum[f->touched[i]] = 0.0;
}

static double x_log_x(double x) { return x > 0.0 ? x * log(x) : 0.0; }

/* @return the statistic G^2 of a table of counts. */
static double log_likelihood_ratio(double both, double with, double followers, double rows)
{
    double only_with = with - both, only_follower = followers - both, neither = rows - with - followers + both;
    double table = x_log_x(both) + x_log_x(only_with) + x_log_x(only_follower) + x_log_x(neither);
    double margins = x_log_x(with) + x_log_x(rows - with) + x_log_x(followers) + x_log_x(rows - followers);
    return 2.0 * (table - margins + x_log_x(rows));
}

static double measure(const skx_purchases *p, int kind, double with, int32_t other, double both)
{
    double followers = (double)p->n_followers[other], rows = (double)p->n_rows;
    switch (kind) {
    case SKX_DIFFERENCE: return both / with - followers / rows;
    case SKX_COSINE: return both / sqrt(with * followers);
    case SKX_JACCARD: return both / (with + followers - both);
    case SKX_LIFT: return both * rows / (with * followers);
    case SKX_LOG_LIKELIHOOD: return both * rows > with * followers ? log_likelihood_ratio(both, with, followers, rows) : 0.0;
    default: return both;
    }
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
    float *bound;    /* of each touched position */
} comparison;

/* Compute the expected count of an item that has the share of each node. */
static void expect_at_nodes(comparison *c)
{
    const skx_purchases *p = c->p;
    int64_t n_nodes = c->e->n_nodes;
    memset(c->at_node, 0, (size_t)n_nodes * sizeof *c->at_node);
    for (int64_t b = p->row_ptr[c->item]; b < p->row_ptr[c->item + 1]; b++) {
        const double *row = c->e->table + c->e->row_size[p->row[b]] * n_nodes;
        for (int64_t g = 0; g < n_nodes; g++) c->at_node[g] += row[g];
    }
    for (int64_t g = 0; g < n_nodes; g++) c->below[g] = (float)c->at_node[g] * (1.0f - 1e-5f);
}

static double expected(const skx_expectation *e, const double *at_node, int32_t other)
{
    const double *node = at_node + e->share[other].cell - 2, *w = e->weight + 6 * (int64_t)other;
    return w[0] * node[0] + w[1] * node[1] + w[2] * node[2] + w[3] * node[3] + w[4] * node[4] + w[5] * node[5];
}

/* @return the score of a pair. */
static double score_of(const comparison *c, const follower_counts *f, int32_t other)
{
    const skx_purchases *p = c->p;
    double both = (double)f->count[other], shrinkage = c->params->shrinkage;
    if (f->count[other] < (uint64_t)c->params->n_least) return 0.0;
    if (c->params->relatedness == SKX_CORRECTED) {
        double mean = expected(c->e, c->at_node, other);
        return (both - mean) / sqrt(mean + shrinkage);
    }
    double damped = shrinkage > 0.0 ? both / (both + shrinkage) : 1.0;
    if (c->params->relatedness == SKX_WEIGHTED)
        return (double)p->factor[c->item] * (double)p->other_factor[other] * f->sum[other] * damped;
    return measure(p, c->params->relatedness, (double)p->n_with[c->item], other, both) * damped;
}

/* The expected count is a concave function of the share, so that the chord between two nodes is below it, and a score with the
 * chord is above the score. The bounds are those of the squares of scores. */
static void bound_corrected(const comparison *c, const follower_counts *f)
{
    float shrinkage = (float)c->params->shrinkage;
    for (int64_t i = 0; i < f->n_touched; i++) {
        skx_share share = c->e->share[f->touched[i]];
        const float *node = c->below + share.cell;
        float chord = node[0] + (node[1] - node[0]) * share.fraction;
        float difference = (float)f->count[f->touched[i]] - chord;
        difference = difference > 0.0f ? difference : 0.0f;
        c->bound[i] = difference * difference / (chord + shrinkage) * (1.0f + 1e-5f);
    }
}

static void bound_cosines(const comparison *c, const follower_counts *f)
{
    float own = (float)(1.0 / sqrt((double)c->p->n_with[c->item])) * (1.0f + 1e-5f);
    for (int64_t i = 0; i < f->n_touched; i++) c->bound[i] = (float)f->count[f->touched[i]] * c->inverse[f->touched[i]] * own;
}

/* Upper bounds of the scores of all pairs. */
static void bound_scores(const comparison *c, const follower_counts *f)
{
    if (c->params->relatedness == SKX_CORRECTED) {
        bound_corrected(c, f);
    } else if (c->params->relatedness == SKX_COSINE) {
        bound_cosines(c, f);
    } else {
        for (int64_t i = 0; i < f->n_touched; i++) {
            double score = score_of(c, f, f->touched[i]);
            c->bound[i] = score > 0.0 ? (float)score * (1.0f + 1e-5f) : 0.0f;
        }
    }
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

enum { BUCKET_SHIFT = 20, N_BUCKETS = 1 << (31 - BUCKET_SHIFT), SAMPLED = 512 };

/* @return a number that, judged by a sample of the bounds, somewhat more than k of them reach; or 0. */
static float edge_of(const float *bound, int64_t n, int64_t k)
{
    uint16_t size[N_BUCKETS] = {0};
    int64_t step = n / SAMPLED + 1, bucket = N_BUCKETS, reached = 0;
    if (n <= 4 * k) return 0.0f;
    for (int64_t i = 0; i < n; i += step) size[bits_of(bound[i]) >> BUCKET_SHIFT]++;
    while (bucket > 0 && reached * step < 2 * k + 2 * step) reached += size[--bucket];
    uint32_t bits = (uint32_t)bucket << BUCKET_SHIFT;
    float edge;
    memcpy(&edge, &bits, sizeof edge);
    return edge;
}

/* Push the pairs whose bound lies in [least, above). */
static void push_between(const comparison *c, const follower_counts *f, float least, float above, selector *best)
{
    for (int64_t i = 0; i < f->n_touched; i++) {
        if (!(c->bound[i] >= least) || c->bound[i] >= above) continue;
        double score = score_of(c, f, f->touched[i]);
        if (score > 0.0) selector_push(best, key_make((float)score, c->p->item_of[f->touched[i]]));
    }
}

/* Find the pairs with the highest scores. Only scores whose bounds are high are computed; then those that may be among the best
 * in spite of lower bounds, which are all if the edge was too high. */
static void select_best(const comparison *c, const follower_counts *f, selector *best)
{
    bound_scores(c, f);
    float edge = edge_of(c->bound, f->n_touched, best->k), least = 0.0f;
    push_between(c, f, edge, INFINITY, best);
    if (edge <= 0.0f) return;
    if (best->n > best->k) skx_selector_shrink(best);
    if (best->n == best->k) {
        uint64_t lowest = best->keys[0];
        for (int64_t i = 1; i < best->n; i++)
            if (best->keys[i] < lowest) lowest = best->keys[i];
        least = key_score(lowest);
        if (c->params->relatedness == SKX_CORRECTED) least *= least;
    }
    if (least < edge) push_between(c, f, least, edge, best);
}

static bool append(const selector *best, int64_t *n, skx_csr_buffers *out)
{
    if (*n + best->n > out->capacity) return false;
    for (int64_t j = 0; j < best->n; j++, ++*n) {
        out->indices[*n] = key_id(best->keys[j]);
        out->data[*n] = key_score(best->keys[j]);
    }
    return true;
}

static void follower_counts_allocate(follower_counts *f, int64_t n_items, bool weighted, skx_arena *arena)
{
    f->count = skx_arena_zeros(arena, n_items, sizeof *f->count);
    f->touched = skx_arena_take(arena, n_items + 1, sizeof *f->touched);
    f->sum = weighted ? skx_arena_zeros(arena, n_items, sizeof *f->sum) : NULL;
}

static void comparison_allocate(comparison *c, skx_arena *arena)
{
    int kind = c->params->relatedness;
    int64_t n_items = c->p->n_items, n_nodes = kind == SKX_CORRECTED ? c->e->n_nodes : 0;
    c->at_node = skx_arena_take(arena, n_nodes, sizeof *c->at_node);
    c->below = skx_arena_take(arena, n_nodes, sizeof *c->below);
    c->bound = skx_arena_take(arena, n_items, sizeof *c->bound);
    c->inverse = skx_arena_take(arena, kind == SKX_COSINE ? n_items : 0, sizeof *c->inverse);
    for (int64_t i = 0; kind == SKX_COSINE && !arena->failed && i < n_items; i++)
        c->inverse[i] = (float)(1.0 / sqrt((double)c->p->n_followers[i])) * (1.0f + 1e-6f);
}

int skx_related(const skx_purchases *purchases, const skx_expectation *expectation, const skx_related_params *params,
                const int32_t *items, int64_t n, skx_csr_buffers *out)
{
    int kind = params->relatedness;
    if (params->n_related < 1 || params->n_least < 1 || kind < SKX_CORRECTED || kind > SKX_WEIGHTED) return SKX_EARG;
    if (kind == SKX_CORRECTED && (!expectation || expectation->n_nodes < 6)) return SKX_EARG;
    skx_arena arena = {0};
    follower_counts f = {0};
    comparison c = {.p = purchases, .e = expectation, .params = params};
    follower_counts_allocate(&f, purchases->n_items, kind == SKX_WEIGHTED, &arena);
    comparison_allocate(&c, &arena);
    uint64_t *keys = skx_arena_take(&arena, 2 * params->n_related, sizeof *keys);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    int64_t written = 0;
    out->indptr[0] = 0;
    for (int64_t i = 0; i < n && status == SKX_OK; i++) {
        if (skx_cancelled(params->cancel)) status = SKX_ECANCELLED;
        selector best = selector_make(keys, params->n_related);
        c.item = items[i];
        count_followers(purchases, c.item, params->same != 0, &f);
        if (kind == SKX_WEIGHTED) sum_weights(purchases, c.item, &f);
        if (kind == SKX_CORRECTED && f.n_touched > 0) expect_at_nodes(&c);
        select_best(&c, &f, &best);
        clear(&f);
        skx_selector_finish(&best);
        if (status == SKX_OK && !append(&best, &written, out)) status = SKX_ECAPACITY;
        out->indptr[i + 1] = written;
    }
    skx_arena_free(&arena);
    return status;
}

int skx_cooccurrences(const skx_purchases *purchases, int same, const int32_t *cancel, int64_t begin, int64_t end,
                      skx_csr_buffers *out)
{
    skx_arena arena = {0};
    follower_counts f = {0};
    follower_counts_allocate(&f, purchases->n_items, false, &arena);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    int64_t n = 0;
    out->indptr[0] = 0;
    for (int64_t item = begin; item < end && status == SKX_OK; item++) {
        if (skx_cancelled(cancel)) status = SKX_ECANCELLED;
        count_followers(purchases, (int32_t)item, same != 0, &f);
        for (int64_t i = 0; i < f.n_touched; i++) {
            int32_t other = f.touched[i];
            if (f.count[other] == 0) continue;
            if (n < out->capacity) {
                out->indices[n] = purchases->item_of[other];
                out->data[n] = (float)f.count[other];
            }
            n++;
        }
        clear(&f);
        out->indptr[item - begin + 1] = n;
    }
    skx_arena_free(&arena);
    return status == SKX_OK && n > out->capacity ? SKX_ECAPACITY : status;
}

int skx_expectation_fill(int64_t n_sizes, const int64_t *sizes, int64_t n_nodes, const double *nodes, double *table)
{
    for (int64_t g = 0; g < n_nodes; g++) {
        double log_other = log1p(-nodes[g]);
        for (int64_t s = 0; s < n_sizes; s++) table[s * n_nodes + g] = -expm1((double)sizes[s] * log_other);
    }
    return SKX_OK;
}
