/* Pruning of compiled chunks, row by row. */
#include "model/chunk.h"

#include <math.h>
#include <stdlib.h>

/* The kept weights of a row. */
typedef struct {
    int64_t n;
    uint8_t child[SKX_CHUNK_WIDTH];
    uint8_t value[SKX_CHUNK_WIDTH * SKX_FLOAT32];
} kept_t;

/* @return the child of the i-th value of a row; `mask` is the row's mask without the children before. */
static int64_t child_of(const chunk_row *row, int64_t i, uint32_t mask)
{
    switch (row->form) {
    case DENSE: return i;
    case PAIRS: return row->data[row->stored * row->value_bytes + i];
    default: return __builtin_ctz(mask);
    }
}

static void keep(kept_t *kept, const chunk_row *row, float threshold)
{
    const uint8_t *values = chunk_row_values(row);
    uint32_t mask = row->form == MASKED ? load_u16(row->data) : 0;
    int64_t n = 0, size = row->value_bytes, stored = row->stored < SKX_CHUNK_WIDTH ? row->stored : SKX_CHUNK_WIDTH;
    for (int64_t i = 0; i < stored; i++) {
        float value = load_value(values + i * size, size);
        kept->child[n] = (uint8_t)child_of(row, i, mask);
        memcpy(kept->value + n * size, values + i * size, (size_t)size);
        n += value != 0.0f && fabsf(value) >= threshold;
        mask &= mask - 1;
    }
    kept->n = n;
}

static void write_row(const kept_t *kept, int64_t width, int64_t size, uint8_t *row)
{
    uint16_t mask = 0;
    if (width > SKX_NARROW && stored_dense(kept->n, width, size)) {
        memset(row, 0, (size_t)dense_bytes(width, size));
        for (int64_t i = 0; i < kept->n; i++) memcpy(row + kept->child[i] * size, kept->value + i * size, (size_t)size);
        return;
    }
    for (int64_t i = 0; width <= SKX_NARROW && i < kept->n; i++) mask = (uint16_t)(mask | 1u << kept->child[i]);
    if (width <= SKX_NARROW) memcpy(row, &mask, sizeof mask);
    memcpy(row + (width <= SKX_NARROW ? 2 : 0), kept->value, (size_t)(kept->n * size));
    if (width > SKX_NARROW) memcpy(row + kept->n * size, kept->child, (size_t)kept->n);
}

typedef struct {
    const skx_chunk *chunk;
    float threshold;
    uint8_t *payload;
    int64_t capacity, used; /* bytes */
} pruning_t;

/* Append the pruned block; *slot becomes its slot. @return false if the payload is too small. */
static bool prune_block(pruning_t *p, const skx_slot *from, skx_slot *slot)
{
    const uint8_t *block = p->chunk->payload + 4 * (int64_t)from->base;
    uint8_t *out = p->payload + p->used;
    int64_t n_rows = __builtin_popcountll(from->bits), rank = 0, n_kept = 0, end = 2 * (n_rows + 1);
    uint16_t start[SKX_BLOCK + 1];
    kept_t kept;
    *slot = (skx_slot){0, (uint32_t)(p->used / 4), from->key};
    for (uint64_t bits = from->bits; bits; bits &= bits - 1) {
        chunk_row row = chunk_row_open(p->chunk, block, rank++);
        keep(&kept, &row, p->threshold);
        if (kept.n == 0) continue;
        int64_t bytes = row_bytes(kept.n, p->chunk->width, p->chunk->value_bytes);
        if (p->used + (end + bytes + 3) / 4 * 4 > p->capacity) return false;
        write_row(&kept, p->chunk->width, p->chunk->value_bytes, out + end);
        start[n_kept++] = (uint16_t)end;
        slot->bits |= bits & -bits;
        end += bytes;
    }
    if (n_kept == 0) return true;
    /* The rows were written after the offsets of all rows: move them behind the offsets of the kept ones. */
    int64_t moved = 2 * (n_rows - n_kept);
    memmove(out + 2 * (n_kept + 1), out + 2 * (n_rows + 1), (size_t)(end - 2 * (n_rows + 1)));
    start[n_kept] = (uint16_t)end;
    for (int64_t r = 0; r <= n_kept; r++) start[r] = (uint16_t)(start[r] - moved);
    memcpy(out, start, (size_t)(2 * (n_kept + 1)));
    end -= moved;
    for (; end % 4; end++) out[end] = 0;
    p->used += end;
    return true;
}

/* Prune all blocks in the order of their features; slot[] becomes the slots of those with rows. @return SKX_OK, or
 * SKX_ECAPACITY. */
static int prune_blocks(pruning_t *p, int64_t n_features, skx_slot *slot, int64_t *n_blocks)
{
    int64_t n_direct = direct_slots(n_features);
    *n_blocks = 0;
    for (int64_t key = 0; key < n_direct; key++) {
        const skx_slot *from = find_slot(p->chunk->index, p->chunk->n_slots, n_direct, (uint32_t)key);
        if (!from || !from->bits) continue;
        if (!prune_block(p, from, &slot[*n_blocks])) return SKX_ECAPACITY;
        *n_blocks += slot[*n_blocks].bits != 0;
    }
    return SKX_OK;
}

int skx_chunk_prune(const skx_chunk *chunk, int64_t n_features, float threshold, int64_t *n_slots, int64_t *n_bytes,
                    skx_slot *index, uint8_t *payload)
{
    skx_slot *slot = malloc(((size_t)chunk->n_slots + 1) * sizeof *slot);
    if (!slot) return SKX_ENOMEM;
    pruning_t p = {chunk, threshold, payload, chunk->n_bytes, 0};
    int64_t n_blocks;
    int status = prune_blocks(&p, n_features, slot, &n_blocks);
    if (status == SKX_OK) {
        *n_slots = slots_for(n_blocks, n_features);
        *n_bytes = p.used;
        if (*n_slots > chunk->n_slots) status = SKX_ECAPACITY;
    }
    if (status == SKX_OK) {
        clear_slots(index, *n_slots, n_features);
        for (int64_t b = 0; b < n_blocks; b++) *new_slot(index, *n_slots, n_features, slot[b].key) = slot[b];
    }
    free(slot);
    return status;
}
