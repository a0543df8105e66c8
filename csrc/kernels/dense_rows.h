/* The dense features of rows in the solvers. Rows are visited one after the other, but the products of SKX_VISITS rows with the
 * weights are computed at once, and their updates are added at once: a weight is then read and written once for all of them.
 * The products of the rows with one another correct for the updates in between, so that the result is that of single visits, up
 * to rounding. Included by the solvers only. */
#ifndef SKX_DENSE_ROWS_H
#define SKX_DENSE_ROWS_H
#include "kernels/lanes.h"

#include <stdbool.h>

enum { SKX_VISITS = 4 };

/* Rows that are visited together, `n` of them. */
typedef struct {
    int n;
    bool moved; /* whether any step is not zero */
    const float *x[SKX_VISITS];
    lanes dot[SKX_VISITS];              /* products with the weights before the first visit */
    lanes step[SKX_VISITS];             /* of the rows visited so far */
    float gram[SKX_VISITS][SKX_VISITS]; /* of each row, products with the rows before it */
} dense_visits;

static inline float vf_sum(vf v)
{
    float sum = 0.0f;
    for (int j = 0; j < SKX_VL; j++) sum += v[j];
    return sum;
}

/* Compute the products of `rows` rows with one another. */
static inline __attribute__((always_inline)) void visits_gram(dense_visits *v, int64_t n_dense, const int rows)
{
    vf sum[SKX_VISITS][SKX_VISITS];
    int64_t f = 0;
    for (int r = 0; r < rows; r++)
        for (int q = 0; q < r; q++) sum[r][q] = vf_set(0.0f);
    for (; f + SKX_VL <= n_dense; f += SKX_VL)
        for (int r = 1; r < rows; r++)
            for (int q = 0; q < r; q++) sum[r][q] += vf_load(v->x[r] + f) * vf_load(v->x[q] + f);
    for (int r = 0; r < rows; r++)
        for (int q = 0; q < r; q++) v->gram[r][q] = vf_sum(sum[r][q]);
    for (; f < n_dense; f++)
        for (int r = 0; r < rows; r++)
            for (int q = 0; q < r; q++) v->gram[r][q] += v->x[r][f] * v->x[q][f];
}

static inline __attribute__((always_inline)) void visits_dot(dense_visits *v, const skx_solver_block *b, const int rows)
{
    const float *w = b->dense_w;
    vf sum[SKX_VISITS][SKX_NV];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < SKX_NV; j++) sum[r][j] = vf_set(0.0f);
    for (int64_t f = 0; f < b->n_dense; f++, w += SKX_LANES) {
        vf weights[SKX_NV];
        for (int j = 0; j < SKX_NV; j++) weights[j] = vf_keep(vf_load(w + j * SKX_VL));
        for (int r = 0; r < rows; r++) {
            vf x = vf_set(v->x[r][f]);
            for (int j = 0; j < SKX_NV; j++) sum[r][j] += x * weights[j];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < SKX_NV; j++) v->dot[r].v[j] = sum[r][j];
}

static inline __attribute__((always_inline)) void visits_add(const dense_visits *v, const skx_solver_block *b, const int rows)
{
    float *w = b->dense_w;
    for (int64_t f = 0; f < b->n_dense; f++, w += SKX_LANES) {
        for (int j = 0; j < SKX_NV; j++) {
            vf weights = vf_load(w + j * SKX_VL);
            for (int r = 0; r < rows; r++) weights += vf_set(v->x[r][f]) * v->step[r].v[j];
            vf_store(w + j * SKX_VL, weights);
        }
    }
}

/* Begin the visits of the n rows at the offsets `at`, at most SKX_VISITS. */
static inline void visits_begin(dense_visits *v, const skx_solver_block *b, const uint32_t *at, int64_t n)
{
    v->n = (int)n;
    v->moved = false;
    for (int r = 0; r < n; r++) {
        v->x[r] = skx_solver_row_dense(skx_solver_block_row(b, at[r]));
        v->step[r] = lanes_set(0.0f);
    }
    if (n == SKX_VISITS) {
        visits_gram(v, b->n_dense, SKX_VISITS);
        visits_dot(v, b, SKX_VISITS);
        return;
    }
    for (int r = 0; r < n; r++) {
        dense_visits one = {.n = 1, .x = {v->x[r]}};
        visits_dot(&one, b, 1);
        v->dot[r] = one.dot[0];
        for (int q = 0; q < r; q++) {
            dense_visits two = {.n = 2, .x = {v->x[q], v->x[r]}};
            visits_gram(&two, b->n_dense, 2);
            v->gram[r][q] = two.gram[1][0];
        }
    }
}

/* @return the products of row r with the weights after the visits before it. */
static inline lanes visits_product(const dense_visits *v, int r)
{
    lanes dot = v->dot[r];
    for (int q = 0; q < r; q++)
        for (int j = 0; j < SKX_NV; j++) dot.v[j] += vf_set(v->gram[r][q]) * v->step[q].v[j];
    return dot;
}

/* Record the update of row r. */
static inline void visits_move(dense_visits *v, int r, lanes step)
{
    v->step[r] = step;
    v->moved = true;
}

/* Add all updates to the weights. */
static inline void visits_end(const dense_visits *v, const skx_solver_block *b)
{
    if (!v->moved) return;
    if (v->n == SKX_VISITS) {
        visits_add(v, b, SKX_VISITS);
        return;
    }
    for (int r = 0; r < v->n; r++) {
        dense_visits one = {.n = 1, .x = {v->x[r]}, .step = {v->step[r]}};
        visits_add(&one, b, 1);
    }
}

/* Prefetch the rows of the visits that follow those at s. Without always_inline GCC drops prefetches from functions without a
 * result. */
static inline __attribute__((always_inline)) void visits_prefetch(const skx_solver_block *b, const uint32_t *order, int64_t s,
                                                                  int64_t n)
{
    int64_t end = s + 3 * SKX_VISITS < n ? s + 3 * SKX_VISITS : n;
    for (int64_t i = s + 2 * SKX_VISITS; i < end; i++) {
        const char *row = (const char *)skx_solver_block_row(b, order[i]);
        for (int k = 0; k < NEAR_LINES; k++) __builtin_prefetch(row + k * SKX_LINE);
    }
    end = s + 2 * SKX_VISITS < n ? s + 2 * SKX_VISITS : n;
    for (int64_t i = s + SKX_VISITS; i < end; i++) {
        const char *dense = (const char *)skx_solver_row_dense(skx_solver_block_row(b, order[i]));
        for (int64_t k = 0; k < b->n_dense * (int64_t)sizeof(float); k += SKX_LINE) __builtin_prefetch(dense + k);
    }
}

#endif
