/* Small problems of training and clustering: the result is finite, and compiles to a valid layer. */
#include "input.h"

#include <math.h>

static void cluster(input *in, const skx_kernels *kernels, const skx_csr *x)
{
    if (x->n_rows == 0) return;
    int64_t n = take_between(in, 1, 20);
    int32_t *rows = own(in, (size_t)n * sizeof *rows), *cluster = own(in, (size_t)n * sizeof *cluster), n_iter, cancel;
    for (int64_t i = 0; i < n; i++) rows[i] = take_byte(in) % x->n_rows;
    skx_kmeans_params params = {
        take_between(in, 1, n), 1 + take_byte(in) % 6, take_byte(in) & 1, take_byte(in), &cancel, {NULL, 0}};
    int balanced = take_byte(in) & 1;
    cancel = take_byte(in) == 255;
    int status = (balanced ? skx_kmeans_balanced : skx_kmeans_lloyd)(kernels, x, rows, n, &params, cluster, &n_iter);
    if (status == SKX_ECANCELLED || !succeeded(status)) return;
    for (int64_t i = 0; i < n; i++) CLAIM(cluster[i] >= 0 && cluster[i] < params.n_clusters);
}

/* A node of all examples, with some of them positives of each child. */
static skx_node take_node(input *in, const skx_csr *x)
{
    int64_t n = x->n_rows, n_children = take_between(in, 1, 20);
    int64_t *ptr = own(in, (size_t)(n_children + 1) * sizeof *ptr);
    int32_t *examples = own(in, (size_t)n * sizeof *examples), *positive = own(in, (size_t)(n * n_children) * sizeof *positive);
    float *weight = own(in, (size_t)n * sizeof *weight);
    uint8_t *role = own(in, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        examples[i] = (int32_t)i;
        weight[i] = 0.125f * (float)(1 + take_byte(in) % 16);
        role[i] = take_byte(in) % 3;
    }
    ptr[0] = 0;
    for (int64_t c = 0; c < n_children; c++) {
        ptr[c + 1] = ptr[c];
        for (int64_t i = 0; i < n; i++)
            if (take_byte(in) % 3 == 0) positive[ptr[c + 1]++] = (int32_t)i;
    }
    uint8_t how = take_byte(in);
    return (skx_node){n, n_children, examples, ptr, positive, NULL, how & 1 ? weight : NULL, how & 2 ? role : NULL};
}

static void compile(const skx_sibling_weights *columns, int64_t n_features, int value_bytes)
{
    int64_t slots, bytes, weights, rows;
    int status = skx_chunk_size(columns, n_features, value_bytes, &slots, &bytes);
    if (status == SKX_EFINITE || !succeeded(status)) return;
    input in = input_empty();
    skx_slot *index = own(&in, (size_t)slots * sizeof *index);
    uint8_t *payload = own(&in, (size_t)bytes);
    if (succeeded(skx_chunk_write(columns, n_features, value_bytes, slots, bytes, index, payload))) {
        skx_chunk chunk = {slots, bytes, columns->width, value_bytes, index, payload};
        CLAIM(skx_chunk_check(&chunk, n_features, &weights, &rows) == SKX_OK);
    }
    input_free(&in);
}

static void train(input *in, const skx_kernels *kernels, const skx_csr *x)
{
    skx_node node = take_node(in, x);
    static const float costs[] = {1.0f, 0.01f, 1e4f, 1e30f};
    int32_t cancel, n_iter;
    skx_train_params params = {take_byte(in) % 2,
                               1 + take_byte(in) % 12,
                               costs[take_byte(in) % 4],
                               (float)(take_byte(in) % 3),
                               0.1f,
                               take_byte(in) % 2 ? 0.1f : 0.0f,
                               take_byte(in),
                               &cancel,
                               node.n_children % 3 == 0 ? x->n_cols / 2 : 0,
                               {NULL, 0}};
    cancel = take_byte(in) == 255;
    int64_t feature_capacity = take_between(in, 0, 70), capacity = take_between(in, 0, 400), done, first = 0;
    int32_t *features = own(in, (size_t)feature_capacity * 4), *entries = own(in, (size_t)capacity * 4);
    float *values = own(in, (size_t)capacity * 4), *bias = own(in, (size_t)node.n_children * 4);
    int64_t *ptr = own(in, (size_t)(node.n_children + 1) * 8);
    float *dense = own(in, (size_t)(node.n_children * params.n_dense) * 4);
    skx_weight_buffers out = {feature_capacity, capacity, features, ptr, entries, values, bias, 0, dense};
    while (first < node.n_children) {
        int status = skx_train_node(kernels, x, &node, &params, first, &out, &done, &n_iter);
        if (status == SKX_ECAPACITY || status == SKX_EFINITE || status == SKX_ECANCELLED || !succeeded(status)) return;
        CLAIM(done > first && done <= node.n_children);
        for (int64_t p = 0; p < ptr[done - first]; p++) CLAIM(isfinite(values[p]) && values[p] != 0.0f);
        for (int64_t c = 0; c < done - first; c++) CLAIM(isfinite(bias[c]));
        for (int64_t i = 0; i < (done - first) * params.n_dense; i++) CLAIM(isfinite(dense[i]));
        skx_sibling_weights columns = {done - first, out.n_features, features, ptr, entries, values};
        compile(&columns, x->n_cols, take_byte(in) & 1 ? SKX_FLOAT16 : SKX_FLOAT32);
        first = done;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    const skx_kernels *kernels = take_kernels(&in);
    skx_csr x = take_csr(&in, 12, 64);
    cluster(&in, kernels, &x);
    train(&in, kernels, &x);
    return input_free(&in);
}
