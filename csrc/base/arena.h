/* Scratch arrays that are freed together. Each is an allocation of its own, so that a sanitizer finds accesses beyond its end. A
 * call takes all its arrays from one arena, checks once whether an allocation failed, and frees them together. */
#ifndef SKX_ARENA_H
#define SKX_ARENA_H
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { SKX_ARENA_ARRAYS = 24 }; /* of one arena */

/* All zeros, {0}, is an arena without arrays. */
typedef struct {
    int n_arrays;
    bool failed; /* an allocation failed */
    void *arrays[SKX_ARENA_ARRAYS];
} skx_arena;

/* Let the arena own the result of an allocation function. @return the same. */
static inline void *skx_arena_own(skx_arena *arena, void *array)
{
    if (array == NULL)
        arena->failed = true;
    else
        arena->arrays[arena->n_arrays++] = array;
    return array;
}

/* @return an uninitialized array of n items, or of one if n is 0; NULL if this or an earlier allocation failed. */
static inline void *skx_arena_take(skx_arena *arena, int64_t n, size_t item)
{
    if (arena->failed) return NULL;
    return skx_arena_own(arena, malloc((size_t)(n + !n) * item));
}

/* @return the same, all zeros. */
static inline void *skx_arena_zeros(skx_arena *arena, int64_t n, size_t item)
{
    if (arena->failed) return NULL;
    return skx_arena_own(arena, calloc((size_t)(n + !n), item));
}

static inline void skx_arena_free(skx_arena *arena)
{
    for (int i = 0; i < arena->n_arrays; i++) free(arena->arrays[i]);
}

#endif
