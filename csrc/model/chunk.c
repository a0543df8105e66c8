/* Writing, checking and reading compiled chunks; skxmr.h describes the format. */
#include "model/chunk.h"

#include "base/arena.h"

#include <float.h>
#include <math.h>

/* Round to half precision: to the nearest, ties to even; only zero becomes zero. */
static uint16_t half_from(float value)
{
    uint32_t bits, sign;
    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000;
    float magnitude = fabsf(value), step = 0x1p-24f; /* the spacing of subnormals */
    if (magnitude == 0.0f) return (uint16_t)sign;
    if (magnitude < 0x1p-14f) {
        float rounded = nearbyintf(magnitude / step);
        return (uint16_t)(sign | (rounded < 1.0f ? 1 : (uint32_t)rounded));
    }
    bits = (bits & 0x7fffffff) - (112u << 23);
    return (uint16_t)(sign | ((bits + 0xfff + (bits >> 13 & 1)) >> 13));
}

static void store_value(uint8_t *p, float value, int64_t value_bytes)
{
    uint16_t half = value_bytes == SKX_FLOAT16 ? half_from(value) : 0;
    memcpy(p, value_bytes == SKX_FLOAT16 ? (const void *)&half : (const void *)&value, (size_t)value_bytes);
}

/* @return whether a value is finite in the type. Infinities and NaN of half precision load as values above its largest. */
static bool value_fits(float value, int64_t value_bytes)
{
    return fabsf(value) <= (value_bytes == SKX_FLOAT16 ? 65504.0f : FLT_MAX);
}

static bool values_fit(const skx_sibling_weights *c, int64_t value_bytes)
{
    for (int64_t p = 0; p < c->col_ptr[c->width]; p++)
        if (!value_fits(c->values[p], value_bytes)) return false;
    return true;
}

/* length[e] = the number of weights of local feature e. @return NULL if memory is short. */
static int32_t *row_lengths(const skx_sibling_weights *c, skx_arena *arena)
{
    int32_t *length = skx_arena_zeros(arena, c->n_local, sizeof *length);
    for (int64_t p = 0; length && p < c->col_ptr[c->width]; p++) length[c->entries[p]]++;
    return length;
}

typedef struct {
    int64_t begin, end; /* local features */
    uint32_t key;
    uint64_t bits;
    int64_t n_rows, n_bytes;
} block_t;

/* The block that begins at local feature `begin`, counting only features that kept a weight. */
static block_t block_at(const skx_sibling_weights *c, const int32_t *length, int64_t value_bytes, int64_t begin)
{
    block_t b = {begin, begin, (uint32_t)(c->features[begin] / SKX_BLOCK), 0, 0, 0};
    for (; b.end < c->n_local && (uint32_t)(c->features[b.end] / SKX_BLOCK) == b.key; b.end++) {
        if (length[b.end] == 0) continue;
        b.bits |= UINT64_C(1) << (c->features[b.end] % SKX_BLOCK);
        b.n_rows++;
        b.n_bytes += row_bytes(length[b.end], c->width, value_bytes);
    }
    if (b.n_rows) b.n_bytes = (b.n_bytes + 2 * (b.n_rows + 1) + 3) / 4 * 4;
    return b;
}

static bool value_bytes_valid(int64_t value_bytes) { return value_bytes == SKX_FLOAT16 || value_bytes == SKX_FLOAT32; }

int skx_chunk_size(const skx_sibling_weights *c, int64_t n_features, int64_t value_bytes, int64_t *n_slots, int64_t *n_bytes)
{
    if (c->width < 1 || c->width > SKX_CHUNK_WIDTH || !value_bytes_valid(value_bytes)) return SKX_EARG;
    if (!values_fit(c, value_bytes)) return SKX_EFINITE;
    skx_arena arena = {0};
    int32_t *length = row_lengths(c, &arena);
    if (!length) return SKX_ENOMEM;
    int64_t n_blocks = 0, bytes = 0;
    for (int64_t e = 0; e < c->n_local;) {
        block_t b = block_at(c, length, value_bytes, e);
        n_blocks += b.n_rows > 0;
        bytes += b.n_bytes;
        e = b.end;
    }
    skx_arena_free(&arena);
    *n_slots = slots_for(n_blocks, n_features);
    *n_bytes = bytes;
    return bytes / 4 <= UINT32_MAX ? SKX_OK : SKX_ECAPACITY;
}

