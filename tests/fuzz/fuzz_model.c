/* Models whose pointers fit and whose other arrays hold anything, or are well formed but for a few bytes: the check ends, what
 * it accepts can be read and written again, and a search stays inside and reports only labels that there are. */
#include "input.h"

#include <math.h>

enum { MOST_LAYERS = 3, MOST_CHILDREN = 260 };

/* Increasing pointers of n lists. */
static int64_t *rising(input *in, int64_t n, int64_t most)
{
    int64_t *ptr = own(in, (size_t)(n + 1) * sizeof *ptr);
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + take_between(in, 0, most);
    return ptr;
}

/* Mostly a few children, sometimes more than a chunk holds. */
static int64_t *take_children(input *in, int64_t n_nodes)
{
    int64_t *ptr = own(in, (size_t)(n_nodes + 1) * sizeof *ptr);
    ptr[0] = 0;
    for (int64_t p = 0; p < n_nodes; p++) {
        uint8_t kind = take_byte(in);
        ptr[p + 1] = ptr[p] + (kind < 200 ? kind % 20 : take_between(in, 0, n_nodes > 4 ? 20 : MOST_CHILDREN));
    }
    return ptr;
}

static int64_t *chunks_of(input *in, const int64_t *child_ptr, int64_t n_nodes)
{
    int64_t *ptr = own(in, (size_t)(n_nodes + 1) * sizeof *ptr);
    ptr[0] = 0;
    for (int64_t p = 0; p < n_nodes; p++)
        ptr[p + 1] = ptr[p] + (child_ptr[p + 1] - child_ptr[p] + SKX_CHUNK_WIDTH - 1) / SKX_CHUNK_WIDTH;
    return ptr;
}

/* Weights of a chunk: each feature that is drawn has some in children that are drawn. */
static skx_sibling_weights take_columns(input *in, int64_t width, int64_t n_features)
{
    enum { MOST = 24, PER_CHILD = 6 };
    int32_t *features = own(in, MOST * sizeof *features);
    int64_t *col_ptr = own(in, (size_t)(width + 1) * sizeof *col_ptr), n = take_byte(in) % MOST, n_local = 0, feature = -1;
    int32_t *entries = own(in, (size_t)(width * PER_CHILD) * sizeof *entries);
    float *values = own(in, (size_t)(width * PER_CHILD) * sizeof *values);
    for (int64_t i = 0; i < n; i++) {
        feature += 1 + take_byte(in) % 16 * (take_byte(in) % 16);
        if (feature < n_features) features[n_local++] = (int32_t)feature;
    }
    col_ptr[0] = 0;
    for (int64_t c = 0; c < width; c++) {
        int64_t used = col_ptr[c], first = take_byte(in), step = 1 + take_byte(in) % 8;
        for (int64_t e = first % 12; e < n_local && used < (c + 1) * PER_CHILD && first < 250; e += step) {
            float value = take_finite(in);
            entries[used] = (int32_t)e;
            values[used++] = value == 0.0f ? 0.5f : value;
        }
        col_ptr[c + 1] = used;
    }
    return (skx_sibling_weights){width, n_local, features, col_ptr, entries, values};
}

/* A matrix of weights, chunk by chunk, as arrays of a layer. @return 0 if memory is short or a limit of the format is
 * exceeded. */
