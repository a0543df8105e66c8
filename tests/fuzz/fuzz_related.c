/* Related items of any histories, compared with a slow implementation. */
#include "input.h"

#include <math.h>
#include <stdbool.h>

enum { N_NODES = 24, N_SIZES = 10 };

/* Purchases of users, and all arrays of skx_purchases made of them. */
static skx_purchases purchases_of(input *in, const skx_csr *histories, const skx_csr *targets)
{
    int64_t n_rows = histories->n_rows, n_items = histories->n_cols, nnz = histories->indptr[n_rows];
    int64_t n_targets = targets->indptr[n_rows];
    int64_t *row_ptr = own(in, (size_t)(n_items + 1) * 8), *n_with = own(in, (size_t)n_items * 8);
    int64_t *n_followers = own(in, (size_t)n_items * 8), *sorted = own(in, (size_t)n_items * 8);
    int32_t *row = own(in, (size_t)nnz * 4), *target = own(in, (size_t)n_targets * 4);
    int32_t *item_of = own(in, (size_t)n_items * 4), *position_of = own(in, (size_t)n_items * 4);
    memset(n_with, 0, (size_t)n_items * 8);
    memset(n_followers, 0, (size_t)n_items * 8);
    for (int64_t e = 0; e < nnz; e++) n_with[histories->indices[e]]++;
    for (int64_t e = 0; e < n_targets; e++) n_followers[targets->indices[e]]++;
    int64_t used = 0, position = 0;
    for (int64_t item = 0; item < n_items; item++) {
        row_ptr[item] = used;
        for (int64_t r = 0; r < n_rows; r++)
            for (int64_t e = histories->indptr[r]; e < histories->indptr[r + 1]; e++)
                if (histories->indices[e] == item) row[used++] = (int32_t)r;
    }
    row_ptr[n_items] = used;
    for (int64_t count = n_rows; count >= 0; count--)
        for (int64_t item = 0; item < n_items; item++)
            if (n_followers[item] == count) {
                sorted[position] = count;
                position_of[item] = (int32_t)position;
                item_of[position++] = (int32_t)item;
            }
    for (int64_t e = 0; e < n_targets; e++) target[e] = position_of[targets->indices[e]];
    return (skx_purchases){.n_rows = n_rows,
                           .n_items = n_items,
                           .row_ptr = row_ptr,
                           .row = row,
                           .target_ptr = targets->indptr,
                           .target = target,
                           .item_of = item_of,
                           .position_of = position_of,
                           .n_with = n_with,
                           .n_followers = sorted};
}

/* Add weights of any sign. */
static void take_weights(input *in, skx_purchases *p)
{
    float *factor = own(in, (size_t)p->n_items * 4), *other = own(in, (size_t)p->n_items * 4);
    float *row_weight = own(in, (size_t)p->n_rows * 4);
    for (int64_t r = 0; r < p->n_rows; r++) row_weight[r] = (float)take_byte(in) / 8;
    for (int64_t i = 0; i < p->n_items; i++) factor[i] = (float)(i % 7) - 1;
    for (int64_t i = 0; i < p->n_items; i++) other[i] = factor[p->item_of[i]];
    p->row_weight = row_weight;
    p->factor = factor;
    p->other_factor = other;
}

static int64_t n_all_followers(const skx_purchases *p) { return p->target_ptr[p->n_rows]; }

static int64_t others_of(const skx_purchases *p, int same, int64_t row)
{
    int64_t n = p->target_ptr[row + 1] - p->target_ptr[row] - (same ? 1 : 0);
    return n > 0 ? n : 0;
}

