/* The table of distinct strings behind skx_terms. */
#ifndef SKX_TERMS_H
#define SKX_TERMS_H
#include "skxmr.h"

#include <string.h>

/* Strings lie where SKX_SLACK more bytes can be read, so that few branches depend on their lengths. */
static inline uint64_t terms_load(const uint8_t *s)
{
    uint64_t v;
    memcpy(&v, s, sizeof v);
    return v;
}

/* The first n <= 8 bytes as a number. */
static inline uint64_t terms_load_first(const uint8_t *s, int64_t n)
{
    static const uint8_t mask[16] = {255, 255, 255, 255, 255, 255, 255, 255};
    return terms_load(s) & terms_load(mask + 8 - n);
}

static inline uint64_t terms_hash(const uint8_t *s, int64_t n)
{
    const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t h = (uint64_t)n * factor;
    for (; n > 8; n -= 8, s += 8) {
        h = (h ^ terms_load(s)) * factor;
        h ^= h >> 32;
    }
    h = (h ^ terms_load_first(s, n)) * factor;
    h = (h ^ h >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 29;
}

static inline int terms_same_bytes(const uint8_t *a, const uint8_t *b, int64_t n)
{
    for (; n > 8; n -= 8, a += 8, b += 8)
        if (terms_load(a) != terms_load(b)) return 0;
    return terms_load_first(a, n) == terms_load_first(b, n);
}

static inline uint32_t terms_tag(uint64_t hash) { return (uint32_t)(hash >> 32); }

/* Whether a term, which may be any number, is this string. */
static inline int terms_equal(const skx_terms *t, int32_t term, const uint8_t *s, int64_t n)
{
    if (term >= t->n_terms) return 0;
    int64_t begin = t->ptr[term], end = t->ptr[term + 1];
    if (begin < 0 || begin > end || end > t->n_bytes) return 0;
    return end - begin == n && terms_same_bytes(t->bytes + begin, s, n);
}

/* The number of a string, or -1. *slot is where it stands or, if some slot is unused, would. */
static inline int32_t terms_find(const skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t *slot)
{
    int64_t mask = t->n_slots - 1, at = (int64_t)(hash & (uint64_t)mask);
    for (int64_t tried = 0; tried <= mask; tried++, at = (at + 1) & mask) {
        *slot = at;
        if (t->slots[at].term < 0) return -1;
        if (t->slots[at].tag == terms_tag(hash) && terms_equal(t, t->slots[at].term, s, n)) return t->slots[at].term;
    }
    return -1;
}

/* Append a string that terms_find did not find. SKX_ECAPACITY where there is no room, also in less than half of the slots. */
int terms_insert(skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t slot);

#endif