static int compile_layer(input *in, int64_t n_features, skx_layer *layer)
{
    int64_t n = layer->n_chunks, chunk = 0;
    int64_t *index_ptr = own(in, (size_t)(n + 1) * sizeof *index_ptr),
            *payload_ptr = own(in, (size_t)(n + 1) * sizeof *payload_ptr);
    skx_slot *index = NULL;
    uint8_t *payload = NULL;
    index_ptr[0] = payload_ptr[0] = 0;
    for (int64_t p = 0; p < layer->n_nodes; p++) {
        int64_t left = layer->child_ptr[p + 1] - layer->child_ptr[p];
        for (; left > 0; left -= SKX_CHUNK_WIDTH, chunk++) {
            input part = *in; /* its arrays are freed at once */
            part.n_owned = 0;
            skx_sibling_weights c = take_columns(&part, left < SKX_CHUNK_WIDTH ? left : SKX_CHUNK_WIDTH, n_features);
            int64_t slots, bytes, s = index_ptr[chunk], b = payload_ptr[chunk];
            int status = skx_chunk_size(&c, n_features, layer->value_bytes, &slots, &bytes);
            if (status == SKX_OK) {
                index = realloc(index, (size_t)(s + slots + 1) * sizeof *index);
                payload = realloc(payload, (size_t)(b + bytes + 1));
                status = skx_chunk_write(&c, n_features, layer->value_bytes, slots, bytes, index + s, payload + b);
            }
            in->at = part.at;
            input_free(&part);
            CLAIM(status == SKX_OK || status == SKX_ENOMEM || status == SKX_EFINITE);
            if (status != SKX_OK) {
                free(index);
                free(payload);
                return 0;
            }
            index_ptr[chunk + 1] = s + slots;
            payload_ptr[chunk + 1] = b + bytes;
        }
    }
    skx_slot *exact_index = own(in, (size_t)index_ptr[n] * sizeof *index);
    uint8_t *exact_payload = own(in, (size_t)payload_ptr[n]);
    if (index) memcpy(exact_index, index, (size_t)index_ptr[n] * sizeof *index);
    if (payload) memcpy(exact_payload, payload, (size_t)payload_ptr[n]);
    free(index);
    free(payload);
    layer->index_ptr = index_ptr;
    layer->payload_ptr = payload_ptr;
    layer->index = exact_index;
    layer->payload = exact_payload;
    return 1;
}

/* Arrays of any content, with slots that point near the payload, so that more of them are valid. */
static void invent_layer(input *in, skx_layer *layer)
{
    int64_t *index_ptr = rising(in, layer->n_chunks, 5), *payload_ptr = rising(in, layer->n_chunks, 90);
    int64_t n_slots = index_ptr[layer->n_chunks];
    skx_slot *index = own(in, (size_t)n_slots * sizeof *index);
    for (int64_t s = 0; s < n_slots; s++) {
        uint8_t how = take_byte(in);
        take_bytes(in, &index[s].bits, how & 1 ? 8 : 2);
        if (!(how & 1)) index[s].bits &= 0xffff;
        index[s].base = take_byte(in) % 32u;
        index[s].key = take_byte(in) % 8u;
        if (how >= 250) take_bytes(in, &index[s], sizeof index[s]);
    }
    layer->index_ptr = index_ptr;
    layer->payload_ptr = payload_ptr;
    layer->index = index;
    layer->payload = take_array(in, payload_ptr[layer->n_chunks], 1);
}

/* Change some bytes. */
static void damage(input *in, void *array, int64_t n_bytes)
{
    for (int64_t n = take_byte(in) % 4; n > 0 && n_bytes > 0; n--)
        ((uint8_t *)array)[take_between(in, 0, n_bytes < 60000 ? n_bytes - 1 : 60000)] = take_byte(in);
}

/* Pruning equals reading with a threshold and writing. */
static void prune_chunk(const skx_chunk *chunk, int64_t n_features, float threshold, int64_t rows, int64_t weights)
{
    input in = input_empty();
    int64_t slots, bytes, n_slots, n_bytes, *ptr = own(&in, (size_t)(chunk->width + 1) * 8);
    int32_t *features = own(&in, (size_t)rows * 4), *entries = own(&in, (size_t)weights * 4);
    float *values = own(&in, (size_t)weights * 4);
    skx_slot *index = own(&in, (size_t)chunk->n_slots * sizeof *index);
    uint8_t *payload = own(&in, (size_t)chunk->n_bytes);
    skx_weight_buffers out = {rows, weights, features, ptr, entries, values, NULL, 0, NULL};
    int status = skx_chunk_prune(chunk, n_features, threshold, &n_slots, &n_bytes, index, payload);
    if (status != SKX_ECAPACITY && succeeded(status)) {
        CLAIM(skx_chunk_read(chunk, n_features, threshold, &out) == SKX_OK);
        skx_sibling_weights left = {chunk->width, out.n_features, features, ptr, entries, values};
        if (succeeded(skx_chunk_size(&left, n_features, chunk->value_bytes, &slots, &bytes))) {
            CLAIM(slots == n_slots && bytes == n_bytes);
            skx_slot *i2 = own(&in, (size_t)slots * sizeof *i2);
            uint8_t *p2 = own(&in, (size_t)bytes);
            if (succeeded(skx_chunk_write(&left, n_features, chunk->value_bytes, slots, bytes, i2, p2)))
                CLAIM(!memcmp(i2, index, (size_t)slots * sizeof *index) && !memcmp(p2, payload, (size_t)bytes));
        }
    }
    input_free(&in);
}

