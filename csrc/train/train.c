/* Training of one tree node: all its children see the same rows, so these are gathered and renumbered once and then
 * serve blocks of 16 children in turn. */
#include "base/huge.h"
#include "kernels/kernels.h"
#include "train/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    skx_solver_rows x;
    uint32_t *order;
    float *w;
} node_work;

static void work_free(node_work *work)
{
    skx_solver_rows_free(&work->x);
    free(work->order);
    free(work->w);
}

static double square_norm(const skx_solver_row *row)
{
    double square = 0.0;
    for (int32_t p = 0; p < row->length; p++) square += (double)row->entries[p].value * row->entries[p].value;
    return square;
}

static int gather_examples(node_work *work, const skx_csr *x, const skx_node *node)
{
    int64_t n = node->n_examples;
    int32_t *source = malloc((size_t)(n + 1) * sizeof *source);
    if (!source) return SKX_ENOMEM;
    for (int64_t i = 0; i < n; i++) source[i] = node->source ? node->source[node->examples[i]] : node->examples[i];
    int status = skx_solver_rows_gather(x, source, n, &work->x);
    free(source);
    return status;
}

/* Gather, and compute what does not depend on the child. */
static int work_prepare(node_work *work, const skx_csr *x, const skx_node *node, const skx_train_params *params)
{
    int status = gather_examples(work, x, node);
    if (status != SKX_OK) return status;
    work->order = malloc((size_t)(work->x.n_rows + 1) * sizeof *work->order);
    work->w = skx_huge_alloc((size_t)(work->x.n_features + 1) * SKX_LANES * sizeof *work->w);
    if (!work->order || !work->w) return SKX_ENOMEM;
    for (int64_t i = 0; i < work->x.n_rows; i++) {
        skx_solver_row *row = skx_solver_rows_at(&work->x, i);
        row->sq_norm = (float)(square_norm(row) + (double)params->bias * params->bias);
        row->cost = params->C * (node->weight ? node->weight[node->examples[i]] : 1.0f);
        if (!(row->cost > 0.0f)) return SKX_EARG;
        if (!isfinite(row->sq_norm)) return SKX_EFINITE;
    }
    return SKX_OK;
}