/* Tables whose nodes surround the shares of all items. */
static skx_expectation expectation_of(input *in, const skx_purchases *p, int same)
{
    double nodes[N_NODES], total = n_all_followers(p) > 0 ? (double)n_all_followers(p) : 1.0;
    double least = 1.0 / total, most = p->n_items > 0 ? (double)p->n_followers[0] / total : 0.5;
    double step = most > least ? log(most / least) / (N_NODES - 6) : 0.0;
    int64_t *sizes = own(in, N_SIZES * sizeof *sizes);
    double *table = own(in, N_SIZES * N_NODES * sizeof *table);
    double *weight = own(in, (size_t)(6 * p->n_items) * sizeof *weight);
    skx_share *share = own(in, (size_t)p->n_items * sizeof *share);
    int32_t *row_size = own(in, (size_t)p->n_rows * sizeof *row_size);
    if (step < 1e-3) step = 1e-3;
    for (int g = 0; g < N_NODES; g++) {
        double node = exp(log(least) + step * (g - 2.5)), limit = 1 - 1e-12 * (N_NODES - g);
        nodes[g] = node < limit ? node : limit;
    }
    for (int s = 0; s < N_SIZES; s++) sizes[s] = s;
    CLAIM(skx_expectation_fill(N_SIZES, sizes, N_NODES, nodes, table) == SKX_OK);
    for (int64_t r = 0; r < p->n_rows; r++) row_size[r] = (int32_t)others_of(p, same, r);
    for (int64_t i = 0; i < p->n_items; i++) {
        double P = (double)p->n_followers[i] / total;
        int cell = 2;
        while (cell < N_NODES - 4 && nodes[cell + 1] <= P) cell++;
        double fraction = (P - nodes[cell]) / (nodes[cell + 1] - nodes[cell]);
        fraction = fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
        share[i] = (skx_share){cell, (float)fraction};
        for (int a = 0; a < 6; a++) {
            double w = 1;
            for (int b = 0; b < 6; b++)
                if (a != b) w *= (P - nodes[cell - 2 + b]) / (nodes[cell - 2 + a] - nodes[cell - 2 + b]);
            weight[6 * i + a] = w;
        }
    }
    return (skx_expectation){N_NODES, N_SIZES, row_size, table, share, weight};
}

static double x_log_x(double x) { return x > 0 ? x * log(x) : 0; }

static double g_squared(double N, double n, double m, double R)
{
    double cells = x_log_x(N) + x_log_x(n - N) + x_log_x(m - N) + x_log_x(R - n - m + N);
    return 2 * (cells + x_log_x(R) - x_log_x(n) - x_log_x(R - n) - x_log_x(m) - x_log_x(R - m));
}

/* The score of an item and of the item at a position, from its definition; 0 if they are not related. */
static double slow_score(const skx_purchases *p, const skx_related_params *params, int64_t item, int64_t other)
{
    double both = 0, expected = 0, weights = 0, n = (double)p->n_with[item], m = (double)p->n_followers[other];
    double R = (double)p->n_rows, s = params->shrinkage, score = 0;
    if (params->same && p->item_of[other] == item) return 0;
    for (int64_t b = p->row_ptr[item]; b < p->row_ptr[item + 1]; b++) {
        int64_t r = p->row[b];
        double share = m / (double)n_all_followers(p);
        expected += 1 - pow(1 - share, (double)others_of(p, params->same, r));
        for (int64_t t = p->target_ptr[r]; t < p->target_ptr[r + 1]; t++)
            if (p->target[t] == other) {
                both++;
                weights += p->row_weight ? (double)p->row_weight[r] : 0;
            }
    }
    if (both < (double)params->n_least) return 0;
    switch (params->relatedness) {
    case SKX_CORRECTED: return (both - expected) / sqrt(expected + s);
    case SKX_DIFFERENCE: score = both / n - m / R; break;
    case SKX_COSINE: score = both / sqrt(n * m); break;
    case SKX_JACCARD: score = both / (n + m - both); break;
    case SKX_LIFT: score = both * R / (n * m); break;
    case SKX_LOG_LIKELIHOOD: score = both * R > n * m ? g_squared(both, n, m, R) : 0; break;
    case SKX_COUNT: score = both; break;
    default: score = (double)p->factor[item] * (double)p->other_factor[other] * weights;
    }
    return score * both / (both + s);
}