/* A chunk that is read and written again reads the same. */
static void copy_chunk(const skx_layer *layer, int64_t c, int64_t width, int64_t n_features)
{
    skx_chunk chunk = {layer->index_ptr[c + 1] - layer->index_ptr[c],
                       layer->payload_ptr[c + 1] - layer->payload_ptr[c],
                       width,
                       layer->value_bytes,
                       layer->index + layer->index_ptr[c],
                       layer->payload + layer->payload_ptr[c]};
    int64_t weights, rows, slots, bytes;
    CLAIM(skx_chunk_check(&chunk, n_features, &weights, &rows) == SKX_OK);
    prune_chunk(&chunk, n_features, 0.0f, rows, weights);
    prune_chunk(&chunk, n_features, 1.0f, rows, weights);
    input in = input_empty();
    int32_t *features = own(&in, (size_t)rows * 4), *entries = own(&in, (size_t)weights * 4), *e2 = own(&in, (size_t)weights * 4);
    int32_t *f2 = own(&in, (size_t)rows * 4);
    float *values = own(&in, (size_t)weights * 4), *v2 = own(&in, (size_t)weights * 4);
    int64_t *ptr = own(&in, (size_t)(width + 1) * 8), *p2 = own(&in, (size_t)(width + 1) * 8);
    skx_weight_buffers out = {rows, weights, features, ptr, entries, values, NULL, 0, NULL};
    skx_weight_buffers again = {rows, weights, f2, p2, e2, v2, NULL, 0, NULL};
    CLAIM(skx_chunk_read(&chunk, n_features, 0.0f, &out) == SKX_OK);
    int64_t local = out.n_features;
    skx_sibling_weights columns = {width, local, features, ptr, entries, values};
    CLAIM(ptr[width] == weights && local == rows);
    if (succeeded(skx_chunk_size(&columns, n_features, chunk.value_bytes, &slots, &bytes))) {
        skx_slot *index = own(&in, (size_t)slots * sizeof *index);
        uint8_t *payload = own(&in, (size_t)bytes);
        if (succeeded(skx_chunk_write(&columns, n_features, chunk.value_bytes, slots, bytes, index, payload))) {
            skx_chunk copy = {slots, bytes, width, chunk.value_bytes, index, payload};
            CLAIM(skx_chunk_check(&copy, n_features, &weights, &rows) == SKX_OK);
            CLAIM(weights == ptr[width] && rows == local);
            CLAIM(skx_chunk_read(&copy, n_features, 0.0f, &again) == SKX_OK);
            CLAIM(again.n_features == local && !memcmp(f2, features, (size_t)local * 4) &&
                  !memcmp(p2, ptr, (size_t)(width + 1) * 8));
            CLAIM(!memcmp(e2, entries, (size_t)weights * 4) && !memcmp(v2, values, (size_t)weights * 4));
        }
    }
    input_free(&in);
}

static void copy_chunks(const skx_layer *layer, int64_t n_features)
{
    for (int64_t p = 0; p < layer->n_nodes; p++) {
        int64_t left = layer->child_ptr[p + 1] - layer->child_ptr[p];
        for (int64_t c = layer->chunk_ptr[p]; c < layer->chunk_ptr[p + 1]; c++, left -= SKX_CHUNK_WIDTH)
            copy_chunk(layer, c, left < SKX_CHUNK_WIDTH ? left : SKX_CHUNK_WIDTH, n_features);
    }
}

