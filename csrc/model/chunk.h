/* Rows and slots of the chunk format, for writing and reading whole chunks. */
#ifndef SKX_CHUNK_H
#define SKX_CHUNK_H
#include "model/layout.h"

#include <stdbool.h>

/* A row of a wide chunk is stored dense if it takes at most 1.6 times the bytes of its pairs: vector operations are faster than
 * one operation per pair. */
static inline bool stored_dense(int64_t n, int64_t width, int64_t value_bytes)
{
    int64_t pairs = n * (value_bytes + 1), dense = dense_bytes(width, value_bytes);
    return width > SKX_NARROW && (5 * dense <= 8 * pairs || pairs == dense);
}

static inline int64_t row_bytes(int64_t n, int64_t width, int64_t value_bytes)
{
    if (width <= SKX_NARROW) return (int64_t)sizeof(uint16_t) + n * value_bytes;
    return stored_dense(n, width, value_bytes) ? dense_bytes(width, value_bytes) : n * (value_bytes + 1);
}

/* @return the number of slots of the index of a chunk with rows in n_blocks blocks. */
static inline int64_t slots_for(int64_t n_blocks, int64_t n_features)
{
    int64_t direct = direct_slots(n_features), slots = 1;
    if (n_blocks == 0) return 0;
    while (3 * slots < 4 * n_blocks) slots *= 2;
    return slots < direct ? slots : direct;
}

static inline void clear_slots(skx_slot *index, int64_t n_slots, int64_t n_features)
{
    memset(index, 0, (size_t)n_slots * sizeof *index);
    if (n_slots == direct_slots(n_features))
        for (int64_t s = 0; s < n_slots; s++) index[s].key = (uint32_t)s;
}

/* @return the unused slot for a block. */
static inline skx_slot *new_slot(skx_slot *index, int64_t n_slots, int64_t n_features, uint32_t key)
{
    if (n_slots == direct_slots(n_features)) return &index[key];
    int64_t s = hash_slot(key, n_slots);
    while (index[s].bits) s = (s + 1) & (n_slots - 1);
    return &index[s];
}

/* A row of a chunk: the weights of one feature. */
enum row_form { MASKED, DENSE, PAIRS };

typedef struct {
    const uint8_t *data;
    int64_t bytes;
    int64_t value_bytes;
    enum row_form form;
    int64_t stored; /* values, zeros of a dense row included */
} chunk_row;

static inline chunk_row chunk_row_open(const skx_chunk *chunk, const uint8_t *block, int64_t rank)
{
    int64_t start = load_u16(block + 2 * rank), bytes = load_u16(block + 2 * rank + 2) - start;
    chunk_row r = {block + start, bytes, chunk->value_bytes, PAIRS, bytes / (chunk->value_bytes + 1)};
    if (chunk->width <= SKX_NARROW) {
        r.form = MASKED;
        r.stored = bytes < 2 ? 0 : __builtin_popcount(load_u16(r.data));
    } else if (bytes == dense_bytes(chunk->width, chunk->value_bytes)) {
        r.form = DENSE;
        r.stored = chunk->width;
    }
    return r;
}

/* Where the row's values begin. */
static inline const uint8_t *chunk_row_values(const chunk_row *r) { return r->data + (r->form == MASKED ? 2 : 0); }

static inline float chunk_row_value(const chunk_row *r, int64_t i)
{
    return load_value(chunk_row_values(r) + i * r->value_bytes, r->value_bytes);
}

static inline int64_t chunk_row_child(const chunk_row *r, int64_t i)
{
    if (r->form == DENSE) return i;
    if (r->form == PAIRS) return r->data[r->stored * r->value_bytes + i];
    uint32_t mask = load_u16(r->data);
    for (; i > 0; i--) mask &= mask - 1;
    return __builtin_ctz(mask);
}

#endif
