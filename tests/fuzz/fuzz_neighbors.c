/* Training rows with arrays of any content, and rankings of any labels and scores: the neighbors and labels that are found
 * exist. */
#include "input.h"

#include <math.h>
#include <stdbool.h>

enum { FIRST_DENSE = 40, N_COLUMNS = 70 }; /* of queries */

/* Pointers that mostly increase, or any. */
static int64_t *take_pointers(input *in, int64_t n, int64_t end)
{
    if (take_byte(in) % 8 == 0) return take_array(in, n + 1, sizeof(int64_t));
    int64_t *ptr = own(in, (size_t)(n + 1) * sizeof *ptr);
    for (int64_t i = 0; i <= n; i++) ptr[i] = end * i / (n ? n : 1) + (take_byte(in) > 230 ? (int8_t)take_byte(in) : 0);
    return ptr;
}

/* Numbers mostly in [0, n), or near it, or any. */
static int32_t *take_numbers(input *in, int64_t count, int64_t n)
{
    if (take_byte(in) % 8 == 0) return take_array(in, count, sizeof(int32_t));
    int32_t *numbers = own(in, (size_t)count * sizeof *numbers);
    for (int64_t i = 0; i < count; i++) numbers[i] = (int32_t)(take_byte(in) % (n + 3)) - 1;
    return numbers;
}