static int take_layer(input *in, int64_t n_nodes, int64_t n_features, skx_layer *layer)
{
    uint8_t how = take_byte(in);
    int64_t where, *child_ptr = take_children(in, n_nodes), *chunk_ptr = chunks_of(in, child_ptr, n_nodes);
    *layer = (skx_layer){.n_nodes = n_nodes,
                         .n_chunks = chunk_ptr[n_nodes],
                         .value_bytes = how & 1 ? SKX_FLOAT16 : SKX_FLOAT32,
                         .child_ptr = child_ptr,
                         .chunk_ptr = chunk_ptr};
    float *bias = own(in, (size_t)child_ptr[n_nodes] * sizeof *bias);
    for (int64_t c = 0; c < child_ptr[n_nodes]; c++) bias[c] = take_float(in);
    layer->bias = bias;
    if (how & 2)
        invent_layer(in, layer);
    else if (!compile_layer(in, n_features, layer))
        return 0;
    int64_t n_slots = layer->index_ptr[layer->n_chunks], n_bytes = layer->payload_ptr[layer->n_chunks];
    if (how & 4) {
        damage(in, (void *)layer->index, n_slots * (int64_t)sizeof(skx_slot));
        damage(in, (void *)layer->payload, n_bytes);
        if (how & 8) layer->value_bytes = SKX_FLOAT16 + SKX_FLOAT32 - layer->value_bytes;
    }
    if (skx_layer_check(layer, n_features, n_slots, n_bytes, &where) == SKX_OK) copy_chunks(layer, n_features);
    return 1;
}

static int64_t max_level_width(const skx_model *m)
{
    int64_t most = 1;
    for (int64_t l = 0; l < m->n_layers; l++)
        if (m->layers[l].child_ptr[m->layers[l].n_nodes] > most) most = m->layers[l].child_ptr[m->layers[l].n_nodes];
    return most;
}

/* Labels in range, best first, then padding. */
static void look_at(const skx_model *m, int64_t n_rows, int64_t k, float floor, const int32_t *labels, const float *scores)
{
    for (int64_t i = 0; i < n_rows * k; i++) {
        CLAIM(labels[i] >= -1 && labels[i] < m->n_labels);
        CLAIM(labels[i] >= 0 ? scores[i] >= floor : scores[i] == -INFINITY);
        if (i % k == 0) continue;
        CLAIM(labels[i] < 0 || labels[i - 1] >= 0);
        CLAIM(!(scores[i] > scores[i - 1]));
    }
}

static skx_sorted_positions *take_positions(input *in, const skx_model *m)
{
    skx_sorted_positions *positions = own(in, (size_t)m->n_layers * sizeof *positions);
    for (int64_t l = 0; l < m->n_layers; l++) {
        int64_t n = m->layers[l].child_ptr[m->layers[l].n_nodes], *ptr = l < m->n_layers - 1 ? rising(in, n, 3) : NULL;
        int64_t n_positions = ptr ? ptr[n] : n;
        int32_t *position = own(in, (size_t)n_positions * sizeof *position);
        for (int64_t i = 0; i < n_positions; i++) position[i] = take_byte(in) == 255 ? -7 : take_byte(in) % 64;
        positions[l] = (skx_sorted_positions){ptr, position};
    }
    return positions;
}

static skx_restriction take_restriction(input *in, const skx_model *m, int64_t n_rows)
{
    int64_t *range = own(in, (size_t)(2 * n_rows) * sizeof *range);
    for (int64_t i = 0; i < 2 * n_rows; i++) range[i] = take_byte(in) - 8;
    return (skx_restriction){.positions = take_positions(in, m), .range = range};
}

/* Distinct nodes of a level, with scores. */
static skx_frontier take_frontier(input *in, const skx_model *m, int64_t n_rows)
{
    int64_t level = take_between(in, 0, m->n_layers - 1), n_nodes = m->layers[level].n_nodes;
    int64_t *ptr = own(in, (size_t)(n_rows + 1) * sizeof *ptr), most = n_nodes < 40 ? n_nodes : 40;
    int32_t *node = own(in, (size_t)(n_rows * most) * sizeof *node);
    float *score = own(in, (size_t)(n_rows * most) * sizeof *score);
    ptr[0] = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        ptr[i + 1] = ptr[i];
        for (int64_t p = 0; p < most; p++) {
            if (take_byte(in) & 1) continue;
            node[ptr[i + 1]] = (int32_t)p;
            score[ptr[i + 1]++] = take_float(in);
        }
    }
    return (skx_frontier){level, ptr, node, score};
}

