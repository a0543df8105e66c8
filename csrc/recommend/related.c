/* Items related to an item: counts over the rows of its buyers, and measures of relatedness. */
#include "recommend/related.h"

#include "base/cancel.h"

#include <math.h>
#include <string.h>

enum {
    AHEAD = 6, /* rows between the prefetch of a row and its use */
    FEW = UINT8_MAX
};

static void prefetch_rows(const skx_purchases *p, int64_t b, int64_t end)
{
    if (b + 2 * AHEAD < end) __builtin_prefetch(p->target_ptr + p->row[b + 2 * AHEAD]);
    if (b + AHEAD < end) __builtin_prefetch(p->target + p->target_ptr[p->row[b + AHEAD]]);
}

/* Count the followers of an item, and list them. */
static void list_followers(const skx_purchases *p, int32_t item, bool same, follower_counts *f)
{
    int64_t n = 0, end = p->row_ptr[item + 1];
    uint32_t *count = f->count;
    for (int64_t b = p->row_ptr[item]; b < end; b++) {
        prefetch_rows(p, b, end);
        const int32_t *last = p->target + p->target_ptr[p->row[b] + 1];
        for (const int32_t *t = p->target + p->target_ptr[p->row[b]]; t < last; t++) {
            f->position[n] = *t;
            n += count[*t]++ == 0;
        }
    }
    f->n = n;
    if (same && n) count[p->position_of[item]] = 0;
    for (int64_t i = 0; i < n; i++) f->both[i] = count[f->position[i]];
}

/* The same, for at most FEW rows; only positions with two rows or more are listed. */
static void list_repeated(const skx_purchases *p, int32_t item, bool same, follower_counts *f)
{
    int64_t n = 0, end = p->row_ptr[item + 1];
    uint8_t *few = f->few;
    for (int64_t b = p->row_ptr[item]; b < end; b++) {
        prefetch_rows(p, b, end);
        const int32_t *last = p->target + p->target_ptr[p->row[b] + 1];
        for (const int32_t *t = p->target + p->target_ptr[p->row[b]]; t < last; t++) {
            uint8_t before = few[*t];
            f->position[n] = *t;
            n += before == 1;
            few[*t] = (uint8_t)(before + 1);
        }
    }
    f->n = n;
    if (same && end > p->row_ptr[item]) few[p->position_of[item]] = 0;
    for (int64_t i = 0; i < n; i++) f->both[i] = few[f->position[i]];
}