/* Where row lies in rows[from .. n), which is sorted and holds it: steps that double, then bisection. n if it is absent. */
static int64_t find_row(const int32_t *rows, int64_t from, int64_t n, int32_t row)
{
    int64_t lo = from, hi = from, step = 1;
    while (hi < n && rows[hi] < row) {
        lo = hi + 1;
        hi += step;
        step *= 2;
    }
    if (hi > n) hi = n;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (rows[mid] < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && rows[lo] == row ? lo : n;
}

/* The lanes that learn from a row. */
static uint16_t learners_of(uint16_t positive, int role)
{
    if (role == SKX_FOR_ALL) return UINT16_MAX;
    return role == SKX_FOR_POSITIVES ? positive : (uint16_t)~positive;
}

/* Set the rows back to the beginning, with the positives of `lanes` children. */
static int start_block(node_work *work, const skx_node *node, int64_t first, int lanes)
{
    for (int64_t i = 0; i < node->n_examples; i++) {
        skx_solver_row *row = skx_solver_rows_at(&work->x, i);
        memset(row->alpha, 0, sizeof row->alpha);
        row->positive = 0;
    }
    for (int b = 0; b < lanes; b++) {
        int64_t at = 0;
        for (int64_t e = node->positive_ptr[first + b]; e < node->positive_ptr[first + b + 1]; e++) {
            at = find_row(node->examples, at, node->n_examples, node->positive[e]);
            if (at == node->n_examples) return SKX_EARG;
            skx_solver_rows_at(&work->x, at)->positive |= (uint16_t)(1u << b);
        }
    }
    for (int64_t i = 0; i < node->n_examples; i++) {
        skx_solver_row *row = skx_solver_rows_at(&work->x, i);
        row->learners = learners_of(row->positive, node->role ? node->role[i] : SKX_FOR_ALL);
    }
    return SKX_OK;
}

static int solve_block(const skx_kernels *kernels, node_work *work, const skx_train_params *params, int lanes)
{
    skx_solver_block block = {
        .n_rows = work->x.n_rows,
        .n_features = work->x.n_features,
        .rows = work->x.rows,
        .at = work->x.at,
        .order = work->order,
        .live = (uint16_t)((1u << lanes) - 1),
        .bias = params->bias,
        .tol = params->tol,
        .max_iter = params->max_iter,
        .seed = params->seed,
        .cancel = params->cancel,
        .w = work->w,
    };
    memset(work->w, 0, (size_t)(work->x.n_features + 1) * SKX_LANES * sizeof *work->w);
    return (params->loss == SKX_SQUARED_HINGE ? kernels->solve_squared_hinge : kernels->solve_log_loss)(&block);
}

static int all_finite(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

/* Append the block's weights behind col_ptr[0] and set col_ptr[1 .. lanes] and the biases. */
static int emit_block(const skx_kernels *kernels, const node_work *work, const skx_train_params *params, int lanes,
                       int64_t *col_ptr, int32_t *entries, float *values, float *bias)
{
    int64_t count[SKX_LANES] = {0}, cursor[SKX_LANES];
    kernels->count_weights(work->w, work->x.n_features, params->threshold, count);
    for (int b = 0; b < lanes; b++) col_ptr[b + 1] = col_ptr[b] + count[b];
    for (int b = 0; b < SKX_LANES; b++) cursor[b] = b < lanes ? col_ptr[b] : 0; /* idle lanes have no weights */
    kernels->emit_weights(work->w, work->x.n_features, params->threshold, cursor, entries, values);
    const float *bias_w = work->w + work->x.n_features * SKX_LANES;
    for (int b = 0; b < lanes; b++) bias[b] = fabsf(bias_w[b]) >= params->threshold ? bias_w[b] * params->bias : 0.0f;
    int finite = all_finite(values + col_ptr[0], col_ptr[lanes] - col_ptr[0]) && all_finite(bias_w, lanes) &&
                 all_finite(bias, lanes);
    return finite ? SKX_OK : SKX_EFINITE;
}

static int train_blocks(const skx_kernels *kernels, node_work *work, const skx_node *node, const skx_train_params *params,
                        int64_t first, int64_t capacity, int64_t *col_ptr, int32_t *entries, float *values, float *bias,
                        int64_t *done, int32_t *n_iter)
{
    col_ptr[0] = 0;
    for (int64_t c = first; c < node->n_children; c += SKX_LANES) {
        int64_t left = node->n_children - c;
        int lanes = left < SKX_LANES ? (int)left : SKX_LANES;
        if (lanes * work->x.n_features > capacity - col_ptr[c - first]) return c > first ? SKX_OK : SKX_ECAPACITY;
        int status = start_block(work, node, c, lanes);
        if (status != SKX_OK) return status;
        int iterations = solve_block(kernels, work, params, lanes);
        if (skx_cancelled(params->cancel)) return SKX_ECANCELLED;
        if (iterations > *n_iter) *n_iter = iterations;
        status = emit_block(kernels, work, params, lanes, col_ptr + (c - first), entries, values, bias + (c - first));
        if (status != SKX_OK) return status;
        *done = c + lanes;
    }
    return SKX_OK;
}

static int params_valid(const skx_train_params *p)
{
    return (p->loss == SKX_SQUARED_HINGE || p->loss == SKX_LOG_LOSS) && p->max_iter >= 1 && p->C > 0.0f && p->tol > 0.0f &&
           p->threshold >= 0.0f && isfinite(p->bias);
}

int skx_train_node(const skx_kernels *kernels, const skx_csr *x, const skx_node *node, const skx_train_params *params,
                   int64_t first, int64_t feature_capacity, int64_t capacity, int64_t *n_features, int32_t *features,
                   int64_t *col_ptr, int32_t *entries, float *values, float *bias, int64_t *done, int32_t *n_iter)
{
    node_work work;
    memset(&work, 0, sizeof work);
    *done = first;
    *n_iter = 0;
    if (!params_valid(params) || first < 0 || first > node->n_children || node->n_examples > INT32_MAX) return SKX_EARG;
    int status = work_prepare(&work, x, node, params);
    if (status == SKX_OK && work.x.n_features > feature_capacity) status = SKX_ECAPACITY;
    if (status == SKX_OK) {
        *n_features = work.x.n_features;
        memcpy(features, work.x.features, (size_t)work.x.n_features * sizeof *features);
        status = train_blocks(kernels, &work, node, params, first, capacity, col_ptr, entries, values, bias, done, n_iter);
    }
    work_free(&work);
    return status;
}
