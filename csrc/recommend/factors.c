/* Matrix factorization: the least squares of ALS, and stochastic gradient steps of BPR. */
#include "base/arena.h"
#include "base/cancel.h"
#include "base/random.h"
#include "base/sets.h"
#include "skxmr.h"

#include <math.h>
#include <string.h>

/* Add value * f f' to the lower triangle of a matrix. */
static void add_outer(float *a, const float *f, float value, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float scaled = value * f[i];
        for (int64_t j = 0; j <= i; j++) a[i * n + j] += scaled * f[j];
    }
}

/* Decompose the lower triangle of a into L L', in place. @return false if a is not positive definite. */
static bool decompose(float *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = (double)a[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= (double)(a[i * n + k] * a[j * n + k]);
            if (i == j && !(sum > 0.0 && isfinite(sum))) return false;
            a[i * n + j] = i == j ? (float)sqrt(sum) : (float)(sum / (double)a[j * n + j]);
        }
    }
    return true;
}

/* Solve L L' v = b, in place. */
static void substitute(const float *l, float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = (double)b[i];
        for (int64_t k = 0; k < i; k++) sum -= (double)l[i * n + k] * (double)b[k];
        b[i] = (float)(sum / (double)l[i * n + i]);
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        double sum = (double)b[i];
        for (int64_t k = i + 1; k < n; k++) sum -= (double)l[k * n + i] * (double)b[k];
        b[i] = (float)(sum / (double)l[i * n + i]);
    }
}

int skx_als_solve(const skx_csr *x, const float *factors, int64_t n_factors, const float *gram, double lambda,
                  const int32_t *cancel, int64_t begin, int64_t end, float *out)
{
    size_t n_bytes = (size_t)(n_factors * n_factors) * sizeof(float);
    skx_arena arena = {0};
    float *a = skx_arena_take(&arena, n_factors * n_factors, sizeof *a);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    for (int64_t row = begin; row < end && status == SKX_OK; row++) {
        float *v = out + (row - begin) * n_factors;
        memset(v, 0, (size_t)n_factors * sizeof *v);
        if (skx_cancelled(cancel)) status = SKX_ECANCELLED;
        if (x->indptr[row] == x->indptr[row + 1]) continue;
        memcpy(a, gram, n_bytes);
        for (int64_t i = 0; i < n_factors; i++) a[i * n_factors + i] += (float)lambda;
        for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
            const float *f = factors + x->indices[e] * n_factors;
            add_outer(a, f, x->data[e], n_factors);
            for (int64_t i = 0; i < n_factors; i++) v[i] += (1.0f + x->data[e]) * f[i];
        }
        if (!decompose(a, n_factors)) status = SKX_EFINITE;
        if (status == SKX_OK) substitute(a, v, n_factors);
    }
    skx_arena_free(&arena);
    return status;
}

static int64_t row_of_entry(const skx_csr *x, int64_t entry)
{
    int64_t low = 0, high = x->n_rows;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (x->indptr[middle] <= entry)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* One step for an item that the user has and one that the user does not have. */
static void step(float *user, float *has, float *lacks, int64_t n, float rate, float decay)
{
    float margin = has[n] - lacks[n];
    for (int64_t i = 0; i < n; i++) margin += user[i] * (has[i] - lacks[i]);
    float g = 1.0f / (1.0f + expf(margin));
    for (int64_t i = 0; i < n; i++) {
        float u = user[i], difference = has[i] - lacks[i];
        user[i] += rate * (g * difference - decay * u);
        has[i] += rate * (g * u - decay * has[i]);
        lacks[i] += rate * (-g * u - decay * lacks[i]);
    }
    has[n] += rate * (g - decay * has[n]);
    lacks[n] += rate * (-g - decay * lacks[n]);
}

int skx_bpr_epoch(const skx_csr *x, const skx_bpr_params *params, int64_t n_factors, float *users, float *items)
{
    int64_t n_entries = x->indptr[x->n_rows], width = n_factors + 1;
    uint64_t state = params->seed;
    if (n_entries < 1 || n_entries > INT32_MAX) return SKX_EARG;
    for (int64_t s = 0; s < params->n_samples; s++) {
        if (s % SKX_POLL == 0 && skx_cancelled(params->cancel)) return SKX_ECANCELLED;
        int64_t entry = random_below(&state, n_entries), row = row_of_entry(x, entry);
        int32_t has = x->indices[entry], lacks = (int32_t)random_below(&state, x->n_cols);
        if (set_has((number_set){x->indices + x->indptr[row], x->indices + x->indptr[row + 1]}, lacks)) continue;
        step(users + row * n_factors, items + has * width, items + lacks * width, n_factors, (float)params->learning_rate,
             (float)params->regularization);
    }
    return SKX_OK;
}
