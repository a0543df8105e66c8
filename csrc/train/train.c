/* Training of one tree node. All children share the same rows, so these are gathered and renumbered once for all blocks of 16
 * children. */
#include "base/arena.h"
#include "base/cancel.h"
#include "base/huge.h" /* weights are read in random order */
#include "kernels/kernels.h"
#include "train/rows.h"

#include <math.h>
#include <string.h>

typedef struct {
    skx_solver_rows x;
    uint32_t *order;
    float *w;       /* of the features, and of the constant one */
    float *dense_w; /* of the dense features */
} node_work;

static double square_norm(const skx_solver_row *row, int64_t n_dense)
{
    double square = 0.0;
    const float *dense = n_dense ? skx_solver_row_dense(row) : NULL;
    for (int32_t p = 0; p < row->length; p++) square += (double)row->entries[p].value * row->entries[p].value;
    for (int64_t f = 0; f < n_dense; f++) square += (double)dense[f] * dense[f];
    return square;
}

static int32_t source_of(const skx_node *node, int64_t i)
{
    return node->source ? node->source[node->examples[i]] : node->examples[i];
}

int64_t skx_train_bytes(const skx_csr *x, const skx_node *node, int64_t n_dense)
{
    int64_t n_bytes = 0;
    for (int64_t i = 0; i < node->n_examples; i++) {
        int32_t row = source_of(node, i);
        n_bytes += skx_solver_rows_bytes(x, &row, 1, n_dense);
    }
    return n_bytes;
}

/* @return as skx_solver_rows_gather. */
static int gather_examples(node_work *work, skx_arena *arena, const skx_csr *x, const skx_node *node,
                           const skx_train_params *params)
{
    int64_t n = node->n_examples;
    int32_t *source = malloc((size_t)(n + 1) * sizeof *source);
    if (!source) return SKX_ENOMEM;
    for (int64_t i = 0; i < n; i++) source[i] = source_of(node, i);
    int status = skx_solver_rows_gather(x, source, n, params->n_dense, params->scratch, arena, &work->x);
    free(source);
    return status;
}

/* Gather, and compute what does not depend on the child. @return SKX_OK, SKX_ENOMEM, SKX_ECAPACITY, SKX_EARG or SKX_EFINITE. */
static int work_prepare(node_work *work, skx_arena *arena, const skx_csr *x, const skx_node *node, const skx_train_params *params)
{
    int status = gather_examples(work, arena, x, node, params);
    if (status != SKX_OK) return status;
    work->order = skx_arena_take(arena, work->x.n_rows, sizeof *work->order);
    work->w = skx_arena_own(arena, skx_huge_alloc((size_t)(work->x.n_features + 1) * SKX_LANES * sizeof *work->w));
    work->dense_w = skx_arena_own(arena, skx_huge_alloc((size_t)params->n_dense * SKX_LANES * sizeof *work->dense_w));
    if (arena->failed) return SKX_ENOMEM;
    for (int64_t i = 0; i < work->x.n_rows; i++) {
        skx_solver_row *row = skx_solver_rows_at(&work->x, i);
        skx_solver_rows_visit(&work->x, i);
        row->sq_norm = (float)(square_norm(row, params->n_dense) + (double)params->bias * params->bias);
        row->cost = params->C * (node->weight ? node->weight[node->examples[i]] : 1.0f);
        if (!(row->cost > 0.0f)) return SKX_EARG;
        if (!isfinite(row->sq_norm)) return SKX_EFINITE;
    }
    return SKX_OK;
}

