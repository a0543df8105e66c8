/* Writing, checking and reading compiled chunks; skxmr.h describes the format. */
#include "layout.h"

#include <math.h>
#include <stdlib.h>

/* A row is stored dense if that costs at most 1.6 times the bytes of its pairs: a vector at a time beats one at a time. */
static int store_dense(int64_t n, int64_t width)
{
    int64_t pairs = n * SKX_PAIR_BYTES, dense = dense_bytes(width);
    return 5 * dense <= 8 * pairs || pairs == dense;
}

static int64_t row_bytes(int64_t n, int64_t width)
{
    return store_dense(n, width) ? dense_bytes(width) : n * SKX_PAIR_BYTES;
}

/* length[e] = the number of weights of local feature e. NULL if memory is short. */
static int32_t *row_lengths(const skx_columns *c)
{
    int32_t *length = calloc((size_t)c->n_local + 1, sizeof *length);
    for (int64_t p = 0; length && p < c->col_ptr[c->width]; p++) length[c->entries[p]]++;
    return length;
}

typedef struct {
    int64_t first, last; /* local features */
    uint32_t key;
    uint64_t bits;
    int64_t n_rows, n_bytes;
} block_t;

/* The block that begins at local feature `first`, counting only features that kept a weight. */
static block_t block_at(const skx_columns *c, const int32_t *length, int64_t first)
{
    block_t b = {first, first, (uint32_t)(c->features[first] / SKX_BLOCK), 0, 0, 0};
    for (; b.last < c->n_local && (uint32_t)(c->features[b.last] / SKX_BLOCK) == b.key; b.last++) {
        if (length[b.last] == 0) continue;
        b.bits |= UINT64_C(1) << (c->features[b.last] % SKX_BLOCK);
        b.n_rows++;
        b.n_bytes += row_bytes(length[b.last], c->width);
    }
    if (b.n_rows) b.n_bytes = (b.n_bytes + 2 * (b.n_rows + 1) + 3) / 4 * 4;
    return b;
}

static int64_t slots_for(int64_t n_blocks, int64_t n_features)
{
    int64_t direct = direct_slots(n_features), slots = 1;
    if (n_blocks == 0) return 0;
    while (3 * slots < 4 * n_blocks) slots *= 2;
    return slots < direct ? slots : direct;
}

int skx_chunk_size(const skx_columns *c, int64_t n_features, int64_t *n_slots, int64_t *n_bytes)
{
    if (c->width < 1 || c->width > SKX_CHUNK_WIDTH) return SKX_EARG;
    int32_t *length = row_lengths(c);
    if (!length) return SKX_ENOMEM;
    int64_t n_blocks = 0, bytes = 0;
    for (int64_t e = 0; e < c->n_local;) {
        block_t b = block_at(c, length, e);
        n_blocks += b.n_rows > 0;
        bytes += b.n_bytes;
        e = b.last;
    }
    free(length);
    *n_slots = slots_for(n_blocks, n_features);
    *n_bytes = bytes;
    return bytes / 4 <= UINT32_MAX ? SKX_OK : SKX_EARG;
}

static skx_slot *new_slot(skx_slot *index, int64_t n_slots, int64_t n_features, uint32_t key)
{
    if (n_slots == direct_slots(n_features)) return &index[key];
    int64_t s = hash_slot(key, n_slots);
    while (index[s].bits) s = (s + 1) & (n_slots - 1);
    return &index[s];
}

/* Write the offsets of a block's rows; place[e] becomes the address of row e. */
static void write_offsets(const skx_columns *c, const int32_t *length, const block_t *b, uint8_t *block, uint8_t **place)
{
    uint16_t start = (uint16_t)(2 * (b->n_rows + 1));
    int64_t rank = 0;
    for (int64_t e = b->first; e < b->last; e++) {
        if (length[e] == 0) continue;
        memcpy(block + 2 * rank++, &start, sizeof start);
        place[e] = block + start;
        start = (uint16_t)(start + row_bytes(length[e], c->width));
    }
    memcpy(block + 2 * rank, &start, sizeof start);
}