/* Write the offsets of the rows of a block; row_start[e] becomes the address of row e. */
static void write_offsets(const skx_sibling_weights *c, const int32_t *length, const block_t *b, int64_t value_bytes,
                          uint8_t *block, uint8_t **row_start)
{
    uint16_t start = (uint16_t)(2 * (b->n_rows + 1));
    int64_t rank = 0;
    for (int64_t e = b->begin; e < b->end; e++) {
        if (length[e] == 0) continue;
        memcpy(block + 2 * rank++, &start, sizeof start);
        row_start[e] = block + start;
        start = (uint16_t)(start + row_bytes(length[e], c->width, value_bytes));
    }
    memcpy(block + 2 * rank, &start, sizeof start);
}

static void add_to_mask(uint8_t *mask, int64_t child)
{
    uint16_t bits = (uint16_t)(load_u16(mask) | 1u << child);
    memcpy(mask, &bits, sizeof bits);
}

/* Columns are in order, so the values of each row are written in order. filled[e] counts them. */
static void write_values(const skx_sibling_weights *c, const int32_t *length, int64_t value_bytes, uint8_t *const *row_start,
                         int32_t *filled)
{
    for (int64_t col = 0; col < c->width; col++) {
        for (int64_t p = c->col_ptr[col]; p < c->col_ptr[col + 1]; p++) {
            int32_t e = c->entries[p];
            int64_t n = length[e], at = value_bytes * filled[e];
            if (c->width <= SKX_NARROW) {
                add_to_mask(row_start[e], col);
                at += (int64_t)sizeof(uint16_t);
            } else if (stored_dense(n, c->width, value_bytes)) {
                at = value_bytes * col;
            } else {
                row_start[e][value_bytes * n + filled[e]] = (uint8_t)col;
            }
            store_value(row_start[e] + at, c->values[p], value_bytes);
            filled[e]++;
        }
    }
}

static void write_blocks(const skx_sibling_weights *c, int64_t n_features, int64_t value_bytes, int64_t n_slots,
                         const int32_t *length, skx_slot *index, uint8_t *payload, uint8_t **row_start)
{
    int64_t base = 0;
    for (int64_t e = 0; e < c->n_local;) {
        block_t b = block_at(c, length, value_bytes, e);
        e = b.end;
        if (b.n_rows == 0) continue;
        *new_slot(index, n_slots, n_features, b.key) = (skx_slot){b.bits, (uint32_t)(base / 4), b.key};
        write_offsets(c, length, &b, value_bytes, payload + base, row_start);
        base += b.n_bytes;
    }
}

int skx_chunk_write(const skx_sibling_weights *c, int64_t n_features, int64_t value_bytes, int64_t n_slots, int64_t n_bytes,
                    skx_slot *index, uint8_t *payload)
{
    skx_arena arena = {0};
    int32_t *length = row_lengths(c, &arena), *filled = skx_arena_zeros(&arena, c->n_local, sizeof *filled);
    uint8_t **row_start = skx_arena_take(&arena, c->n_local, sizeof *row_start);
    if (!arena.failed) {
        memset(payload, 0, (size_t)n_bytes);
        clear_slots(index, n_slots, n_features);
        write_blocks(c, n_features, value_bytes, n_slots, length, index, payload, row_start);
        write_values(c, length, value_bytes, row_start, filled);
    }
    skx_arena_free(&arena);
    return arena.failed ? SKX_ENOMEM : SKX_OK;
}

/* ---- reading ---- */

static bool padding_is_zero(const chunk_row *r)
{
    for (int64_t i = r->stored; r->value_bytes * i < r->bytes; i++)
        if (chunk_row_value(r, i) != 0.0f) return false;
    return true;
}

/* @return whether the length of a row is possible for its form. */
static bool length_valid(const chunk_row *r)
{
    if (r->form == MASKED) return r->stored > 0 && r->bytes == 2 + r->stored * r->value_bytes;
    if (r->form == PAIRS) return r->stored > 0 && r->bytes == r->stored * (r->value_bytes + 1);
    return padding_is_zero(r);
}

static bool children_valid(const chunk_row *r, int64_t width)
{
    if (r->form == DENSE) return true;
    if (r->form == MASKED) return load_u16(r->data) >> width == 0;
    const uint8_t *child = r->data + r->stored * r->value_bytes;
    for (int64_t i = 1; i < r->stored; i++)
        if (child[i] <= child[i - 1]) return false;
    return child[r->stored - 1] < width;
}

/* @return the number of nonzeros of a row, or 0 if the row is malformed. */
static int64_t valid_nonzeros(const chunk_row *r, int64_t width)
{
    int64_t n = 0;
    bool fits = true;
    if (!length_valid(r) || !children_valid(r, width)) return 0;
    for (int64_t i = 0; i < r->stored; i++) {
        float value = chunk_row_value(r, i);
        fits = fits && value_fits(value, r->value_bytes);
        n += value != 0.0f;
    }
    return fits && (r->form == DENSE || n == r->stored) ? n : 0;
}