/* Count the followers of an item without a list. */
static void count_followers(const skx_purchases *p, int32_t item, bool same, follower_counts *f)
{
    int64_t end = p->row_ptr[item + 1];
    uint32_t *count = f->count;
    for (int64_t b = p->row_ptr[item]; b < end; b++) {
        prefetch_rows(p, b, end);
        const int32_t *last = p->target + p->target_ptr[p->row[b] + 1];
        for (const int32_t *t = p->target + p->target_ptr[p->row[b]]; t < last; t++) count[*t]++;
    }
    if (same) count[p->position_of[item]] = 0;
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

void skx_clear_listed(follower_counts *f)
{
    for (int64_t i = 0; i < f->n; i++) f->count[f->position[i]] = 0;
    if (f->sum)
        for (int64_t i = 0; i < f->n; i++) f->sum[f->position[i]] = 0.0;
}

enum { NODES = 16 }; /* that are summed at once, in registers */

void skx_expect_at_nodes(comparison *c)
{
    const skx_purchases *p = c->p;
    int64_t n_nodes = c->e->n_nodes, begin = 0;
    for (; begin + NODES <= n_nodes; begin += NODES) {
        double sum[NODES] = {0};
        for (int64_t b = p->row_ptr[c->item]; b < p->row_ptr[c->item + 1]; b++) {
            const double *row = c->e->table + c->e->row_size[p->row[b]] * n_nodes + begin;
            for (int64_t g = 0; g < NODES; g++) sum[g] += row[g];
        }
        memcpy(c->at_node + begin, sum, sizeof sum);
    }
    for (int64_t g = begin; g < n_nodes; g++) {
        c->at_node[g] = 0.0;
        for (int64_t b = p->row_ptr[c->item]; b < p->row_ptr[c->item + 1]; b++)
            c->at_node[g] += c->e->table[c->e->row_size[p->row[b]] * n_nodes + g];
    }
    for (int64_t g = 0; g < n_nodes; g++) c->below[g] = (float)c->at_node[g] * (1.0f - 1e-5f);
}

/* @return the score of an item and the item at a position, which have some rows in common. */
static double score_of(const comparison *c, const follower_counts *f, int32_t other, uint32_t count)
{
    const skx_purchases *p = c->p;
    double both = (double)count, shrinkage = c->params->shrinkage;
    if (count < (uint64_t)c->params->n_least) return 0.0;
    if (c->params->relatedness == SKX_CORRECTED) {
        double mean = expected(c->e, c->at_node, other);
        return (both - mean) / sqrt(mean + shrinkage);
    }
    double damped = damping(both, shrinkage);
    if (c->params->relatedness == SKX_WEIGHTED)
        return (double)p->factor[c->item] * (double)p->other_factor[other] * f->sum[other] * damped;
    double with = (double)p->n_with[c->item], followers = (double)p->n_followers[other];
    return measure(c->params->relatedness, both, with, followers, (double)p->n_rows) * damped;
}

static inline int32_t position_at(const followers *l, int64_t i) { return l->position ? l->position[i] : (int32_t)i; }

/* The expected count is a concave function of the share, so that the chord between two nodes is below it, and a score with the
 * chord is above the score. The bounds are those of the squares of scores. */
static inline float bound_corrected(uint32_t both, float chord, float shrinkage)
{
    float difference = (float)(int32_t)both - chord;
    difference = difference > 0.0f ? difference : 0.0f;
    return difference * difference / (chord + shrinkage) * (1.0f + 1e-5f);
}

static void bound_listed(const comparison *c, const followers *l)
{
    float shrinkage = (float)c->params->shrinkage;
    for (int64_t i = 0; i < l->n; i++) {
        skx_share share = c->e->share[l->position[i]];
        const float *node = c->below + share.cell;
        c->bound[i] = bound_corrected(l->both[i], node[0] + (node[1] - node[0]) * share.fraction, shrinkage);
    }
}

/* The same for all positions, of which many in succession lie between the same nodes. */
static void bound_all(const comparison *c, const followers *l)
{
    float shrinkage = (float)c->params->shrinkage;
    const skx_share *share = c->e->share;
    for (int64_t begin = 0, end; begin < l->n; begin = end) {
        float low = c->below[share[begin].cell], rise = c->below[share[begin].cell + 1] - low;
        for (end = begin + 1; end < l->n && share[end].cell == share[begin].cell;) end++;
        for (int64_t i = begin; i < end; i++)
            c->bound[i] = bound_corrected(l->both[i], low + rise * share[i].fraction, shrinkage);
    }
}

static void bound_cosines(const comparison *c, const followers *l)
{
    float own = (float)(1.0 / sqrt((double)c->p->n_with[c->item])) * (1.0f + 1e-5f);
    if (l->position)
        for (int64_t i = 0; i < l->n; i++) c->bound[i] = (float)(int32_t)l->both[i] * c->inverse[l->position[i]] * own;
    else
        for (int64_t i = 0; i < l->n; i++) c->bound[i] = (float)(int32_t)l->both[i] * c->inverse[i] * own;
}

static void bound_others(const comparison *c, const follower_counts *f, const followers *l)
{
    for (int64_t i = 0; i < l->n; i++) {
        double score = l->both[i] > 0 ? score_of(c, f, position_at(l, i), l->both[i]) : 0.0;
        c->bound[i] = score > 0.0 ? (float)score * (1.0f + 1e-5f) : 0.0f;
    }
}

/* Upper bounds of the scores of followers. */
static void bound_scores(const comparison *c, const follower_counts *f, const followers *l)
{
    if (c->params->relatedness == SKX_CORRECTED && l->position)
        bound_listed(c, l);
    else if (c->params->relatedness == SKX_CORRECTED)
        bound_all(c, l);
    else if (c->params->relatedness == SKX_COSINE)
        bound_cosines(c, l);
    else
        bound_others(c, f, l);
}

enum { BLOCK = 16 };

/* @return whether a block of followers has a bound of at least this. */
static bool block_reaches(const float *bound, float least)
{
    int reaches = 0;
    for (int i = 0; i < BLOCK; i++) reaches |= bound[i] >= least;
    return reaches != 0;
}

/* @return the first follower from begin on in a block that has a bound of at least this. */
static int64_t next_block(const comparison *c, const followers *l, int64_t begin, float least)
{
    while (begin + BLOCK <= l->n && !block_reaches(c->bound + begin, least)) begin += BLOCK;
    return begin;
}

/* Find the followers with the highest bounds. */
static void select_bounds(const comparison *c, const followers *l, selector *highest)
{
    float least = 0.0f;
    for (int64_t begin = 0; (begin = next_block(c, l, begin, least)) < l->n; begin += BLOCK) {
        int64_t end = begin + BLOCK < l->n ? begin + BLOCK : l->n;
        for (int64_t i = begin; i < end; i++)
            if (c->bound[i] > 0.0f) selector_push(highest, key_make(c->bound[i], (int32_t)i));
        if (highest->threshold) least = key_score(highest->threshold);
    }
    if (highest->n >= highest->k) skx_selector_shrink(highest);
}

static void push(const comparison *c, const follower_counts *f, int32_t other, uint32_t both, selector *best)
{
    double score = score_of(c, f, other, both);
    if (score > 0.0) selector_push(best, key_make((float)score, c->p->item_of[other]));
}

static void prefetch_position(const comparison *c, int32_t other)
{
    if (c->params->relatedness == SKX_CORRECTED) {
        __builtin_prefetch(c->e->weight + 6 * (int64_t)other);
        __builtin_prefetch(c->e->weight + 6 * (int64_t)other + 5);
    } else {
        __builtin_prefetch(c->p->n_followers + other);
    }
    __builtin_prefetch(c->p->item_of + other);
}

void skx_push_best(const comparison *c, const follower_counts *f, const followers *l, selector *highest, selector *best)
{
    bound_scores(c, f, l);
    select_bounds(c, l, highest);
    for (int64_t j = 0; j < highest->n; j++) prefetch_position(c, position_at(l, key_id(highest->keys[j])));
    for (int64_t j = 0; j < highest->n; j++) {
        int32_t i = key_id(highest->keys[j]);
        push(c, f, position_at(l, i), l->both[i], best);
    }
    if (highest->n < highest->k) return;
    if (best->n >= best->k) skx_selector_shrink(best);
    float least = best->threshold ? key_score(best->threshold) : 0.0f;
    if (c->params->relatedness == SKX_CORRECTED) least *= least;
    for (int64_t begin = 0; (begin = next_block(c, l, begin, least)) < l->n; begin += BLOCK) {
        int64_t end = begin + BLOCK < l->n ? begin + BLOCK : l->n;
        for (int64_t i = begin; i < end; i++)
            if (c->bound[i] >= least && c->bound[i] > 0.0f && key_make(c->bound[i], (int32_t)i) < highest->threshold)
                push(c, f, position_at(l, i), l->both[i], best);
    }
}

/* @return whether no item that is at least as frequent as the one at a position has, with one row, a score that reaches the
 * threshold. Scores fall with the frequency, apart from rounding. */
static bool falls_below(const comparison *c, const follower_counts *f, int32_t other, const selector *best)
{
    double upper;
    if (c->params->relatedness == SKX_CORRECTED) {
        double mean = expected(c->e, c->at_node, other) * (1.0 - 1e-5);
        upper = (1.0 - mean) / sqrt(mean + c->params->shrinkage);
    } else {
        upper = score_of(c, f, other, 1) * (1.0 + 1e-5);
    }
    return upper <= 0.0 || upper * (1.0 + 1e-5) < (double)key_score(best->threshold);
}

/* @return the highest position below end that has one row, or -1. */
static int64_t single_before(const uint8_t *few, int64_t end)
{
    while (end > 0) {
        uint64_t counts = 0;
        if (end >= 8) memcpy(&counts, few + end - 8, 8);
        if (end >= 8 && !(counts & 0x0101010101010101u)) {
            end -= 8;
        } else if (few[--end] == 1) {
            return end;
        }
    }
    return -1;
}

/* Find the best followers of an item with few rows. Of the followers with one row, the rarest are compared with the others, and
 * then more of them, until they are too frequent. */
static void select_among_few(const comparison *c, follower_counts *f, selector *highest, selector *best)
{
    int64_t at = c->p->n_items, n_singles = c->params->n_least > 1 ? 0 : best->k;
    while (n_singles > 0 && (at = single_before(f->few, at)) >= 0) {
        f->position[f->n] = (int32_t)at;
        f->both[f->n++] = 1;
        n_singles--;
    }
    skx_push_best(c, f, &(followers){f->n, f->position, f->both}, highest, best);
    if (c->params->n_least > 1) return;
    while (at > 0 && (at = single_before(f->few, at)) >= 0) {
        if (best->threshold && falls_below(c, f, (int32_t)at, best)) return;
        push(c, f, (int32_t)at, 1, best);
    }
}

/* Find the best followers of an item. Their counts remain until clear_counts. */
static void select_followers(const comparison *c, follower_counts *f, selector *highest, selector *best)
{
    const skx_purchases *p = c->p;
    bool same = c->params->same != 0, weighted = c->params->relatedness == SKX_WEIGHTED;
    int64_t n_rows = p->row_ptr[c->item + 1] - p->row_ptr[c->item], n_items = p->n_items, n_targets = 0;
    for (int64_t b = p->row_ptr[c->item]; b < p->row_ptr[c->item + 1]; b++)
        n_targets += p->target_ptr[p->row[b] + 1] - p->target_ptr[p->row[b]];
    if (weighted || n_targets < n_items / (n_rows <= FEW ? 128 : 4)) {
        f->kind = OF_LIST;
        list_followers(p, c->item, same, f);
        if (weighted) sum_weights(p, c->item, f);
        skx_push_best(c, f, &(followers){f->n, f->position, f->both}, highest, best);
    } else if (n_rows <= FEW && n_targets < n_items) {
        f->kind = IN_BYTES;
        list_repeated(p, c->item, same, f);
        select_among_few(c, f, highest, best);
    } else {
        f->kind = IN_ALL;
        count_followers(p, c->item, same, f);
        skx_push_best(c, f, &(followers){n_items, NULL, f->count}, highest, best);
    }
}

static void clear_counts(follower_counts *f, int64_t n_items)
{
    if (f->kind == OF_LIST) skx_clear_listed(f);
    if (f->kind == IN_BYTES) memset(f->few, 0, (size_t)n_items);
    if (f->kind == IN_ALL) memset(f->count, 0, (size_t)n_items * sizeof *f->count);
}

/* The output of one item. */
typedef struct {
    skx_csr_buffers *out;
    int64_t written; /* entries before it */
    int64_t row;
} related_row;

/* Write the first best followers. */
static int write_best(const selector *best, int64_t n_needed, related_row *w)
{
    int64_t n = best->n < n_needed ? best->n : n_needed;
    if (w->written + n > w->out->capacity) return SKX_ECAPACITY;
    for (int64_t j = 0; j < n; j++, w->written++) {
        w->out->indices[w->written] = key_id(best->keys[j]);
        w->out->data[w->written] = key_score(best->keys[j]);
    }
    w->out->indptr[++w->row] = w->written;
    return SKX_OK;
}

static void keep(const skx_purchases *p, const follower_counts *f, int32_t position, skx_related_support *s, int64_t *end)
{
    s->other[*end] = p->item_of[position];
    s->both[(*end)++] = count_of(f, position);
}

/* Keep all best followers. The keys of others are not above the bound, or were dropped because the selector was full. */
static void keep_best(const skx_purchases *p, const follower_counts *f, const selector *best, uint64_t bound, int64_t row,
                      skx_related_support *s)
{
    int64_t end = s->ptr[row];
    for (int64_t j = 0; j < best->n; j++) keep(p, f, p->position_of[key_id(best->keys[j])], s, &end);
    s->ptr[row + 1] = end;
    uint64_t least = best->n == best->k ? best->keys[best->n - 1] : 0;
    s->bound[row] = least > bound ? least : bound;
}

static void write_frequent(const skx_purchases *p, const follower_counts *f, int32_t item, skx_frequent_pairs *frequent)
{
    int64_t row = p->position_of[item], n = frequent->n_items;
    for (int64_t other = 0; row < n && other < n; other++) frequent->both[row * n + other] = count_of(f, (int32_t)other);
}

void skx_follower_counts_allocate(follower_counts *f, int64_t n_items, bool weighted, skx_arena *arena)
{
    f->count = skx_arena_zeros(arena, n_items, sizeof *f->count);
    f->few = skx_arena_zeros(arena, n_items + 8, sizeof *f->few);
    f->position = skx_arena_take(arena, n_items + 1, sizeof *f->position);
    f->both = skx_arena_take(arena, n_items, sizeof *f->both);
    f->sum = weighted ? skx_arena_zeros(arena, n_items, sizeof *f->sum) : NULL;
}

void skx_comparison_allocate(comparison *c, skx_arena *arena)
{
    int kind = c->params->relatedness;
    int64_t n_items = c->p->n_items, n_nodes = kind == SKX_CORRECTED ? c->e->n_nodes : 0;
    c->at_node = skx_arena_take(arena, n_nodes, sizeof *c->at_node);
    c->below = skx_arena_take(arena, n_nodes, sizeof *c->below);
    c->bound = skx_arena_take(arena, n_items, sizeof *c->bound);
    c->inverse = skx_arena_take(arena, kind == SKX_COSINE ? n_items : 0, sizeof *c->inverse);
    for (int64_t i = 0; kind == SKX_COSINE && !arena->failed && i < n_items; i++)
        c->inverse[i] = (float)(1.0 / sqrt((double)c->p->n_followers[i] + !c->p->n_followers[i])) * (1.0f + 1e-6f);
}

int skx_check_related(const skx_expectation *expectation, const skx_related_params *params)
{
    int kind = params->relatedness;
    if (params->n_related < 1 || params->n_least < 1 || kind < SKX_CORRECTED || kind > SKX_WEIGHTED) return SKX_EARG;
    return kind == SKX_CORRECTED && (!expectation || expectation->n_nodes < 6) ? SKX_EARG : SKX_OK;
}

int skx_related(const skx_purchases *purchases, const skx_expectation *expectation, const skx_related_params *params,
                const int32_t *items, int64_t n, skx_csr_buffers *out, skx_related_support *support)
{
    int kind = params->relatedness, status = skx_check_related(expectation, params);
    if (status != SKX_OK) return status;
    skx_arena arena = {0};
    follower_counts f = {0};
    comparison c = {.p = purchases, .e = expectation, .params = params};
    related_row row = {.out = out};
    skx_follower_counts_allocate(&f, purchases->n_items, kind == SKX_WEIGHTED, &arena);
    skx_comparison_allocate(&c, &arena);
    uint64_t *keys = skx_arena_take(&arena, 2 * params->n_related, sizeof *keys);
    uint64_t *bounds = skx_arena_take(&arena, 2 * params->n_related, sizeof *bounds);
    status = arena.failed ? SKX_ENOMEM : SKX_OK;
    out->indptr[0] = 0;
    if (support) support->ptr[0] = 0;
    for (int64_t i = 0; i < n && status == SKX_OK; i++) {
        if (skx_cancelled(params->cancel)) status = SKX_ECANCELLED;
        selector best = selector_make(keys, params->n_related), highest = selector_make(bounds, params->n_related);
        c.item = items[i];
        if (kind == SKX_CORRECTED) skx_expect_at_nodes(&c);
        select_followers(&c, &f, &highest, &best);
        skx_selector_finish(&best);
        if (status == SKX_OK) status = write_best(&best, support ? support->n_needed : best.n, &row);
        if (support && status == SKX_OK) keep_best(purchases, &f, &best, 0, i, support);
        if (support && support->frequent) write_frequent(purchases, &f, c.item, support->frequent);
        clear_counts(&f, purchases->n_items);
    }
    skx_arena_free(&arena);
    return status;
}

int skx_cooccurrences(const skx_purchases *purchases, int same, const int32_t *cancel, int64_t begin, int64_t end,
                      skx_csr_buffers *out)
{
    skx_arena arena = {0};
    follower_counts f = {0};
    skx_follower_counts_allocate(&f, purchases->n_items, false, &arena);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    int64_t n = 0;
    out->indptr[0] = 0;
    for (int64_t item = begin; item < end && status == SKX_OK; item++) {
        if (skx_cancelled(cancel)) status = SKX_ECANCELLED;
        list_followers(purchases, (int32_t)item, same != 0, &f);
        for (int64_t i = 0; i < f.n; i++) {
            if (f.both[i] == 0) continue;
            if (n < out->capacity) {
                out->indices[n] = purchases->item_of[f.position[i]];
                out->data[n] = (float)f.both[i];
            }
            n++;
        }
        skx_clear_listed(&f);
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