/* @return where row lies in rows[from .. n), which is sorted, or n if it is absent: steps that double, then bisection. */
static int64_t find_row(const int32_t *rows, int64_t from, int64_t n, int32_t row)
{
    int64_t begin = from, end = from, step = 1;
    while (end < n && rows[end] < row) {
        begin = end + 1;
        end += step;
        step *= 2;
    }
    if (end > n) end = n;
    while (begin < end) {
        int64_t middle = begin + (end - begin) / 2;
        if (rows[middle] < row)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < n && rows[begin] == row ? begin : n;
}

/* @return one bit per lane that learns from a row. */
static uint16_t learners_of(uint16_t positive, int role)
{
    if (role == SKX_FOR_ALL) return UINT16_MAX;
    return role == SKX_FOR_POSITIVES ? positive : (uint16_t)~positive;
}

/* Reset the rows for the `lanes` children from `first` on. @return SKX_OK, or SKX_EARG. */
static int start_block(node_work *work, const skx_node *node, int64_t first, int lanes)
{
    for (int64_t i = 0; i < node->n_examples; i++) {
        skx_solver_row *row = skx_solver_rows_at(&work->x, i);
        skx_solver_rows_visit(&work->x, i);
        memset(row->alpha, 0, sizeof row->alpha);
        row->positive = 0;
    }
    for (int b = 0; b < lanes; b++) {
        int64_t at = 0;
        for (int64_t e = node->positive_ptr[first + b]; e < node->positive_ptr[first + b + 1]; e++) {
            at = find_row(node->examples, at, node->n_examples, node->positive[e]);
            if (at == node->n_examples) return SKX_EARG;
            skx_solver_rows_visit(&work->x, e);
            skx_solver_rows_at(&work->x, at)->positive |= (uint16_t)(1u << b);
        }
    }
    for (int64_t i = 0; i < node->n_examples; i++) {
        skx_solver_row *row = skx_solver_rows_at(&work->x, i);
        skx_solver_rows_visit(&work->x, i);
        row->learners = learners_of(row->positive, node->role ? node->role[i] : SKX_FOR_ALL);
    }
    return SKX_OK;
}

/* @return how many passes the solver made. */
static int solve_block(const skx_kernels *kernels, node_work *work, const skx_train_params *params, int lanes)
{
    skx_solver_block block = {
        .n_rows = work->x.n_rows,
        .n_features = work->x.n_features,
        .rows = work->x.rows,
        .n_mapped = work->x.n_mapped,
        .at = work->x.at,
        .order = work->order,
        .live = (uint16_t)((1u << lanes) - 1),
        .bias = params->bias,
        .tol = params->tol,
        .max_iter = params->max_iter,
        .seed = params->seed,
        .cancel = params->cancel,
        .w = work->w,
        .n_dense = work->x.n_dense,
        .dense_w = work->dense_w,
    };
    memset(work->w, 0, (size_t)(work->x.n_features + 1) * SKX_LANES * sizeof *work->w);
    if (block.n_dense) memset(work->dense_w, 0, (size_t)block.n_dense * SKX_LANES * sizeof *work->dense_w);
    return (params->loss == SKX_SQUARED_HINGE ? kernels->solve_squared_hinge : kernels->solve_log_loss)(&block);
}

static bool all_finite(const float *values, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* Write the weights of the block to the output, from its column c on. @return SKX_OK, or SKX_EFINITE. */
static int emit_block(const skx_kernels *kernels, const node_work *work, const skx_train_params *params, int lanes, int64_t c,
                      const skx_weight_buffers *out)
{
    int64_t count[SKX_LANES] = {0}, cursor[SKX_LANES], *col_ptr = out->col_ptr + c;
    float *bias = out->bias + c;
    kernels->count_weights(work->w, work->x.n_features, params->threshold, count);
    for (int b = 0; b < lanes; b++) col_ptr[b + 1] = col_ptr[b] + count[b];
    for (int b = 0; b < SKX_LANES; b++) cursor[b] = b < lanes ? col_ptr[b] : 0; /* idle lanes have no weights */
    kernels->emit_weights(work->w, work->x.n_features, params->threshold, cursor, out->entries, out->values);
    const float *bias_w = work->w + work->x.n_features * SKX_LANES;
    for (int b = 0; b < lanes; b++) bias[b] = fabsf(bias_w[b]) >= params->threshold ? bias_w[b] * params->bias : 0.0f;
    int64_t n_dense = work->x.n_dense;
    float *dense = n_dense ? out->dense + c * n_dense : NULL;
    for (int64_t f = 0; f < n_dense; f++)
        for (int b = 0; b < lanes; b++) dense[b * n_dense + f] = work->dense_w[f * SKX_LANES + b];
    bool finite = all_finite(out->values + col_ptr[0], col_ptr[lanes] - col_ptr[0]) && all_finite(bias_w, lanes) &&
                  all_finite(bias, lanes) && all_finite(dense, lanes * n_dense);
    return finite ? SKX_OK : SKX_EFINITE;
}

/* @return as skx_train_node. */
static int train_blocks(const skx_kernels *kernels, node_work *work, const skx_node *node, const skx_train_params *params,
                        int64_t begin, skx_weight_buffers *out, int64_t *done, int32_t *n_iter)
{
    out->col_ptr[0] = 0;
    for (int64_t c = begin; c < node->n_children; c += SKX_LANES) {
        int64_t left = node->n_children - c;
        int lanes = left < SKX_LANES ? (int)left : SKX_LANES;
        if (lanes * work->x.n_features > out->weight_capacity - out->col_ptr[c - begin])
            return c > begin ? SKX_OK : SKX_ECAPACITY;
        int status = start_block(work, node, c, lanes);
        if (status != SKX_OK) return status;
        int passes = solve_block(kernels, work, params, lanes);
        if (skx_cancelled(params->cancel)) return SKX_ECANCELLED;
        if (passes > *n_iter) *n_iter = passes;
        status = emit_block(kernels, work, params, lanes, c - begin, out);
        if (status != SKX_OK) return status;
        *done = c + lanes;
    }
    return SKX_OK;
}

static bool params_valid(const skx_train_params *p)
{
    return (p->loss == SKX_SQUARED_HINGE || p->loss == SKX_LOG_LOSS) && p->max_iter >= 1 && p->C > 0.0f && p->tol > 0.0f &&
           p->threshold >= 0.0f && isfinite(p->bias) && p->n_dense >= 0;
}

int skx_train_node(const skx_kernels *kernels, const skx_csr *x, const skx_node *node, const skx_train_params *params,
                   int64_t begin, skx_weight_buffers *out, int64_t *done, int32_t *n_iter)
{
    node_work work;
    skx_arena arena = {0};
    *done = begin;
    *n_iter = 0;
    if (!params_valid(params) || begin < 0 || begin > node->n_children || node->n_examples > INT32_MAX) return SKX_EARG;
    if (params->n_dense > x->n_cols) return SKX_EARG;
    int status = work_prepare(&work, &arena, x, node, params);
    if (status == SKX_OK && work.x.n_features > out->feature_capacity) status = SKX_ECAPACITY;
    if (status == SKX_OK) {
        out->n_features = work.x.n_features;
        memcpy(out->features, work.x.features, (size_t)work.x.n_features * sizeof *out->features);
        status = train_blocks(kernels, &work, node, params, begin, out, done, n_iter);
    }
    skx_arena_free(&arena);
    return status;
}
