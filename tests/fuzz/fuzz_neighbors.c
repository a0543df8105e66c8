/* Training rows with arrays of any content, and rankings of any labels and scores: the neighbors and labels that are found
 * exist. */
#include "input.h"

#include <math.h>

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
static void combine_rows(const skx_neighbor_rows *rows, const skx_csr *queries, const skx_neighbor_params *search,
                         const skx_combine_params *params, const skx_rankings *rankings, const int32_t *labels,
                         const float *scores)
{
    int32_t found[8];
    float found_scores[8];
    size_t k = (size_t)params->k;
    for (int64_t i = 0; i < queries->n_rows; i++) {
        int64_t at = queries->indptr[i], n = queries->indptr[i + 1] - at;
        skx_rankings row = {rankings->n_listed, rankings->labels + i * rankings->n_listed,
                            rankings->scores + i * rankings->n_listed};
        int status = skx_combine_row(rows, search, params, queries->indices + at, queries->data + at, n, &row, row.n_listed,
                                     found, found_scores);
        if (!succeeded(status)) return;
        CLAIM(!memcmp(found, labels + (size_t)i * k, k * sizeof *found));
        CLAIM(!memcmp(found_scores, scores + (size_t)i * k, k * sizeof *found_scores));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    skx_neighbor_rows rows = take_neighbor_rows(&in);
    skx_csr queries = take_csr(&in, 4, 70);
    int64_t n = queries.n_rows, q = take_between(&in, 0, 6), k = take_between(&in, 1, 8), n_listed = take_between(&in, 0, 5);
    int32_t *listed = take_numbers(&in, n * n_listed, rows.n_labels);
    float *listed_scores = take_floats(&in, n * n_listed);
    int32_t *neighbor = own(&in, (size_t)(n * (q + 1)) * 4), *labels = own(&in, (size_t)(n * k) * 4);
    float *similarity = own(&in, (size_t)(n * (q + 1)) * 4), *scores = own(&in, (size_t)(n * k) * 4);
    skx_neighbor_params search = {q, take_between(&in, 1, 40)};
    if (q > 0) {
        if (!succeeded(skx_find_neighbors(&rows, &queries, &search, 0, n, n_listed, listed, neighbor, similarity)))
            return input_free(&in);
        for (int64_t i = 0; i < n * q; i++) {
            CLAIM(neighbor[i] >= -1 && neighbor[i] < rows.n_rows);
            CLAIM(neighbor[i] >= 0 ? similarity[i] > 0.0f : similarity[i] == 0.0f);
        }
    }
    skx_combine_params params = {q, (float)(take_byte(&in) % 5), 0.25f, take_byte(&in) & 1 ? -INFINITY : 0.0f, k, 1, 0, 0};
    params.n_head = take_byte(&in) % 4;
    params.logarithms = take_byte(&in) & 1;
    uint8_t how = take_byte(&in);
    int any = how & 1, limited = how & 2;
    skx_label_restriction within = {0};
    if (limited) {
        within.among = take_sets(&in, n);
        within.exclude = take_sets(&in, n);
        params.within = &within;
    }
    if (any) memcpy(similarity, take_floats(&in, n * q), (size_t)(n * q) * 4);
    skx_rankings rankings = {n_listed, listed, listed_scores};
    int status = skx_combine(q > 0 ? &rows : NULL, &params, n, &rankings, neighbor, similarity, labels, scores);
    if (status == SKX_EARG && limited) return input_free(&in); /* sets that lead outside */
    if (succeeded(status)) {
        check_labels(n, k, params.floor, labels, scores);
        if (q > 0 && !any && !limited) combine_rows(&rows, &queries, &search, &params, &rankings, labels, scores);
    }
    return input_free(&in);
}
