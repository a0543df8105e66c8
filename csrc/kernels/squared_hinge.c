/* Dual coordinate descent for the L2-regularized squared hinge loss (Hsieh et al., ICML 2008), for 16 labels that share
 * their rows: every step visits one row and updates its dual variable in all lanes at once. */
#include "base/cancel.h"
#include "base/random.h" /* rows are visited in random order */
#include "kernels/dense_rows.h"
#include "kernels/lanes.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

typedef struct {
    lanes max, min; /* of the projected gradients of one pass */
} gap_t;

static inline float largest_gap(const gap_t *g, uint16_t live)
{
    float max[SKX_LANES], min[SKX_LANES], gap = -FLT_MAX;
    lanes_store(max, g->max);
    lanes_store(min, g->min);
    for (int b = 0; b < SKX_LANES; b++)
        if (live >> b & 1) gap = fmaxf(gap, max[b] - min[b]);
    return gap;
}

/* Visit a row whose products are given. @return whether it stays active: not if in every lane it is solved (its projected
 * gradient is within a quarter of the tolerance) or shrunk (at its bound, with a gradient above the largest one of the last
 * pass). *moved is set if the row is updated by *taken. */
static inline __attribute__((always_inline)) bool visit(const skx_solver_block *b, skx_solver_row *row, lanes dot,
                                                        const lanes *shrink_above, gap_t *gap, lanes *bias_w, lanes *taken,
                                                        bool *moved)
{
    const vf zero = vf_set(0.0f);
    float diagonal = 0.5f / row->cost;
    vf inverse = vf_set(1.0f / (row->sq_norm + diagonal));
    lanes alpha = lanes_load(row->alpha), step, next;
    lane_mask positive = mask_from_bits(row->positive), live = mask_from_bits(b->live & row->learners), moves, active;
    for (int j = 0; j < SKX_NV; j++) {
        vi flip = ~positive.m[j] & vi_set(INT32_MIN);
        vf g = (vf)((vi)dot.v[j] ^ flip) - vf_set(1.0f) + alpha.v[j] * vf_set(diagonal);
        vi bound = alpha.v[j] == zero;
        vi shrinks = (bound & (g > shrink_above->v[j])) | ~live.m[j];
        vf projected = vf_select(bound, vf_min(g, zero), g);
        projected = vf_select(shrinks, zero, projected);
        gap->max.v[j] = vf_max(gap->max.v[j], projected);
        gap->min.v[j] = vf_min(gap->min.v[j], projected);
        active.m[j] = vf_abs(projected) > vf_set(0.25f * b->tol);
        moves.m[j] = vf_abs(projected) > vf_set(1e-12f);
        next.v[j] = vf_select(moves.m[j], vf_max(alpha.v[j] - g * inverse, zero), alpha.v[j]);
        step.v[j] = (vf)((vi)(next.v[j] - alpha.v[j]) ^ flip);
    }
    *moved = mask_bits(moves) != 0;
    if (*moved) {
        lanes_store(row->alpha, next);
        row_add(b, row, step, bias_w);
        *taken = step;
    }
    return mask_bits(active) != 0;
}

/* As sweep, for rows with dense features. */
static int64_t sweep_dense(const skx_solver_block *b, int64_t active, const lanes *shrink_above, gap_t *gap)
{
    lanes bias_w = lanes_load(b->w + b->n_features * SKX_LANES);
    int64_t kept = 0;
    dense_visits visits;
    for (int64_t s = 0; s < active; s += SKX_VISITS) {
        uint32_t at[SKX_VISITS];
        int64_t n = active - s < SKX_VISITS ? active - s : SKX_VISITS;
        if (s % SKX_POLL == 0 && poll(b)) break;
        memcpy(at, b->order + s, (size_t)n * sizeof *at);
        if (!b->n_mapped) visits_prefetch(b, b->order, s, active);
        visits_begin(&visits, b, at, n);
        for (int r = 0; r < n; r++) {
            bool moved;
            lanes step;
            skx_solver_row *row = skx_solver_block_row(b, at[r]);
            lanes dot = row_dot(b, row, bias_w), dense = visits_product(&visits, r);
            for (int j = 0; j < SKX_NV; j++) dot.v[j] += dense.v[j];
            if (visit(b, row, dot, shrink_above, gap, &bias_w, &step, &moved)) b->order[kept++] = at[r];
            if (moved) visits_move(&visits, r, step);
        }
        visits_end(&visits, b);
    }
    lanes_store(b->w + b->n_features * SKX_LANES, bias_w);
    return kept;
}