/* Claim that the related items of an item are those with the best scores. */
static void check_item(const skx_purchases *p, const skx_related_params *params, int64_t item, const int32_t *related,
                       const float *scores, int64_t n)
{
    double least = INFINITY;
    for (int64_t j = 0; j < n; j++) {
        CLAIM(related[j] >= 0 && related[j] < p->n_items);
        double expected = slow_score(p, params, item, p->position_of[related[j]]);
        CLAIM(fabs(expected - (double)scores[j]) <= 1e-4 * fabs(expected) + 1e-5);
        CLAIM(scores[j] > 0);
        CLAIM(j == 0 || scores[j] < scores[j - 1] || (scores[j] == scores[j - 1] && related[j] > related[j - 1]));
        least = (double)scores[j];
    }
    if (n < params->n_related) least = 0;
    for (int64_t other = 0; other < p->n_items; other++) {
        bool is_related = false;
        for (int64_t j = 0; j < n; j++) is_related |= related[j] == p->item_of[other];
        if (!is_related) CLAIM(slow_score(p, params, item, other) <= least * (1 + 1e-4) + 1e-5);
    }
}

/* Claim that the same items are related if each pair is counted once, in two parts. */
static void check_symmetric(input *in, const skx_purchases *p, const skx_related_params *params, const skx_csr_buffers *related)
{
    int64_t n = p->n_items, n_rows = p->n_rows, nnz = n_all_followers(p), middle = take_between(in, 0, n), used = 0;
    int64_t most = params->n_related + take_between(in, 1, 20);
    skx_ordered_histories h = {.n_rows = n_rows, .n_items = n, .item_of = p->item_of};
    h.position = own(in, (size_t)(n_rows + nnz) * 4);
    h.entry_ptr = own(in, (size_t)(n + 1) * 8);
    h.entry = own(in, (size_t)nnz * 4);
    h.n_before = own(in, (size_t)n * 8);
    h.n_others = own(in, (size_t)n * 8);
    if (!succeeded(skx_order_histories(n_rows, p->target_ptr, p->row_ptr, p->row, &h))) return;
    int64_t *ptr = own(in, (size_t)(n + 1) * 8);
    for (int64_t i = 0; i < n; i++) {
        ptr[i] = used;
        used += h.n_others[i] < most ? h.n_others[i] : most;
    }
    ptr[n] = used;
    skx_best_keys parts[2];
    for (int i = 0; i < 2; i++) {
        parts[i] = (skx_best_keys){ptr, own(in, (size_t)n * 8), own(in, (size_t)used * 8)};
        int64_t begin = i ? middle : 0, end = i ? n : middle;
        if (!succeeded(skx_relate_symmetric(&h, params, begin, end, &parts[i]))) return;
    }
    skx_csr_buffers out = {.capacity = related->indptr[n], .indptr = own(in, (size_t)(n + 1) * 8)};
    out.indices = own(in, (size_t)out.capacity * 4);
    out.data = own(in, (size_t)out.capacity * 4);
    if (!succeeded(skx_join_best(n, p->position_of, params->n_related, 2, parts, &out))) return;
    CLAIM(memcmp(out.indptr, related->indptr, (size_t)(n + 1) * 8) == 0);
    CLAIM(memcmp(out.indices, related->indices, (size_t)out.capacity * 4) == 0);
    CLAIM(memcmp(out.data, related->data, (size_t)out.capacity * 4) == 0);
}

static void check_counts(input *in, const skx_purchases *p, int same)
{
    int64_t n = p->n_items, capacity = take_between(in, 0, 400);
    skx_csr_buffers out = {.capacity = capacity, .indptr = own(in, (size_t)(n + 1) * 8)};
    skx_related_params params = {.relatedness = SKX_COUNT, .n_related = 1, .n_least = 1, .same = same};
    out.indices = own(in, (size_t)capacity * 4);
    out.data = own(in, (size_t)capacity * 4);
    int status = skx_cooccurrences(p, same, NULL, 0, n, &out);
    if (status == SKX_ECAPACITY) CLAIM(out.indptr[n] > capacity);
    if (status == SKX_ECAPACITY || !succeeded(status)) return;
    for (int64_t item = 0; item < n; item++)
        for (int64_t e = out.indptr[item]; e < out.indptr[item + 1]; e++)
            CLAIM((double)out.data[e] == slow_score(p, &params, item, p->position_of[out.indices[e]]));
}