static void search(input *in, const skx_model *m)
{
    static const float floors[] = {-INFINITY, -1.0f, 0.0f, 0.5f};
    const skx_kernels *kernels = take_kernels(in);
    skx_csr x = take_csr(in, 6, m->n_features);
    x.n_cols = m->n_features;
    int64_t row;
    if (skx_csr_check(&x, x.indptr[x.n_rows], &row) != SKX_OK) return; /* columns that the model does not have */
    skx_search_params params = {take_between(in, 1, 12), take_between(in, 1, 15),   take_byte(in) % 5,
                                1 + take_byte(in) % 4,   floors[take_byte(in) % 4], 1.0f};
    if (take_byte(in) % 8 == 0) params.beam_width = params.k = max_level_width(m);
    int32_t *labels = own(in, (size_t)((x.n_rows + 1) * params.k) * sizeof *labels);
    float *scores = own(in, (size_t)((x.n_rows + 1) * params.k) * sizeof *scores);
    uint8_t how = take_byte(in);
    skx_restriction within = {0};
    skx_frontier frontier = {0};
    if (how & 1) within = take_restriction(in, m, x.n_rows);
    if (how & 2) frontier = take_frontier(in, m, x.n_rows);
    if (how & 4) {
        within.among = take_sets(in, x.n_rows);
        within.exclude = take_sets(in, x.n_rows);
    }
    int status =
        skx_rank(kernels, m, &x, how & 2 ? &frontier : NULL, how & 5 ? &within : NULL, &params, 0, x.n_rows, labels, scores);
    if (status == SKX_EARG && how & 4) return; /* sets that lead outside */
    if (succeeded(status)) look_at(m, x.n_rows, params.k, params.floor, labels, scores);
}

/* A row of any content. */
static void search_row(input *in, const skx_model *m)
{
    const skx_kernels *kernels = take_kernels(in);
    int dense = take_byte(in) & 1;
    int64_t n = dense ? m->n_features : take_between(in, 0, 20), k = take_between(in, 1, 5);
    int32_t *indices = own(in, (size_t)n * sizeof *indices), labels[5], last = -1;
    float *data = own(in, (size_t)n * sizeof *data), scores[5];
    for (int64_t i = 0; i < n; i++) {
        indices[i] = last = last + (int8_t)take_byte(in) / 8 + 1;
        data[i] = take_float(in);
    }
    skx_search_params params = {take_between(in, 1, 12), k, take_byte(in) % 5, 1 + take_byte(in) % 4, -INFINITY, 1.0f};
    int status = skx_rank_row(kernels, m, dense ? NULL : indices, data, n, NULL, &params, labels, scores);
    if (status == SKX_EINDEX || status == SKX_EORDER || status == SKX_EFINITE || !succeeded(status)) return;
    look_at(m, 1, k, -INFINITY, labels, scores);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    skx_layer layers[MOST_LAYERS];
    int64_t n_features = take_between(&in, 1, 900), n_layers = take_between(&in, 1, MOST_LAYERS), n_nodes = 1, n_children = 1;
    int made = 1;
    for (int64_t l = 0; l < n_layers && made; l++, n_nodes = n_children) {
        made = take_layer(&in, n_nodes, n_features, &layers[l]);
        n_children = layers[l].child_ptr[n_nodes];
    }
    int32_t *slot_label = own(&in, (size_t)n_children * sizeof *slot_label);
    for (int64_t s = 0; s < n_children; s++) slot_label[s] = (int8_t)take_byte(&in) + 20;
    if (n_children > 0) damage(&in, slot_label, n_children * 4);
    skx_model model = {n_features, n_layers, layers, slot_label, take_between(&in, 1, 200), take_between(&in, 1, 3), 0};
    if (made) {
        search(&in, &model);
        search_row(&in, &model);
    }
    return input_free(&in);
}
