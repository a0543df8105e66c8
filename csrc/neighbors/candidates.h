/* The rows that are compared with a query, and what all searches for neighbors have in common. */
#ifndef SKX_CANDIDATES_H
#define SKX_CANDIDATES_H
#include "base/arena.h"
#include "base/span.h"
#include "base/topk.h"
#include "skxmr.h"

#include <stdbool.h>

/* The rows of a label that are compared with a query: n_compared of its members, at equal distances. The members are n_members of
 * its postings, at equal distances. */
typedef struct {
    int32_t label;
    span postings;
    int64_t n_members;
    int64_t n_compared;
} skx_label_rows;

typedef struct {
    const skx_neighbor_rows *rows;
    int64_t n_candidates;   /* rows taken from postings, with repetitions */
    int64_t max_candidates; /* distinct ones among them */
    int64_t max_members;    /* of a label */
    skx_label_rows *parts;  /* one for each label with rows that are compared */
    int32_t *seen;          /* a hash set of rows; -1 where unused */
    int64_t seen_mask;      /* its size less one */
    int32_t *found;         /* rows */
} skx_candidates;

/* @return the smallest power of two that is at least n and 16. */
int64_t skx_power_above(int64_t n);

/* @return whether the sizes of rows are not negative, and those of params positive. */
bool skx_neighbor_params_valid(const skx_neighbor_rows *rows, const skx_neighbor_params *params);

/* @return number j of m numbers at equal distances in [0, n). */
static inline int64_t skx_spread(int64_t j, int64_t m, int64_t n)
{
    return m == n ? j : (int64_t)((double)j / (double)m * (double)n);
}

/* @return the postings of a label; none if it does not exist. */
span skx_postings_of(const skx_neighbor_rows *rows, int32_t label);

/* @return member j of a label; -1 if its postings have a row that does not exist. */
static inline int32_t skx_member(const skx_neighbor_rows *rows, span postings, int64_t j, int64_t n_members)
{
    int32_t row = rows->posting[postings.begin + skx_spread(j, n_members, postings.end - postings.begin)];
    return row < rows->n_rows ? row : -1;
}

/* @return candidates without arrays. */
skx_candidates skx_candidates_of(const skx_neighbor_rows *rows, int64_t n_candidates, int64_t max_members);

/* Take the arrays from an arena. */
void skx_candidates_allocate(skx_candidates *c, int64_t n_listed, skx_arena *arena);

/* Divide the candidates among the labels: write c->parts, and empty the set of rows. @return the number of parts. */
int64_t skx_candidates_divide(skx_candidates *c, const int32_t *labels, int64_t n_listed);

/* Add a row to the set. @return whether it is new. */
static inline bool skx_add_seen(skx_candidates *c, int32_t row)
{
    int64_t at = (int64_t)((uint64_t)(uint32_t)row * UINT64_C(0x9e3779b97f4a7c15) >> 32) & c->seen_mask;
    for (; c->seen[at] >= 0; at = (at + 1) & c->seen_mask)
        if (c->seen[at] == row) return false;
    c->seen[at] = row;
    return true;
}

/* Collect the rows with one of the labels in c->found. @return their number. */
int64_t skx_candidates_collect(skx_candidates *c, const int32_t *labels, int64_t n_listed);

/* Write the keys of a finished selector as k neighbors, padded with -1 and 0. */
void skx_neighbors_write(const selector *best, int64_t k, int32_t *neighbor, float *similarity);

/* A row: its n nonzeros. Its embedding is made of all but the first n_sparse. */
typedef struct {
    const int32_t *indices;
    const float *data;
    int64_t n;
    int64_t n_sparse;
} skx_query_row;

/* Find the neighbors of a row whose embedding was not checked. @return as skx_combine_row. */
int skx_find_similar_to_row(const skx_kernels *kernels, const skx_neighbor_list *list, const skx_query_row *row, int64_t n_listed,
                            const int32_t *labels, int32_t *neighbor, float *similarity);

#endif