/* The rows of a matrix, several times. */
static skx_csr repeated(input *in, const skx_csr *x, int64_t times)
{
    int64_t nnz = x->indptr[x->n_rows], n_rows = x->n_rows * times;
    int64_t *indptr = own(in, (size_t)(n_rows + 1) * 8);
    int32_t *indices = own(in, (size_t)(nnz * times) * 4);
    for (int64_t t = 0; t < times; t++) {
        for (int64_t r = 0; r < x->n_rows; r++) indptr[t * x->n_rows + r] = t * nnz + x->indptr[r];
        if (nnz) memcpy(indices + t * nnz, x->indices, (size_t)nnz * 4);
    }
    indptr[n_rows] = nnz * times;
    return (skx_csr){n_rows, x->n_cols, indptr, indices, NULL, 0};
}

/* Targets that are the same items for all rows, or some of them. */
static skx_csr take_targets(input *in, const skx_csr *histories)
{
    skx_csr one = take_csr(in, 1, histories->n_cols);
    int64_t *indptr = own(in, (size_t)(histories->n_rows + 1) * 8), n = one.n_rows ? one.indptr[1] : 0;
    int32_t *indices = own(in, (size_t)(n * histories->n_rows) * 4);
    indptr[0] = 0;
    for (int64_t r = 0; r < histories->n_rows; r++) {
        indptr[r + 1] = indptr[r];
        for (int64_t e = take_byte(in) % (n + 1); e < n; e++) indices[indptr[r + 1]++] = one.indices[e];
    }
    return (skx_csr){histories->n_rows, histories->n_cols, indptr, indices, NULL, 0};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    uint8_t how = take_byte(&in);
    int64_t n_cols = how & 1 ? 600 : how & 2 ? 60 : 8;
    skx_csr histories = take_csr(&in, 24, n_cols);
    if (how >= 200) histories = repeated(&in, &histories, 16);
    int same = take_byte(&in) % 4 > 0;
    skx_csr targets = same ? histories : take_targets(&in, &histories);
    skx_purchases p = purchases_of(&in, &histories, &targets);
    take_weights(&in, &p);
    skx_expectation e = expectation_of(&in, &p, same);
    int32_t cancel = take_byte(&in) == 255;
    skx_related_params params = {take_byte(&in) % 9,
                                 (double)(take_byte(&in) % 4) * 5,
                                 take_between(&in, 0, 20),
                                 1 + take_byte(&in) % 3 / 2,
                                 same,
                                 &cancel};
    int64_t n = p.n_items, most = params.n_related < n ? params.n_related : n;
    int64_t capacity = how & 4 ? take_between(&in, 0, 100) : n * most;
    int32_t *items = own(&in, (size_t)n * 4);
    for (int64_t i = 0; i < n; i++) items[i] = (int32_t)i;
    skx_csr_buffers out = {.capacity = capacity, .indptr = own(&in, (size_t)(n + 1) * 8)};
    out.indices = own(&in, (size_t)capacity * 4);
    out.data = own(&in, (size_t)capacity * 4);
    int status = skx_related(&p, &e, &params, items, n, &out, NULL);
    if (params.relatedness > SKX_WEIGHTED || params.n_related < 1) {
        CLAIM(status == SKX_EARG);
    } else if (cancel && n > 0) {
        CLAIM(status == SKX_ECANCELLED || status == SKX_ENOMEM);
    } else if (status != SKX_ECAPACITY && succeeded(status)) {
        for (int64_t i = 0; i < n; i++) {
            CLAIM(out.indptr[i + 1] - out.indptr[i] <= most);
            if (i % 16 == 0 || n < 100)
                check_item(&p, &params, i, out.indices + out.indptr[i], out.data + out.indptr[i],
                           out.indptr[i + 1] - out.indptr[i]);
        }
        if (same && params.relatedness >= SKX_COSINE && params.relatedness <= SKX_LIFT) check_symmetric(&in, &p, &params, &out);
    }
    check_counts(&in, &p, same);
    return input_free(&in);
}
