/* The hash table of distinct strings, skx_terms. */
#ifndef SKX_TERMS_H
#define SKX_TERMS_H
#include "skxmr.h"

#include <stdbool.h>
#include <string.h>

enum {
    TERMS_SHORT = 8,            /* a slot stores strings of up to so many bytes themselves */
    TERMS_LONG = (1 << 24) - 1, /* the largest length that a slot stores */
};

/* The limit of the bytes of all strings: a slot stores 40 bits of where a string begins. */
static const int64_t TERMS_MAX_BYTES = INT64_C(1) << SKX_TERM_OFFSET_BITS;

/* SKX_SLACK bytes can be read after every string, so that few branches depend on the lengths. */
static inline uint64_t terms_load(const uint8_t *s)
{
    uint64_t v;
    memcpy(&v, s, sizeof v);
    return v;
}

/* @return the first n <= 8 bytes as a number. */
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

static inline bool terms_same_bytes(const uint8_t *a, const uint8_t *b, int64_t n)
{
    for (; n > 8; n -= 8, a += 8, b += 8)
        if (terms_load(a) != terms_load(b)) return false;
    return terms_load_first(a, n) == terms_load_first(b, n);
}

static inline uint32_t terms_tag(int64_t n, uint64_t hash)
{
    return n <= TERMS_SHORT ? (uint32_t)n : (uint32_t)(hash >> 32) | 2 * TERMS_SHORT;
}

static inline uint64_t terms_word(const uint8_t *s, int64_t n, int64_t begin)
{
    if (n <= TERMS_SHORT) return terms_load_first(s, n);
    return (uint64_t)begin << 24 | (uint64_t)(n < TERMS_LONG ? n : TERMS_LONG);
}

/* Make the slot of the string s, which begins at `begin` in the bytes of the table. */
static inline skx_term_slot terms_slot(const uint8_t *s, int64_t n, uint64_t hash, int64_t begin, int64_t term)
{
    return (skx_term_slot){terms_word(s, n, begin), terms_tag(n, hash), (int32_t)term};
}

/* @return whether a slot is that of the string s of more than TERMS_SHORT bytes. The slot may have any content, except that its
 * term is one of the table. */
static inline bool terms_equal(const skx_terms *t, skx_term_slot slot, const uint8_t *s, int64_t n)
{
    int64_t begin = (int64_t)(slot.word >> 24);
    if (slot.word != terms_word(s, n, begin) || begin > t->n_bytes - n) return false;
    if (n >= TERMS_LONG && t->ptr[slot.term + 1] - t->ptr[slot.term] != n) return false;
    return terms_same_bytes(t->bytes + begin, s, n);
}

static inline void terms_prefetch_slot(const skx_terms *t, uint64_t hash)
{
    __builtin_prefetch(t->slots + (hash & ((uint64_t)t->n_slots - 1)));
}

/* Prefetch what terms_find reads after the first slot. A wrong address does no harm. */
static inline void terms_prefetch(const skx_terms *t, uint64_t hash, int64_t n)
{
    if (n <= TERMS_SHORT) return;
    uint64_t begin = t->slots[hash & ((uint64_t)t->n_slots - 1)].word >> 24;
    __builtin_prefetch((const void *)((uintptr_t)t->bytes + (uintptr_t)begin));
}

/* Find a string. *slot is its slot or, if it is not found and some slot is unused, the slot to insert it into.
 * @return its number, or -1. */
static inline int32_t terms_find(const skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t *slot)
{
    int64_t mask = t->n_slots - 1, at = (int64_t)(hash & (uint64_t)mask);
    uint64_t word = terms_load_first(s, n < TERMS_SHORT ? n : TERMS_SHORT);
    uint32_t tag = terms_tag(n, hash);
    for (int64_t tried = 0; tried <= mask; tried++, at = (at + 1) & mask) {
        skx_term_slot found = t->slots[at];
        *slot = at;
        if (found.tag == 0) return -1;
        if (found.tag != tag || found.term < 0 || found.term >= t->n_terms) continue;
        if (n <= TERMS_SHORT ? found.word == word : terms_equal(t, found, s, n)) return found.term;
    }
    return -1;
}

/* Append a string that terms_find did not find.
 * @return SKX_OK; or SKX_ECAPACITY if the capacity is used up, half of the slots are in use, or the strings would take 2^40
 *         bytes. */
int skx_terms_insert(skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t slot);

#endif
