/* The table of distinct strings behind skx_terms. */
#ifndef SKX_TERMS_H
#define SKX_TERMS_H
#include "skxmr.h"

#include <string.h>

enum { TERMS_SHORT = 8 }; /* bytes of a string that its slot holds */

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
    for (; n > 16; n -= 8, s += 8) {
        h = (h ^ terms_load(s)) * factor;
        h ^= h >> 32;
    }
    h = (h ^ terms_load_first(s, n < 8 ? n : 8)) * factor;
    h = (h ^ h >> 32 ^ terms_load_first(s + 8, n < 8 ? 0 : n - 8)) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 29;
}

static inline int terms_same_bytes(const uint8_t *a, const uint8_t *b, int64_t n)
{
    for (; n > 8; n -= 8, a += 8, b += 8)
        if (terms_load(a) != terms_load(b)) return 0;
    return terms_load_first(a, n) == terms_load_first(b, n);
}

static inline uint32_t terms_tag(int64_t n, uint64_t hash)
{
    return n <= TERMS_SHORT ? (uint32_t)n : (uint32_t)(hash >> 32) | 2 * TERMS_SHORT;
}

/* The slot of a string that begins at `begin` of the terms' bytes, and also at s. */
static inline skx_term_slot terms_slot(const uint8_t *s, int64_t n, uint64_t hash, int64_t begin, int64_t term)
{
    uint64_t word = n <= TERMS_SHORT ? terms_load_first(s, n) : (uint64_t)begin;
    return (skx_term_slot){word, terms_tag(n, hash), (int32_t)term};
}

/* Whether a term, which may be any number, is this string of more than TERMS_SHORT bytes. */
static inline int terms_equal(const skx_terms *t, int32_t term, const uint8_t *s, int64_t n)
{
    int64_t begin = t->ptr[term], end = t->ptr[term + 1];
    if (begin < 0 || begin > end || end > t->n_bytes) return 0;
    return end - begin == n && terms_same_bytes(t->bytes + begin, s, n);
}

static inline void terms_prefetch_slot(const skx_terms *t, uint64_t hash)
{
    __builtin_prefetch(t->slots + (hash & ((uint64_t)t->n_slots - 1)));
}

/* Fetch what terms_find reads after the first slot. Wrong addresses do no harm. */
static inline void terms_prefetch(const skx_terms *t, uint64_t hash, int64_t n)
{
    skx_term_slot slot = t->slots[hash & ((uint64_t)t->n_slots - 1)];
    if (n <= TERMS_SHORT) return;
    __builtin_prefetch((const void *)((uintptr_t)t->ptr + (uint32_t)slot.term * sizeof *t->ptr));
    __builtin_prefetch((const void *)((uintptr_t)t->bytes + (uintptr_t)slot.word));
}

/* The number of a string, or -1. *slot is where it stands or, if some slot is unused, would. */
static inline int32_t terms_find(const skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t *slot)
{
    int64_t mask = t->n_slots - 1, at = (int64_t)(hash & (uint64_t)mask);
    uint64_t word = terms_load_first(s, n < TERMS_SHORT ? n : TERMS_SHORT);
    uint32_t tag = terms_tag(n, hash);
    for (int64_t tried = 0; tried <= mask; tried++, at = (at + 1) & mask) {
        skx_term_slot found = t->slots[at];
        *slot = at;
        if (found.term < 0) return -1;
        if (found.tag != tag || found.term >= t->n_terms) continue;
        if (n <= TERMS_SHORT ? found.word == word : terms_equal(t, found.term, s, n)) return found.term;
    }
    return -1;
}

/* Append a string that terms_find did not find. SKX_ECAPACITY where there is no room, also in less than half of the slots. */
int terms_insert(skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t slot);

#endif
