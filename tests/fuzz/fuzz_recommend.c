/* Recommendations of models of any content, compared with a slow implementation, and the steps of matrix factorization. */
#include "input.h"

#include <math.h>
#include <stdbool.h>

enum { N_ITEMS = 40, MOST_FACTORS = 4 };

static skx_item_model take_model(input *in, bool any)
{
    int64_t n = take_between(in, 1, N_ITEMS), n_related = take_between(in, 0, 80);
    int64_t *related_ptr = own(in, (size_t)(n + 1) * 8);
    int32_t *related = own(in, (size_t)n_related * 4), *order = own(in, (size_t)n * 4);
    float *score = own(in, (size_t)n_related * 4), *popular = own(in, (size_t)n * 4);
    for (int64_t i = 0; i <= n; i++) related_ptr[i] = n_related * i / n;
    for (int64_t r = 0; r < n_related; r++) related[r] = take_byte(in) % (int32_t)n;
    for (int64_t r = 0; r < n_related; r++) score[r] = (float)take_byte(in) / 8;
    for (int64_t i = 0; i < n; i++) popular[i] = (float)(n - i) / 4;
    for (int64_t i = 0; i < n; i++) order[i] = (int32_t)i;
    if (any) {
        related_ptr[take_between(in, 0, n)] = (int8_t)take_byte(in);
        take_bytes(in, related, (size_t)n_related * 4);
        take_bytes(in, score, (size_t)n_related * 4);
        take_bytes(in, order, (size_t)n * 4);
        related_ptr[n] = n_related; /* the size of the arrays, which is checked */
    }
    return (skx_item_model){n, related_ptr, related, score, popular, order, (float)(take_byte(in) % 3)};
}

static bool has(const skx_sets *sets, int64_t row, int32_t item)
{
    int64_t set = sets->shared ? 0 : row;
    for (int64_t m = sets->ptr[set]; m < sets->ptr[set + 1]; m++)
        if (sets->member[m] == item) return true;
    return false;
}

static bool stores(const skx_csr *x, int64_t row, int32_t item)
{
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++)
        if (x->indices[e] == item) return true;
    return false;
}

static bool permits(const skx_csr *x, const skx_recommend_params *p, int64_t row, int32_t item)
{
    if (p->exclude_stored && stores(x, row, item)) return false;
    if (p->exclude && has(p->exclude, row, item)) return false;
    return !p->among || has(p->among, row, item);
}

/* The score of an item for a row, or -inf if it is not ranked. */
static float slow_score(const skx_item_model *model, const skx_csr *x, int64_t row, int32_t item)
{
    float sum = 0;
    bool is_warm = false, is_related = false;
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
        int32_t bought = x->indices[e];
        if (!(x->data[e] > 0) || bought >= model->n_items) continue;
        is_warm = true;
        for (int64_t r = model->related_ptr[bought]; r < model->related_ptr[bought + 1]; r++)
            if (model->related[r] == item) {
                is_related = true;
                sum += x->data[e] * model->score[r];
            }
    }
    if (!is_warm) return model->popular[item];
    if (model->popular_weight > 0) return sum + model->popular_weight * model->popular[item];
    return is_related ? sum : -INFINITY;
}

/* Claim that a ranking has the best items, in the documented order. */
static void check_ranking(const skx_item_model *model, const skx_csr *x, const skx_recommend_params *p, int64_t row,
                          const int32_t *labels, const float *scores)
{
    bool ranked[N_ITEMS] = {0};
    int64_t n = 0;
    for (; n < p->k && labels[n] >= 0; n++) {
        CLAIM(labels[n] < model->n_items && !ranked[labels[n]] && permits(x, p, row, labels[n]));
        ranked[labels[n]] = true;
        float expected = slow_score(model, x, row, labels[n]);
        CLAIM(fabsf(scores[n] - expected) <= 1e-4f * fabsf(expected));
        CLAIM(n == 0 || scores[n] < scores[n - 1] || (scores[n] == scores[n - 1] && labels[n] > labels[n - 1]));
    }
    for (int64_t j = n; j < p->k; j++) CLAIM(labels[j] == -1 && scores[j] == -INFINITY);
    for (int32_t item = 0; item < model->n_items; item++) {
        if (ranked[item] || !permits(x, p, row, item)) continue;
        float score = slow_score(model, x, row, item);
        CLAIM(n < p->k ? score == -INFINITY : score <= scores[n - 1] + 1e-4f * fabsf(scores[n - 1]));
    }
}

