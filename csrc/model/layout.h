/* Arithmetic of the chunk format that skxmr.h describes, shared by the code that writes and that reads it. */
#ifndef SKX_LAYOUT_H
#define SKX_LAYOUT_H
#include "skxmr.h"

#include <string.h>

enum { SKX_NARROW = 16 }; /* chunks of up to this width store rows with a mask */

static inline int64_t direct_slots(int64_t n_features) { return (n_features + SKX_BLOCK - 1) / SKX_BLOCK; }

static inline int64_t dense_bytes(int64_t width, int64_t value_bytes) { return (width + 3) / 4 * 4 * value_bytes; }

/* @return the first slot to try for a block in a hash table of n_slots (a power of two): multiplicative hashing. */
static inline int64_t hash_slot(uint32_t key, int64_t n_slots)
{
    return (int64_t)((uint64_t)(key * 2654435769u) * (uint64_t)n_slots >> 32);
}

static inline uint16_t load_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float load_f32(const uint8_t *p)
{
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* @return the value of a half-precision number, exactly: a product corrects the exponent, also of subnormals. */
static inline float half_value(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13, sign = (uint32_t)(half & 0x8000) << 16;
    float magnitude;
    memcpy(&magnitude, &bits, sizeof magnitude);
    magnitude *= 0x1p112f;
    memcpy(&bits, &magnitude, sizeof bits);
    bits |= sign;
    memcpy(&magnitude, &bits, sizeof bits);
    return magnitude;
}

static inline float load_value(const uint8_t *p, int64_t value_bytes)
{
    return value_bytes == SKX_FLOAT32 ? load_f32(p) : half_value(load_u16(p));
}

/* @return the slot of a block in a hash table, searched from a slot on, or NULL. Ends for tables of any content. */
static inline const skx_slot *follow_slots(const skx_slot *index, int64_t n_slots, const skx_slot *slot, uint32_t key)
{
    for (int64_t step = 0; step < n_slots && slot->bits; step++) {
        if (slot->key == key) return slot;
        slot = slot + 1 < index + n_slots ? slot + 1 : index;
    }
    return NULL;
}

/* @return the slot of a block, or NULL if the chunk has no row in it. */
static inline const skx_slot *find_slot(const skx_slot *index, int64_t n_slots, int64_t n_direct, uint32_t key)
{
    if (n_slots == n_direct) return &index[key];
    return n_slots ? follow_slots(index, n_slots, &index[hash_slot(key, n_slots)], key) : NULL;
}

#endif