/* Make a pass over the active rows in the given order, and move those that stay active to the front. @return their number. */
static int64_t sweep(const skx_solver_block *b, int64_t active, const lanes *shrink_above, gap_t *gap)
{
    gap->max = lanes_set(-FLT_MAX);
    gap->min = lanes_set(FLT_MAX);
    if (b->n_dense) return sweep_dense(b, active, shrink_above, gap);
    lanes bias_w = lanes_load(b->w + b->n_features * SKX_LANES);
    int64_t kept = 0;
    for (int64_t s = 0; s < active; s++) {
        if (s % SKX_POLL == 0 && poll(b)) break;
        uint32_t at = b->order[s];
        skx_solver_row *row = skx_solver_block_row(b, at);
        if (b->n_mapped)
            row_touch(row);
        else
            row_prefetch(b, s, active);
        lanes step;
        bool moved;
        lanes dot = row_dot(b, row, bias_w);
        if (visit(b, row, dot, shrink_above, gap, &bias_w, &step, &moved)) b->order[kept++] = at;
    }
    lanes_store(b->w + b->n_features * SKX_LANES, bias_w);
    return kept;
}

static void activate_all(const skx_solver_block *b) { memcpy(b->order, b->at, (size_t)b->n_rows * sizeof *b->order); }

static void shuffle(uint32_t *order, int64_t n, uint64_t *state)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = random_below(state, i + 1);
        uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
}

/* Each pass visits the active rows in a new random order; a fixed order takes six times as many passes, because the bias weight
 * then oscillates. All rows are visited again when the active ones are solved, so that a few hard rows, such as equal ones with
 * opposite labels, do not cost visits of the many easy ones. They are also visited again after as many visits of active rows as
 * there are rows, so that rows that never reach a tiny tol do not take all visits. Ends when, over all rows, the projected
 * gradients of no lane differ by more than tol, or after as many visits as max_iter passes have. */
int SKX_NAME(skx_solve_squared_hinge)(const skx_solver_block *b)
{
    lanes shrink_above = lanes_set(FLT_MAX);
    int64_t active = b->n_rows;
    uint64_t random = b->seed;
    int64_t visits = 0, most = b->n_rows * b->max_iter, since_all = 0;
    activate_all(b);
    while (visits < most && !skx_cancelled(b->cancel)) {
        gap_t gap;
        int64_t visited = active;
        visits += active;
        since_all = active == b->n_rows ? 0 : since_all + active;
        shuffle(b->order, active, &random);
        active = sweep(b, active, &shrink_above, &gap);
        bool solved = active == 0 || largest_gap(&gap, b->live) <= b->tol;
        if (solved || since_all >= b->n_rows) {
            if (solved && visited == b->n_rows) break;
            activate_all(b);
            active = b->n_rows;
            shrink_above = lanes_set(FLT_MAX);
            continue;
        }
        for (int j = 0; j < SKX_NV; j++)
            shrink_above.v[j] = vf_select(gap.max.v[j] > vf_set(0.0f), gap.max.v[j], vf_set(FLT_MAX));
    }
    int64_t passes = b->n_rows ? (visits + b->n_rows - 1) / b->n_rows : 0;
    return passes < b->max_iter ? (int)passes : b->max_iter;
}

void SKX_NAME(skx_count_weights)(const float *w, int64_t n_features, float threshold, int64_t *count)
{
    for (int64_t f = 0; f < n_features; f++) {
        lanes a = lanes_load(w + f * SKX_LANES);
        for (int j = 0; j < SKX_NV; j++) {
            vi keep = (vf_abs(a.v[j]) >= vf_set(threshold)) & (a.v[j] != vf_set(0.0f));
            for (uint32_t bits = vi_bits(keep); bits; bits &= bits - 1) count[j * SKX_VL + __builtin_ctz(bits)]++;
        }
    }
}

void SKX_NAME(skx_emit_weights)(const float *w, int64_t n_features, float threshold, int64_t *cursor, int32_t *entries,
                                float *values)
{
    for (int64_t f = 0; f < n_features; f++) {
        lanes a = lanes_load(w + f * SKX_LANES);
        for (int j = 0; j < SKX_NV; j++) {
            vi keep = (vf_abs(a.v[j]) >= vf_set(threshold)) & (a.v[j] != vf_set(0.0f));
            for (uint32_t bits = vi_bits(keep); bits; bits &= bits - 1) {
                int lane = j * SKX_VL + __builtin_ctz(bits);
                entries[cursor[lane]] = (int32_t)f;
                values[cursor[lane]++] = w[f * SKX_LANES + lane];
            }
        }
    }
}