static float *take_floats(input *in, int64_t n)
{
    float *values = own(in, (size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++) values[i] = take_float(in);
    return values;
}

/* Words of features below 256, mostly, with any values. */
static uint32_t *take_words(input *in, int64_t n)
{
    if (take_byte(in) % 8 == 0) return take_array(in, n, sizeof(uint32_t));
    uint32_t *words = own(in, (size_t)n * sizeof *words);
    for (int64_t i = 0; i < n; i++) {
        float scale = take_finite(in);
        uint8_t kind = take_byte(in);
        words[i] = kind % 4 ? 256u * (kind % 70) + take_byte(in) : 0;
        if (kind % 4 == 0) memcpy(&words[i], &scale, sizeof scale);
    }
    return words;
}

static skx_neighbor_rows take_neighbor_rows(input *in)
{
    int64_t n_rows = take_between(in, 0, 30), n_words = take_between(in, 0, 300);
    int64_t n_labels = take_between(in, 1, 20), n_entries = take_between(in, 0, 60);
    return (skx_neighbor_rows){
        .n_rows = n_rows,
        .n_words = n_words,
        .word_ptr = take_pointers(in, n_rows, n_words),
        .word = take_words(in, n_words),
        .n_labels = n_labels,
        .n_entries = n_entries,
        .label_ptr = take_pointers(in, n_rows, n_entries),
        .label = take_numbers(in, n_entries, n_labels),
        .posting_ptr = take_pointers(in, n_labels, n_entries),
        .posting = take_numbers(in, n_entries, n_rows),
        .weight = take_byte(in) & 1 ? take_floats(in, n_rows) : NULL,
    };
}

static void check_labels(int64_t n, int64_t k, float floor, const int32_t *labels, const float *scores)
{
    for (int64_t i = 0; i < n * k; i++) {
        CLAIM(labels[i] >= -1);
        CLAIM(labels[i] >= 0 ? scores[i] >= floor : scores[i] == -INFINITY);
        CLAIM(i % k == 0 || !(scores[i] > scores[i - 1]));
    }
}

/* Calls for single rows give the same results as a call for all rows, to the bit. */
static void combine_rows(const skx_kernels *kernels, const skx_neighbor_list *lists, int64_t n_lists, const skx_csr *queries,
                         const skx_combine_params *params, const skx_rankings *rankings, const int32_t *labels,
                         const float *scores)
{
    int32_t found[8];
    float found_scores[8];
    size_t k = (size_t)params->k;
    for (int64_t i = 0; i < queries->n_rows; i++) {
        int64_t at = queries->indptr[i], n = queries->indptr[i + 1] - at, n_sparse = 0;
        skx_rankings row = {rankings->n_listed, rankings->labels + i * rankings->n_listed,
                            rankings->scores + i * rankings->n_listed};
        while (n_sparse < n && queries->indices[at + n_sparse] < FIRST_DENSE) n_sparse++;
        int status = skx_combine_row(kernels, lists, n_lists, params, queries->indices + at, queries->data + at, n, n_sparse,
                                     &row, row.n_listed, found, found_scores);
        if (!succeeded(status)) return;
        CLAIM(!memcmp(found, labels + (size_t)i * k, k * sizeof *found));
        CLAIM(!memcmp(found_scores, scores + (size_t)i * k, k * sizeof *found_scores));
    }
}

/* Rows of any embeddings; queries have theirs in the columns from FIRST_DENSE on. */
static skx_neighbor_rows take_embeddings(input *in)
{
    skx_neighbor_rows rows = take_neighbor_rows(in);
    rows.n_words = 0;
    rows.word_ptr = NULL;
    rows.word = NULL;
    rows.n_dims = N_COLUMNS - FIRST_DENSE;
    rows.first_dim = FIRST_DENSE;
    rows.scale = take_floats(in, rows.n_rows);
    rows.vector = take_array(in, rows.n_rows * skx_embedding_stride(rows.n_dims), 1);
    return rows;
}

/* The columns of a matrix before the embeddings. */
static skx_csr leading(input *in, const skx_csr *x)
{
    int64_t *indptr = own(in, (size_t)(x->n_rows + 1) * sizeof *indptr);
    int32_t *indices = own(in, (size_t)x->indptr[x->n_rows] * sizeof *indices);
    float *data = own(in, (size_t)x->indptr[x->n_rows] * sizeof *data);
    int64_t nnz = 0;
    for (int64_t i = 0; i < x->n_rows; i++) {
        indptr[i] = nnz;
        for (int64_t p = x->indptr[i]; p < x->indptr[i + 1]; p++) {
            if (x->indices[p] >= FIRST_DENSE) break;
            indices[nnz] = x->indices[p];
            data[nnz++] = x->data[p];
        }
    }
    indptr[x->n_rows] = nnz;
    return (skx_csr){x->n_rows, x->n_cols, indptr, indices, data, 0};
}

/* Search with a memo, first for other labels. The result differs if rows do not have the labels of their postings. */
static int find_repeatedly(input *in, const skx_neighbor_rows *rows, const skx_csr *queries, const skx_neighbor_params *params,
                           int64_t n_listed, const int32_t *listed)
{
    int64_t n = queries->n_rows, q = params->n_neighbors, n_labels = n_listed + 2, n_keys = q + 1;
    skx_neighbor_memo memo = {n_labels, n_keys, own(in, (size_t)(n * n_labels) * 4), own(in, (size_t)(n * n_keys) * 8)};
    int32_t *found = own(in, (size_t)(n * q) * 4), *others = own(in, (size_t)(n * n_listed) * 4);
    float *similar = own(in, (size_t)(n * q) * 4);
    memset(memo.label, 0xff, (size_t)(n * n_labels) * 4);
    memset(memo.key, 0, (size_t)(n * n_keys) * 8);
    for (int64_t i = 0; i < n * n_listed; i++) others[i] = (listed[i] + 1) % (int32_t)(rows->n_labels + 1);
    int status = skx_find_neighbors(rows, queries, params, 0, n, n_listed, others, &memo, found, similar);
    if (status == SKX_OK) status = skx_find_neighbors(rows, queries, params, 0, n, n_listed, listed, &memo, found, similar);
    for (int64_t i = 0; status == SKX_OK && i < n * q; i++) {
        CLAIM(found[i] >= -1 && found[i] < rows->n_rows);
        CLAIM(found[i] >= 0 ? similar[i] > 0.0f : similar[i] == 0.0f);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    skx_neighbor_rows rows = take_neighbor_rows(&in), embeddings = {0};
    skx_csr queries = take_csr(&in, 4, N_COLUMNS);
    int64_t n = queries.n_rows, q = take_between(&in, 0, 6), k = take_between(&in, 1, 8), n_listed = take_between(&in, 0, 5);
    int32_t *listed = take_numbers(&in, n * n_listed, rows.n_labels);
    float *listed_scores = take_floats(&in, n * n_listed);
    int32_t *labels = own(&in, (size_t)(n * k) * 4);
    float *scores = own(&in, (size_t)(n * k) * 4);
    skx_neighbor_params search = {q, take_between(&in, 1, 40)};
    float power = (float)(take_byte(&in) % 5);
    skx_combine_params params = {take_byte(&in) & 1 ? -INFINITY : 0.0f, k, 1, take_byte(&in) % 4, take_byte(&in) & 1, NULL};
    uint8_t how = take_byte(&in);
    const skx_kernels *kernels = take_kernels(&in);
    bool any = how & 1, limited = how & 2, all = how & 4;
    int64_t n_lists = q > 0 ? 1 + (how >> 3 & 1) : 0;
    skx_neighbor_list lists[2];
    for (int64_t l = 0; l < n_lists; l++) {
        int32_t *neighbor = own(&in, (size_t)(n * q) * 4);
        float *similarity = own(&in, (size_t)(n * q) * 4);
        int status;
        if (l == 0) {
            skx_csr sparse = leading(&in, &queries);
            status = skx_find_neighbors(&rows, &sparse, &search, 0, n, n_listed, listed, NULL, neighbor, similarity);
            if (succeeded(status)) status = find_repeatedly(&in, &rows, &sparse, &search, n_listed, listed);
        } else {
            embeddings = take_embeddings(&in);
            status = skx_find_similar(kernels, &embeddings, &queries, &search, 0, n, n_listed, all ? NULL : listed, neighbor,
                                      similarity);
        }
        if (!succeeded(status)) return input_free(&in);
        const skx_neighbor_rows *among = l == 0 ? &rows : &embeddings;
        for (int64_t i = 0; i < n * q; i++) {
            CLAIM(neighbor[i] >= -1 && neighbor[i] < among->n_rows);
            CLAIM(neighbor[i] >= 0 ? similarity[i] > 0.0f : similarity[i] == 0.0f);
        }
        if (any) memcpy(similarity, take_floats(&in, n * q), (size_t)(n * q) * 4);
        int64_t n_candidates = l == 1 && all ? 0 : search.n_candidates;
        lists[l] = (skx_neighbor_list){among, q, power, 0.25f, neighbor, similarity, n_candidates};
    }
    skx_label_restriction within = {0};
    if (limited) {
        within.among = take_sets(&in, n);
        within.exclude = take_sets(&in, n);
        params.within = &within;
    }
    skx_rankings rankings = {n_listed, listed, listed_scores};
    int status = skx_combine(lists, n_lists, &params, n, &rankings, labels, scores);
    if (status == SKX_EARG && limited) return input_free(&in); /* sets that lead outside */
    if (succeeded(status)) {
        check_labels(n, k, params.floor, labels, scores);
        if (!any && !limited) combine_rows(kernels, lists, n_lists, &queries, &params, &rankings, labels, scores);
    }
    return input_free(&in);
}
