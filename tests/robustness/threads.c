/* Eight threads search one model at once, single rows and blocks of rows, and get the same result as one thread. test_threads.py
 * builds it with -fsanitize=thread, and once WITH_A_RACE, which must be reported. */
#include "skxmr.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_FEATURES = 500, N_CHILDREN = 20, N_SLOTS = N_CHILDREN * N_CHILDREN, N_ROWS = 64, PER_ROW = 12, K = 5, N_THREADS = 8 };

static uint64_t state = 1;

static int64_t below(int64_t n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(state >> 33) % n;
}

/* What several threads share. */
typedef struct {
    skx_model model;
    skx_csr x;
    int32_t labels[N_ROWS * K];
    float scores[N_ROWS * K];
} shared;

/* Chunks of random weights, one per node. */
static skx_layer make_layer(int64_t n_nodes)
{
    enum { N_LOCAL = 40, PER_CHILD = 8 };
    int64_t *ptr = malloc((size_t)(n_nodes + 1) * 8), *chunks = malloc((size_t)(n_nodes + 1) * 8);
    int64_t *index_ptr = calloc((size_t)n_nodes + 1, 8), *payload_ptr = calloc((size_t)n_nodes + 1, 8);
    float *bias = calloc((size_t)(n_nodes * N_CHILDREN), sizeof *bias);
    skx_slot *index = NULL;
    uint8_t *payload = NULL;
    for (int64_t p = 0; p <= n_nodes; p++) {
        ptr[p] = p * N_CHILDREN;
        chunks[p] = p;
    }
    for (int64_t p = 0; p < n_nodes; p++) {
        int32_t features[N_LOCAL], entries[N_CHILDREN * PER_CHILD];
        float values[N_CHILDREN * PER_CHILD];
        int64_t col_ptr[N_CHILDREN + 1], slots, bytes;
        for (int32_t f = 0; f < N_LOCAL; f++) features[f] = f * (N_FEATURES / N_LOCAL) + (int32_t)below(N_FEATURES / N_LOCAL);
        for (int64_t c = 0; c <= N_CHILDREN; c++) col_ptr[c] = c * PER_CHILD;
        for (int64_t e = 0; e < N_CHILDREN * PER_CHILD; e++) {
            entries[e] = (int32_t)(e % PER_CHILD * (N_LOCAL / PER_CHILD) + below(N_LOCAL / PER_CHILD));
            values[e] = (float)(1 + below(9)) / 8;
        }
        skx_sibling_weights columns = {N_CHILDREN, N_LOCAL, features, col_ptr, entries, values};
        if (skx_chunk_size(&columns, N_FEATURES, SKX_FLOAT32, &slots, &bytes)) exit(2);
        index = realloc(index, (size_t)(index_ptr[p] + slots) * sizeof *index);
        payload = realloc(payload, (size_t)(payload_ptr[p] + bytes));
        if (skx_chunk_write(&columns, N_FEATURES, SKX_FLOAT32, slots, bytes, index + index_ptr[p], payload + payload_ptr[p]))
            exit(2);
        index_ptr[p + 1] = index_ptr[p] + slots;
        payload_ptr[p + 1] = payload_ptr[p] + bytes;
    }
    return (skx_layer){n_nodes, n_nodes, SKX_FLOAT32, ptr, chunks, index_ptr, payload_ptr, index, payload, bias, NULL, NULL};
}

static skx_csr make_rows(void)
{
    int64_t *indptr = malloc((N_ROWS + 1) * sizeof *indptr);
    int32_t *indices = malloc(N_ROWS * PER_ROW * sizeof *indices);
    float *data = malloc(N_ROWS * PER_ROW * sizeof *data);
    for (int64_t i = 0; i <= N_ROWS; i++) indptr[i] = i * PER_ROW;
    for (int64_t e = 0; e < N_ROWS * PER_ROW; e++) {
        indices[e] = (int32_t)(e % PER_ROW * (N_FEATURES / PER_ROW) + below(N_FEATURES / PER_ROW));
        data[e] = (float)(1 + below(9)) / 8;
    }
    return (skx_csr){N_ROWS, N_FEATURES, indptr, indices, data, 0};
}

static const skx_search_params PARAMS = {4, K, SKX_HINGE, 3, -1.0f, 1.0f};

static void check(int right)
{
    if (right) return;
    fprintf(stderr, "a thread got another ranking\n");
    exit(3);
}

static void *rank(void *argument)
{
    const shared *s = argument;
    const skx_kernels *kernels;
    int32_t labels[N_ROWS * K];
    float scores[N_ROWS * K];
    check(skx_kernels_find("", &kernels) == SKX_OK);
    for (int round = 0; round < 10; round++) {
        check(skx_rank(kernels, &s->model, &s->x, NULL, NULL, &PARAMS, 0, N_ROWS, labels, scores) == SKX_OK);
        check(!memcmp(labels, s->labels, sizeof labels) && !memcmp(scores, s->scores, sizeof scores));
        for (int64_t i = 0; i < N_ROWS; i++) {
            int64_t at = s->x.indptr[i];
            check(skx_rank_row(kernels, &s->model, s->x.indices + at, s->x.data + at, PER_ROW, NULL, &PARAMS, labels, scores) ==
                  SKX_OK);
            check(!memcmp(labels, s->labels + i * K, K * sizeof *labels) &&
                  !memcmp(scores, s->scores + i * K, K * sizeof *scores));
        }
    }
#ifdef WITH_A_RACE
    static volatile int races;
    races++;
#endif
    return NULL;
}

int main(void)
{
    static shared s;
    static int32_t slot_label[N_SLOTS];
    const skx_kernels *kernels;
    skx_layer layers[2] = {make_layer(1), make_layer(N_CHILDREN)};
    pthread_t threads[N_THREADS];
    for (int32_t i = 0; i < N_SLOTS; i++) slot_label[i] = i;
    s.model = (skx_model){N_FEATURES, 2, layers, slot_label, N_SLOTS, 1, 0};
    s.x = make_rows();
    if (skx_kernels_find("", &kernels)) return 2;
    if (skx_rank(kernels, &s.model, &s.x, NULL, NULL, &PARAMS, 0, N_ROWS, s.labels, s.scores)) return 2;
    for (int i = 0; i < N_THREADS; i++)
        if (pthread_create(&threads[i], NULL, rank, &s)) return 2;
    for (int i = 0; i < N_THREADS; i++) pthread_join(threads[i], NULL);
    printf("%d threads, %d searches each\n", N_THREADS, 10 * (N_ROWS + 1));
    return 0;
}