/* A row that is not checked, or of which the ranking is that of a call for all rows. */
static void check_row(input *in, const skx_item_model *model, const skx_csr *x, const skx_recommend_params *p,
                      skx_item_scratch *scratch, const int32_t *labels)
{
    int32_t *found = own(in, (size_t)p->k * 4);
    float *scores = own(in, (size_t)p->k * 4);
    for (int64_t i = 0; i < x->n_rows; i++) {
        int64_t begin = x->indptr[i], n = x->indptr[i + 1] - begin;
        int status =
            skx_recommend_row(model, x->indices + begin, x->data + begin, n, p->k, p->exclude_stored, scratch, found, scores);
        if (status == SKX_OK && !p->among && !p->exclude) CLAIM(!memcmp(found, labels + i * p->k, (size_t)p->k * 4));
    }
    int64_t n = take_between(in, 0, 6);
    int32_t *any = take_array(in, n, 4);
    float *data = take_array(in, n, 4);
    skx_recommend_row(model, any, data, n, p->k, p->exclude_stored, scratch, found, scores);
}

static void check_dense(input *in, const skx_csr *x, const skx_recommend_params *p, int64_t n_items)
{
    int64_t n = x->n_rows;
    float *dense = own(in, (size_t)(n * n_items) * 4), *scores = own(in, (size_t)(n * p->k) * 4);
    int32_t *labels = own(in, (size_t)(n * p->k) * 4);
    for (int64_t i = 0; i < n * n_items; i++) dense[i] = i < 64 ? take_float(in) : (float)(i % 13);
    if (skx_dense_top_k(dense, n, n_items, x, 0, p, labels, scores) != SKX_OK) return;
    for (int64_t i = 0; i < n; i++) {
        float last = INFINITY;
        for (int64_t j = 0; j < p->k; j++) {
            int32_t label = labels[i * p->k + j];
            if (label < 0) continue;
            CLAIM(label < n_items && permits(x, p, i, label) && scores[i * p->k + j] <= last);
            last = scores[i * p->k + j];
            CLAIM(last == dense[i * n_items + label]);
        }
        for (int32_t item = 0; item < n_items && labels[i * p->k + p->k - 1] >= 0; item++)
            if (permits(x, p, i, item) && dense[i * n_items + item] > last) {
                bool found = false;
                for (int64_t j = 0; j < p->k; j++) found |= labels[i * p->k + j] == item;
                CLAIM(found);
            }
    }
}

static void check_factors(input *in, const skx_csr *x)
{
    int64_t n = take_between(in, 1, MOST_FACTORS), n_items = x->n_cols;
    float *items = own(in, (size_t)(n_items * (n + 1)) * 4), *users = own(in, (size_t)(x->n_rows * n) * 4);
    float *gram = own(in, (size_t)(n * n) * 4), *out = own(in, (size_t)(x->n_rows * n) * 4);
    int32_t cancel = take_byte(in) == 255;
    for (int64_t i = 0; i < n_items * (n + 1); i++) items[i] = i < 40 ? take_float(in) : (float)(i % 5) / 4;
    for (int64_t i = 0; i < x->n_rows * n; i++) users[i] = (float)(i % 3);
    for (int64_t i = 0; i < n * n; i++) gram[i] = i % (n + 1) == 0 ? take_float(in) : 0;
    int status = skx_als_solve(x, items, n, gram, (double)take_float(in), &cancel, 0, x->n_rows, out);
    CLAIM(status == SKX_OK || status == SKX_ENOMEM || status == SKX_EFINITE || (cancel && status == SKX_ECANCELLED));
    skx_bpr_params params = {0.05, 0.01, take_between(in, 0, 50), take_byte(in), &cancel};
    status = skx_bpr_epoch(x, &params, n, users, items);
    CLAIM(status == SKX_OK || status == SKX_EARG || (cancel && status == SKX_ECANCELLED));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    uint8_t how = take_byte(&in);
    bool any = how & 1;
    skx_item_model model = take_model(&in, any);
    skx_csr x = take_csr(&in, 6, how & 2 ? 2 * N_ITEMS : model.n_items);
    skx_recommend_params params = {take_between(&in, 0, 24), how & 4, take_sets(&in, x.n_rows), take_sets(&in, x.n_rows)};
    int64_t n = x.n_rows, k = params.k;
    float *sum = own(&in, (size_t)model.n_items * 4), *scores = own(&in, (size_t)(n * k) * 4);
    uint8_t *state = own(&in, (size_t)model.n_items);
    int32_t *touched = own(&in, (size_t)(model.n_items + 1) * 4), *labels = own(&in, (size_t)(n * k) * 4);
    memset(sum, 0, (size_t)model.n_items * 4);
    memset(state, 0, (size_t)model.n_items);
    skx_item_scratch scratch = {sum, state, touched};
    int status = skx_recommend(&model, &x, &params, 0, n, &scratch, labels, scores);
    CLAIM(k > 0 || status == SKX_EARG);
    if (status == SKX_EARG) return input_free(&in); /* or sets that lead outside */
    if (succeeded(status)) {
        for (int64_t i = 0; !any && i < n; i++) check_ranking(&model, &x, &params, i, labels + i * k, scores + i * k);
        check_row(&in, &model, &x, &params, &scratch, labels);
        for (int64_t i = 0; i < model.n_items; i++) CLAIM(sum[i] == 0 && state[i] == 0);
        check_dense(&in, &x, &params, model.n_items);
    }
    check_factors(&in, &x);
    return input_free(&in);
}
