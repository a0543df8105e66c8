/* Matrices of any content: those that pass the check are safe. */
#include "input.h"

static void transpose_twice(input *in, const skx_csr *a)
{
    int64_t nnz = a->indptr[a->n_rows], row;
    int64_t *ptr = own(in, (size_t)(a->n_cols + 1) * sizeof *ptr), *back = own(in, (size_t)(a->n_rows + 1) * sizeof *back);
    int32_t *rows = own(in, (size_t)nnz * sizeof *rows), *columns = own(in, (size_t)nnz * sizeof *columns);
    float *data = own(in, (size_t)nnz * sizeof *data), *again = own(in, (size_t)nnz * sizeof *again);
    if (!succeeded(skx_csr_transpose(a, ptr, rows, data))) return;
    skx_csr t = {a->n_cols, a->n_rows, ptr, rows, data, 0};
    CLAIM(skx_csr_check(&t, nnz, &row) == SKX_OK);
    if (!succeeded(skx_csr_transpose(&t, back, columns, again))) return;
    CLAIM(memcmp(back, a->indptr, (size_t)(a->n_rows + 1) * sizeof *back) == 0);
    CLAIM(memcmp(columns, a->indices, (size_t)nnz * sizeof *columns) == 0);
    CLAIM(memcmp(again, a->data, (size_t)nnz * sizeof *again) == 0);
}

static void rank_entries(input *in, const skx_csr *a)
{
    int64_t k = take_between(in, 1, 9);
    int32_t *labels = own(in, (size_t)(a->n_rows * k) * sizeof *labels);
    float *scores = own(in, (size_t)(a->n_rows * k) * sizeof *scores);
    if (!succeeded(skx_csr_top_k(a, k, labels, scores))) return;
    for (int64_t i = 0; i < a->n_rows * k; i++) {
        CLAIM(labels[i] >= -1 && labels[i] < a->n_cols);
        CLAIM(i % k == 0 || !(scores[i] > scores[i - 1]));
    }
}

static void sum_groups(input *in, const skx_csr *a)
{
    if (a->n_rows == 0) return;
    int64_t n = take_between(in, 0, 4), n_members = take_between(in, 0, 12), capacity = take_between(in, 0, 64), row;
    int64_t *group = own(in, (size_t)(n + 1) * sizeof *group);
    int32_t *member = own(in, (size_t)n_members * sizeof *member);
    float *weight = own(in, (size_t)n_members * sizeof *weight);
    for (int64_t g = 0; g <= n; g++) group[g] = n_members * g / (n ? n : 1);
    for (int64_t e = 0; e < n_members; e++) {
        member[e] = take_byte(in) % a->n_rows;
        weight[e] = take_finite(in);
    }
    int64_t *indptr = own(in, (size_t)(n + 1) * sizeof *indptr);
    int32_t *indices = own(in, (size_t)capacity * sizeof *indices);
    float *data = own(in, (size_t)capacity * sizeof *data);
    skx_csr_buffers out = {capacity, indptr, indices, data};
    int status = skx_csr_group_sum(a, group, member, weight, 0, n, take_byte(in) & 1, &out);
    if (status == SKX_ECAPACITY || status == SKX_EFINITE || !succeeded(status)) return;
    skx_csr sums = {n, a->n_cols, indptr, indices, data, 0};
    CLAIM(skx_csr_check(&sums, capacity, &row) == SKX_OK);
}

static void compare_rows(input *in, const skx_csr *a)
{
    if (a->n_rows == 0) return;
    int32_t left[16], right[16];
    uint8_t equal[16];
    uint64_t *hash = own(in, (size_t)a->n_rows * sizeof *hash);
    for (int i = 0; i < 16; i++) {
        left[i] = take_byte(in) % a->n_rows;
        right[i] = take_byte(in) % a->n_rows;
    }
    CLAIM(skx_csr_hash_rows(a, NULL, hash) == SKX_OK);
    CLAIM(skx_csr_compare_rows(a, left, right, 16, equal) == SKX_OK);
    for (int i = 0; i < 16; i++) CLAIM(!equal[i] || hash[left[i]] == hash[right[i]]);
}

/* Pointers are made of small steps, so that many matrices pass the first checks, or of any bytes. */
static int64_t *take_pointers(input *in, int64_t n)
{
    if (take_byte(in) % 8 == 0) return take_array(in, n + 1, sizeof(int64_t));
    int64_t *ptr = own(in, (size_t)(n + 1) * sizeof *ptr);
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + (int8_t)take_byte(in) / 16;
    return ptr;
}

static int32_t *take_indices(input *in, int64_t n)
{
    if (take_byte(in) % 8 == 0) return take_array(in, n, sizeof(int32_t));
    int32_t *indices = own(in, (size_t)n * sizeof *indices);
    for (int64_t i = 0; i < n; i++) indices[i] = (int8_t)take_byte(in) / 2;
    return indices;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    int64_t n_rows = take_between(&in, 0, 12), nnz = take_between(&in, 0, 60), row;
    skx_csr a = {n_rows, take_between(&in, 0, 70), take_pointers(&in, n_rows), take_indices(&in, nnz), NULL, 0};
    float *data = own(&in, (size_t)nnz * sizeof *data);
    for (int64_t i = 0; i < nnz; i++) data[i] = take_float(&in);
    a.data = data;
    int status = skx_csr_check(&a, nnz, &row);
    CLAIM(status == SKX_OK || status == SKX_EPOINTER || (row >= 0 && row < n_rows));
    if (status == SKX_OK) {
        transpose_twice(&in, &a);
        rank_entries(&in, &a);
        sum_groups(&in, &a);
        compare_rows(&in, &a);
    }
    return input_free(&in);
}
