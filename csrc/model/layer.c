/* The check of compiled layers from files. */
#include "skxmr.h"

#include <math.h> /* isfinite */
#include <stdbool.h>

static bool pointers_valid(const int64_t *ptr, int64_t n, int64_t end)
{
    if (ptr[0] != 0 || ptr[n] != end) return false;
    for (int64_t i = 0; i < n; i++)
        if (ptr[i + 1] < ptr[i]) return false;
    return true;
}

static bool node_valid(const skx_layer *layer, int64_t n_features, int64_t node)
{
    int64_t width = layer->child_ptr[node + 1] - layer->child_ptr[node], n_weights, n_rows;
    int64_t chunks = layer->chunk_ptr[node + 1] - layer->chunk_ptr[node];
    if (chunks != (width + SKX_CHUNK_WIDTH - 1) / SKX_CHUNK_WIDTH) return false;
    for (int64_t c = layer->chunk_ptr[node]; c < layer->chunk_ptr[node + 1]; c++) {
        skx_chunk chunk = {
            .n_slots = layer->index_ptr[c + 1] - layer->index_ptr[c],
            .n_bytes = layer->payload_ptr[c + 1] - layer->payload_ptr[c],
            .width = width < SKX_CHUNK_WIDTH ? width : SKX_CHUNK_WIDTH,
            .value_bytes = layer->value_bytes,
            .index = layer->index + layer->index_ptr[c],
            .payload = layer->payload + layer->payload_ptr[c],
        };
        if (skx_chunk_check(&chunk, n_features, &n_weights, &n_rows) != SKX_OK) return false;
        width -= chunk.width;
    }
    return true;
}

int skx_layer_check(const skx_layer *layer, int64_t n_features, int64_t n_slots, int64_t n_bytes, int64_t *where)
{
    *where = -1;
    if (!pointers_valid(layer->child_ptr, layer->n_nodes, layer->child_ptr[layer->n_nodes]) ||
        !pointers_valid(layer->chunk_ptr, layer->n_nodes, layer->n_chunks) ||
        !pointers_valid(layer->index_ptr, layer->n_chunks, n_slots) ||
        !pointers_valid(layer->payload_ptr, layer->n_chunks, n_bytes))
        return SKX_EMODEL;
    for (int64_t node = 0; node < layer->n_nodes; node++) {
        *where = node;
        if (!node_valid(layer, n_features, node)) return SKX_EMODEL;
    }
    for (int64_t c = 0; c < layer->child_ptr[layer->n_nodes]; c++)
        if (!isfinite(layer->bias[c])) return SKX_EMODEL;
    *where = -1;
    return SKX_OK;
}
