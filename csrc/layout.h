/* Arithmetic of the chunk format that skxmr.h describes, shared by those who write it and those who read it. */
#ifndef SKX_LAYOUT_H
#define SKX_LAYOUT_H
#include "skxmr.h"

#include <string.h>

enum { SKX_PAIR_BYTES = 5 }; /* a float32 and a uint8 */

static inline int64_t direct_slots(int64_t n_features) { return (n_features + SKX_BLOCK - 1) / SKX_BLOCK; }

static inline int64_t dense_bytes(int64_t width) { return (width + 3) / 4 * 4 * (int64_t)sizeof(float); }

/* The first slot to try for a block in a hash table of n_slots (a power of two): multiplicative hashing. */
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

/* The slot of a block, or NULL where the chunk has no row in it. Ends for any table, well formed or not. */
static inline const skx_slot *find_slot(const skx_slot *index, int64_t n_slots, int64_t n_direct, uint32_t key)
{
    if (n_slots == n_direct) return &index[key];
    if (n_slots == 0) return NULL;
    int64_t s = hash_slot(key, n_slots);
    for (int64_t step = 0; step < n_slots; step++) {
        if (index[s].bits == 0) return NULL;
        if (index[s].key == key) return &index[s];
        s = (s + 1) & (n_slots - 1);
    }
    return NULL;
}

#endif