/* Columns come in order, so each row's pairs end up in order. filled[e] counts those written. */
static void write_values(const skx_columns *c, const int32_t *length, uint8_t *const *place, int32_t *filled)
{
    for (int64_t col = 0; col < c->width; col++) {
        for (int64_t p = c->col_ptr[col]; p < c->col_ptr[col + 1]; p++) {
            int32_t e = c->entries[p];
            int64_t n = length[e], at = store_dense(n, c->width) ? col : filled[e];
            memcpy(place[e] + 4 * at, &c->values[p], sizeof(float));
            if (!store_dense(n, c->width)) place[e][4 * n + filled[e]++] = (uint8_t)col;
        }
    }
}

static void write_blocks(const skx_columns *c, int64_t n_features, int64_t n_slots, const int32_t *length, skx_slot *index,
                         uint8_t *payload, uint8_t **place)
{
    int64_t base = 0;
    for (int64_t e = 0; e < c->n_local;) {
        block_t b = block_at(c, length, e);
        e = b.last;
        if (b.n_rows == 0) continue;
        *new_slot(index, n_slots, n_features, b.key) = (skx_slot){b.bits, (uint32_t)(base / 4), b.key};
        write_offsets(c, length, &b, payload + base, place);
        base += b.n_bytes;
    }
}

int skx_chunk_write(const skx_columns *c, int64_t n_features, int64_t n_slots, int64_t n_bytes, skx_slot *index,
                    uint8_t *payload)
{
    int32_t *length = row_lengths(c), *filled = calloc((size_t)c->n_local + 1, sizeof *filled);
    uint8_t **place = malloc(((size_t)c->n_local + 1) * sizeof *place);
    int status = length && filled && place ? SKX_OK : SKX_ENOMEM;
    if (status == SKX_OK) {
        memset(payload, 0, (size_t)n_bytes);
        memset(index, 0, (size_t)n_slots * sizeof *index);
        if (n_slots == direct_slots(n_features))
            for (int64_t s = 0; s < n_slots; s++) index[s].key = (uint32_t)s;
        write_blocks(c, n_features, n_slots, length, index, payload, place);
        write_values(c, length, place, filled);
    }
    free(length);
    free(filled);
    free(place);
    return status;
}

/* ---- reading ---- */

typedef struct {
    const uint8_t *data;
    int64_t bytes;
    int dense;
    int64_t n; /* weights: those stored as pairs, or the nonzeros of a dense row */
} row_t;

static float row_value(const row_t *r, int64_t i) { return load_f32(r->data + 4 * i); }

static int64_t row_child(const row_t *r, int64_t i) { return r->dense ? i : r->data[4 * (r->bytes / SKX_PAIR_BYTES) + i]; }

static int64_t row_stored(const row_t *r, int64_t width) { return r->dense ? width : r->bytes / SKX_PAIR_BYTES; }

static row_t row_open(const uint8_t *block, int64_t rank, int64_t width)
{
    int64_t start = load_u16(block + 2 * rank), end = load_u16(block + 2 * rank + 2);
    row_t r = {block + start, end - start, end - start == dense_bytes(width), 0};
    for (int64_t i = 0; i < row_stored(&r, width); i++) r.n += row_value(&r, i) != 0.0f;
    return r;
}

static int padding_is_zero(const row_t *r, int64_t width)
{
    for (int64_t i = width; 4 * i < r->bytes; i++)
        if (row_value(r, i) != 0.0f) return 0;
    return 1;
}

static int row_valid(const row_t *r, int64_t width)
{
    int64_t last = -1, stored = row_stored(r, width);
    if (!r->dense && (r->bytes == 0 || r->bytes % SKX_PAIR_BYTES)) return 0;
    for (int64_t i = 0; i < stored; i++) {
        int64_t child = row_child(r, i);
        if (child <= last || child >= width || !isfinite(row_value(r, i))) return 0;
        if (!r->dense && row_value(r, i) == 0.0f) return 0;
        last = child;
    }
    return !r->dense || (r->n > 0 && padding_is_zero(r, width));
}

