/* A set of column numbers with a summary level: its members are listed in increasing order in time proportional to their
 * number. */
#ifndef SKX_BITSET_H
#define SKX_BITSET_H
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    int64_t n_words;
    uint64_t *words;   /* bit j of words[i]: 64 * i + j is in the set */
    uint64_t *summary; /* bit j of summary[i]: words[64 * i + j] is not zero */
} bitset;

/* Make an empty set for numbers in [0, n). @return false if memory is short. Release with bitset_free, also then. */
static inline bool bitset_init(bitset *s, int64_t n)
{
    s->n_words = n / 64 + 1;
    s->words = calloc((size_t)(s->n_words + s->n_words / 64 + 1), sizeof *s->words);
    s->summary = s->words ? s->words + s->n_words : NULL;
    return s->words != NULL;
}

static inline void bitset_free(bitset *s) { free(s->words); }

static inline void bitset_add(bitset *s, int64_t i)
{
    s->words[i >> 6] |= UINT64_C(1) << (i & 63);
    s->summary[i >> 12] |= UINT64_C(1) << (i >> 6 & 63);
}

/* ranks[i] is the number of members below 64 * i. @return NULL if memory is short; release with free. */
static inline uint32_t *bitset_ranks(const bitset *s)
{
    uint32_t *ranks = (uint32_t *)malloc((size_t)(s->n_words + 1) * sizeof *ranks);
    if (!ranks) return NULL;
    ranks[0] = 0;
    for (int64_t w = 0; w < s->n_words; w++) ranks[w + 1] = ranks[w] + (uint32_t)__builtin_popcountll(s->words[w]);
    return ranks;
}

/* @return the number of members below i. */
static inline int32_t bitset_rank(const bitset *s, const uint32_t *ranks, int32_t i)
{
    uint64_t lower = s->words[i >> 6] & ((UINT64_C(1) << (i & 63)) - 1);
    return (int32_t)(ranks[i >> 6] + (uint32_t)__builtin_popcountll(lower));
}

/* @return the number of members. */
static inline int64_t bitset_size(const bitset *s, const uint32_t *ranks) { return ranks[s->n_words]; }

/* Write the members to out, in increasing order, and empty the set. @return their number. */
static inline int64_t bitset_drain(bitset *s, int32_t *out)
{
    int64_t n = 0, n_summary = (s->n_words + 63) / 64;
    for (int64_t i = 0; i < n_summary; i++) {
        for (uint64_t top = s->summary[i]; top; top &= top - 1) {
            int64_t w = 64 * i + __builtin_ctzll(top);
            for (uint64_t bits = s->words[w]; bits; bits &= bits - 1) out[n++] = (int32_t)(64 * w + __builtin_ctzll(bits));
            s->words[w] = 0;
        }
        s->summary[i] = 0;
    }
    return n;
}

#endif
