/* Dual coordinate descent for L2-regularized logistic regression (Yu, Huang and Lin, Machine Learning 2011), for 16 labels
 * that share their rows. The one-variable problem is solved in t, where alpha = cost * sigmoid(t): its optimality condition
 *     h(t) = t + q * (cost * sigmoid(t) - alpha_old) + m = 0        (m: the row's margin y * <w, x>, q = ||x||^2)
 * is increasing with slope >= 1, convex below 0 and concave above. On the root's side of 0 Newton's method is monotone after
 * its first step, and no logarithm of a variable near its bound is needed. */
#include "base/cancel.h"
#include "kernels/dense_rows.h"
#include "kernels/lanes.h"

#include <math.h>

enum { NEWTON_STEPS = 40 };

/* @return the root of h, by Newton's method from -m, which is the root once the variable has converged. Ends when h is as
 *         small as its rounding error. */
static inline vf solve_t(vf m, vf alpha, vf q, vf cost)
{
    const vf zero = vf_set(0.0f), one = vf_set(1.0f), half = vf_set(0.5f);
    vf offset = m - q * alpha, low = -offset - q * cost, high = -offset;
    vi negative = q * cost * half + offset > zero; /* h(0) > 0, so the root lies below 0 */
    high = vf_select(negative, vf_min(high, zero), high);
    low = vf_select(negative, low, vf_max(low, zero));
    vf t = vf_min(vf_max(-m, low), high);
    for (int step = 0; step < NEWTON_STEPS; step++) {
        vf s = vf_sigmoid(t);
        vf h = t + (q * (cost * s - alpha) + m);
        vf terms = one + vf_abs(t) + q * cost * s + vf_abs(offset);
        if (!vi_bits(vf_abs(h) > vf_set(1e-6f) * terms)) break;
        t = vf_min(vf_max(t - h / (one + q * cost * s * (one - s)), low), high);
    }
    return t;
}

/* Visit a row whose products are given. worst becomes the largest |alpha / cost - sigmoid(-margin)|, which is 0 at the optimum.
 * @return the step. */
static inline __attribute__((always_inline)) lanes visit(const skx_solver_block *b, skx_solver_row *row, lanes dot, lanes *worst,
                                                         lanes *bias_w)
{
    vf q = vf_set(row->sq_norm), cost = vf_set(row->cost), inverse = vf_set(1.0f / row->cost);
    lanes alpha = lanes_load(row->alpha), step;
    lane_mask positive = mask_from_bits(row->positive), live = mask_from_bits(b->live & row->learners);
    for (int j = 0; j < SKX_NV; j++) {
        vi flip = ~positive.m[j] & vi_set(INT32_MIN);
        vf m = (vf)((vi)dot.v[j] ^ flip);
        vf mismatch = vf_abs(alpha.v[j] * inverse - vf_sigmoid(-m));
        worst->v[j] = vf_max(worst->v[j], vf_select(live.m[j], mismatch, vf_set(0.0f)));
        vf next = cost * vf_sigmoid(solve_t(m, alpha.v[j], q, cost));
        next = vf_select(live.m[j], next, alpha.v[j]);
        step.v[j] = (vf)((vi)(next - alpha.v[j]) ^ flip);
        alpha.v[j] = next;
    }
    lanes_store(row->alpha, alpha);
    row_add(b, row, step, bias_w);
    return step;
}

/* Visit the n rows at the offsets `at`, at most SKX_VISITS, which have dense features. */
static inline void visit_dense(const skx_solver_block *b, const uint32_t *at, int64_t n, lanes *worst, lanes *bias_w)
{
    dense_visits visits;
    visits_begin(&visits, b, at, n);
    for (int r = 0; r < n; r++) {
        skx_solver_row *row = skx_solver_block_row(b, at[r]);
        lanes dot = row_dot(b, row, *bias_w), dense = visits_product(&visits, r);
        for (int j = 0; j < SKX_NV; j++) dot.v[j] += dense.v[j];
        visits_move(&visits, r, visit(b, row, dot, worst, bias_w));
    }
    visits_end(&visits, b);
}

/* Ends when the probability and the dual variable of no row differ by more than tol / 4, which is an error of at least tol in the
 * margin, or after max_iter passes. */
int SKX_NAME(skx_solve_log_loss)(const skx_solver_block *b)
{
    lanes bias_w = lanes_load(b->w + b->n_features * SKX_LANES);
    int iter = 0;
    while (iter++ < b->max_iter) {
        lanes worst = lanes_set(0.0f);
        for (int64_t i = 0; b->n_dense && i < b->n_rows; i += SKX_VISITS) {
            if (i % SKX_POLL == 0 && poll(b)) return iter;
            visit_dense(b, b->at + i, b->n_rows - i < SKX_VISITS ? b->n_rows - i : SKX_VISITS, &worst, &bias_w);
        }
        for (int64_t i = 0; !b->n_dense && i < b->n_rows; i++) {
            if (i % SKX_POLL == 0 && poll(b)) return iter;
            skx_solver_row *row = skx_solver_block_row(b, b->at[i]);
            if (b->n_mapped) row_touch(row);
            visit(b, row, row_dot(b, row, bias_w), &worst, &bias_w);
        }
        float lane[SKX_LANES], largest = 0.0f;
        lanes_store(lane, worst);
        for (int j = 0; j < SKX_LANES; j++) largest = fmaxf(largest, lane[j]);
        if (largest <= 0.25f * b->tol) break;
    }
    lanes_store(b->w + b->n_features * SKX_LANES, bias_w);
    return iter < b->max_iter ? iter : b->max_iter;
}