/* A block must hold its offsets, and these must rise inside the payload, before any row is looked at. */
static int block_valid(const skx_chunk *chunk, const skx_slot *slot, int64_t *n_weights, int64_t *n_rows)
{
    int64_t rows = __builtin_popcountll(slot->bits), base = 4 * (int64_t)slot->base, room = chunk->n_bytes - base;
    const uint8_t *block = chunk->payload + base;
    if (2 * (rows + 1) > room || load_u16(block) != 2 * (rows + 1)) return 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t start = load_u16(block + 2 * r), end = load_u16(block + 2 * r + 2);
        if (end < start || end > room) return 0;
        row_t row = row_open(block, r, chunk->width);
        if (!row_valid(&row, chunk->width)) return 0;
        *n_weights += row.n;
    }
    *n_rows += rows;
    return 1;
}

static int slot_valid(const skx_chunk *chunk, int64_t n_features, int64_t s)
{
    const skx_slot *slot = &chunk->index[s];
    int64_t n_direct = direct_slots(n_features), used = n_features - SKX_BLOCK * (int64_t)slot->key;
    if (chunk->n_slots == n_direct && slot->key != s) return 0;
    if (slot->bits == 0) return 1;
    if (slot->key >= n_direct || (used < SKX_BLOCK && slot->bits >> used)) return 0;
    return find_slot(chunk->index, chunk->n_slots, n_direct, slot->key) == slot;
}

int skx_chunk_check(const skx_chunk *chunk, int64_t n_features, int64_t *n_weights, int64_t *n_rows)
{
    int64_t n_direct = direct_slots(n_features), n = chunk->n_slots;
    *n_weights = *n_rows = 0;
    if (chunk->width < 1 || chunk->width > SKX_CHUNK_WIDTH) return SKX_EMODEL;
    if (n != n_direct && (n > n_direct || (n & (n - 1)))) return SKX_EMODEL;
    for (int64_t s = 0; s < n; s++) {
        if (!slot_valid(chunk, n_features, s)) return SKX_EMODEL;
        if (chunk->index[s].bits && !block_valid(chunk, &chunk->index[s], n_weights, n_rows)) return SKX_EMODEL;
    }
    return SKX_OK;
}

/* Visit the rows in the order of their features; what is done with them depends on the pass. */
typedef struct {
    float threshold;
    int64_t n_local;
    int32_t *features;
    int64_t *cursor; /* NULL in the counting pass */
    int64_t *count;
    int32_t *entries;
    float *values;
} read_t;

static void read_row(read_t *out, const row_t *row, int64_t width, int32_t feature)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < row_stored(row, width); i++) {
        float value = row_value(row, i);
        if (value == 0.0f || fabsf(value) < out->threshold) continue;
        int64_t child = row_child(row, i);
        kept++;
        if (out->cursor) {
            out->entries[out->cursor[child]] = (int32_t)out->n_local;
            out->values[out->cursor[child]++] = value;
        } else {
            out->count[child]++;
        }
    }
    if (kept) out->features[out->n_local++] = feature;
}

static void read_chunk(read_t *out, const skx_chunk *chunk, int64_t n_features)
{
    int64_t n_direct = direct_slots(n_features);
    out->n_local = 0;
    for (int64_t key = 0; key < n_direct; key++) {
        const skx_slot *slot = find_slot(chunk->index, chunk->n_slots, n_direct, (uint32_t)key);
        int64_t rank = 0;
        for (uint64_t bits = slot ? slot->bits : 0; bits; bits &= bits - 1) {
            row_t row = row_open(chunk->payload + 4 * (int64_t)slot->base, rank++, chunk->width);
            read_row(out, &row, chunk->width, (int32_t)(key * SKX_BLOCK + __builtin_ctzll(bits)));
        }
    }
}

int skx_chunk_read(const skx_chunk *chunk, int64_t n_features, float threshold, int64_t *n_local, int32_t *features,
                   int64_t *col_ptr, int32_t *entries, float *values)
{
    int64_t cursor[SKX_CHUNK_WIDTH];
    read_t out = {threshold, 0, features, NULL, col_ptr + 1, entries, values};
    memset(col_ptr, 0, (size_t)(chunk->width + 1) * sizeof *col_ptr);
    read_chunk(&out, chunk, n_features);
    for (int64_t c = 0; c < chunk->width; c++) {
        col_ptr[c + 1] += col_ptr[c];
        cursor[c] = col_ptr[c];
    }
    out.cursor = cursor;
    read_chunk(&out, chunk, n_features);
    *n_local = out.n_local;
    return SKX_OK;
}
