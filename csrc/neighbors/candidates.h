/* The rows that are compared with a query, and what all searches for neighbors have in common. */
#ifndef SKX_CANDIDATES_H
#define SKX_CANDIDATES_H
#include "base/arena.h"
#include "base/topk.h"
#include "skxmr.h"

#include <stdbool.h>

typedef struct {
    const skx_neighbor_rows *rows;
    int64_t n_candidates;   /* rows taken from postings, with repetitions */
    int64_t max_candidates; /* distinct ones among them */
    int32_t *seen;          /* a hash set of rows; -1 where unused */
    int64_t seen_mask;      /* its size less one */
    int32_t *found;         /* rows */
} skx_candidates;

/* @return the smallest power of two that is at least n and 16. */
int64_t skx_power_above(int64_t n);

/* @return whether the sizes of rows are not negative, and those of params positive. */
bool skx_neighbor_params_valid(const skx_neighbor_rows *rows, const skx_neighbor_params *params);

/* @return candidates without arrays. */
skx_candidates skx_candidates_of(const skx_neighbor_rows *rows, int64_t n_candidates);

/* Take the arrays from an arena. */
void skx_candidates_allocate(skx_candidates *c, skx_arena *arena);

/* @return whether all rows with one of the labels are collected. Then those with some of these labels are as well. */
bool skx_candidates_are_all(const skx_candidates *c, const int32_t *labels, int64_t n_listed);

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
