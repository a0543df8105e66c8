/* Numbers that a row may have: those of one set, without those of another. */
#ifndef SKX_SETS_H
#define SKX_SETS_H
#include "skxmr.h"

#include <stdbool.h>
#include <stddef.h>

/* Numbers in increasing order, without repetitions. */
typedef struct {
    const int32_t *begin, *end;
} number_set;

typedef struct {
    bool limited;     /* only numbers of `among` are permitted; otherwise all */
    number_set among; /* empty unless limited */
    number_set exclude;
} permitted_numbers;

/* @return whether the sets of the rows begin <= i < end lie inside of the members. sets may be NULL. */
static inline bool sets_valid(const skx_sets *sets, int64_t begin, int64_t end)
{
    if (!sets) return true;
    if (sets->shared) {
        begin = 0;
        end = 1;
    }
    for (int64_t i = begin; i < end; i++)
        if (sets->ptr[i] < 0 || sets->ptr[i] > sets->ptr[i + 1] || sets->ptr[i + 1] > sets->n_members) return false;
    return true;
}

/* @return the set of row i, which must be valid; an empty one if sets is NULL. */
static inline number_set set_of(const skx_sets *sets, int64_t i)
{
    if (!sets) return (number_set){NULL, NULL};
    int64_t row = sets->shared ? 0 : i;
    return (number_set){sets->member + sets->ptr[row], sets->member + sets->ptr[row + 1]};
}

/* @return the first number that is at least `least`, or the end. */
static inline const int32_t *set_find(number_set set, int64_t least)
{
    const int32_t *first = set.begin;
    for (ptrdiff_t n = set.end - set.begin; n > 0;) {
        ptrdiff_t half = n / 2;
        if (first[half] < least) {
            first += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return first;
}

/* @return the numbers in [begin, end). */
static inline number_set set_between(number_set set, int64_t begin, int64_t end)
{
    number_set rest = {set_find(set, begin), set.end};
    return (number_set){rest.begin, set_find(rest, end)};
}

static inline bool set_has(number_set set, int32_t number)
{
    const int32_t *found = set_find(set, number);
    return found < set.end && *found == number;
}

static inline permitted_numbers permitted_of(const skx_sets *among, const skx_sets *exclude, int64_t i)
{
    return (permitted_numbers){among != NULL, set_of(among, i), set_of(exclude, i)};
}

/* @return the same for numbers in [begin, end) only; they are then found in fewer steps. */
static inline permitted_numbers permitted_between(const permitted_numbers *p, int64_t begin, int64_t end)
{
    return (permitted_numbers){p->limited, set_between(p->among, begin, end), set_between(p->exclude, begin, end)};
}

static inline bool is_permitted(const permitted_numbers *p, int32_t number)
{
    return (!p->limited || set_has(p->among, number)) && !set_has(p->exclude, number);
}

/* @return whether a number in [begin, end) is permitted. An empty range is permitted unless the numbers are limited. */
static inline bool any_permitted(const permitted_numbers *p, int64_t begin, int64_t end)
{
    number_set excluded = set_between(p->exclude, begin, end);
    if (!p->limited) return begin >= end || excluded.end - excluded.begin < end - begin;
    for (const int32_t *m = set_find(p->among, begin); m < p->among.end && *m < end; m++)
        if (!set_has(excluded, *m)) return true;
    return false;
}

#endif
