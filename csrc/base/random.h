/* A small seeded generator (splitmix64) with the same numbers on every system. */
#ifndef SKX_RANDOM_H
#define SKX_RANDOM_H
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* @return a number in [0, n), 0 < n < 2^31. */
static inline int64_t random_below(uint64_t *state, int64_t n)
{
    return (int64_t)((random_next(state) >> 32) * (uint64_t)n >> 32);
}

/* @return a number in [0, 1). */
static inline double random_unit(uint64_t *state) { return (double)(random_next(state) >> 11) * 0x1p-53; }

#endif