/* Check a block. Its offsets must lie in the payload and increase before any row is read. */
static bool block_valid(const skx_chunk *chunk, const skx_slot *slot, int64_t *n_weights, int64_t *n_rows)
{
    int64_t rows = __builtin_popcountll(slot->bits), base = 4 * (int64_t)slot->base, available = chunk->n_bytes - base;
    const uint8_t *block = chunk->payload + base;
    if (2 * (rows + 1) > available || load_u16(block) != 2 * (rows + 1)) return false;
    for (int64_t r = 0; r < rows; r++) {
        int64_t start = load_u16(block + 2 * r), end = load_u16(block + 2 * r + 2);
        if (end < start || end > available) return false;
        chunk_row row = chunk_row_open(chunk, block, r);
        int64_t n = valid_nonzeros(&row, chunk->width);
        if (n == 0) return false;
        *n_weights += n;
    }
    *n_rows += rows;
    return true;
}

static bool slot_valid(const skx_chunk *chunk, int64_t n_features, int64_t s)
{
    const skx_slot *slot = &chunk->index[s];
    int64_t n_direct = direct_slots(n_features), used = n_features - SKX_BLOCK * (int64_t)slot->key;
    if (chunk->n_slots == n_direct && slot->key != s) return false;
    if (slot->bits == 0) return true;
    if (slot->key >= n_direct || (used < SKX_BLOCK && slot->bits >> used)) return false;
    return find_slot(chunk->index, chunk->n_slots, n_direct, slot->key) == slot;
}

int skx_chunk_check(const skx_chunk *chunk, int64_t n_features, int64_t *n_weights, int64_t *n_rows)
{
    int64_t n_direct = direct_slots(n_features), n = chunk->n_slots;
    *n_weights = *n_rows = 0;
    if (chunk->width < 1 || chunk->width > SKX_CHUNK_WIDTH || !value_bytes_valid(chunk->value_bytes)) return SKX_EMODEL;
    if (n != n_direct && (n > n_direct || (n & (n - 1)))) return SKX_EMODEL;
    for (int64_t s = 0; s < n; s++) {
        if (!slot_valid(chunk, n_features, s)) return SKX_EMODEL;
        if (chunk->index[s].bits && !block_valid(chunk, &chunk->index[s], n_weights, n_rows)) return SKX_EMODEL;
    }
    return SKX_OK;
}

/* Reads the rows in the order of their features, in two passes: one counts the weights, one writes them. */
typedef struct {
    float threshold;
    int64_t n_local;
    int32_t *features;
    int64_t *cursor; /* NULL in the counting pass */
    int64_t *count;
    int32_t *entries;
    float *values;
} reader;

static void read_row(reader *out, const chunk_row *row, int32_t feature)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < row->stored; i++) {
        float value = chunk_row_value(row, i);
        if (value == 0.0f || fabsf(value) < out->threshold) continue;
        int64_t child = chunk_row_child(row, i);
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

static void read_chunk(reader *out, const skx_chunk *chunk, int64_t n_features)
{
    int64_t n_direct = direct_slots(n_features);
    out->n_local = 0;
    for (int64_t key = 0; key < n_direct; key++) {
        const skx_slot *slot = find_slot(chunk->index, chunk->n_slots, n_direct, (uint32_t)key);
        int64_t rank = 0;
        for (uint64_t bits = slot ? slot->bits : 0; bits; bits &= bits - 1) {
            chunk_row row = chunk_row_open(chunk, chunk->payload + 4 * (int64_t)slot->base, rank++);
            read_row(out, &row, (int32_t)(key * SKX_BLOCK + __builtin_ctzll(bits)));
        }
    }
}

int skx_chunk_read(const skx_chunk *chunk, int64_t n_features, float threshold, skx_weight_buffers *out)
{
    int64_t cursor[SKX_CHUNK_WIDTH], *col_ptr = out->col_ptr;
    reader r = {threshold, 0, out->features, NULL, col_ptr + 1, out->entries, out->values};
    memset(col_ptr, 0, (size_t)(chunk->width + 1) * sizeof *col_ptr);
    read_chunk(&r, chunk, n_features);
    for (int64_t c = 0; c < chunk->width; c++) {
        col_ptr[c + 1] += col_ptr[c];
        cursor[c] = col_ptr[c];
    }
    r.cursor = cursor;
    read_chunk(&r, chunk, n_features);
    out->n_features = r.n_local;
    return SKX_OK;
}
