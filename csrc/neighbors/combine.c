/* Combination of several rankings with the labels of nearest neighbors. */
#include "base/arena.h"
#include "base/sets.h"
#include "base/span.h"
#include "base/topk.h"
#include "neighbors/candidates.h"
#include "skxmr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The score of a label, from the contributions so far. They are added in their order. */
typedef struct {
    int32_t label;
    bool any_added;
    bool any_alone;
    float alone; /* largest contribution that is not added to the others, but replaces their sum if it is larger */
    float sum;
    double log_of_sum;
} label_score;

/* The scores of all labels with contributions, and a hash table of them by label. */
typedef struct {
    label_score *all;
    int64_t n;
    int64_t capacity;
    int32_t *slot; /* numbers of scores; -1 where unused. Twice the capacity */
    bool logarithms;
} contributions;

static void empty(contributions *c)
{
    c->n = 0;
    if (c->slot) memset(c->slot, 0xff, 2 * (size_t)c->capacity * sizeof *c->slot);
}

/* @return the slot of a label, or an unused one. */
static int64_t slot_of(const contributions *c, int32_t label)
{
    int64_t mask = 2 * c->capacity - 1;
    int64_t at = (int64_t)((uint64_t)(uint32_t)label * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
    while (c->slot[at] >= 0 && c->all[c->slot[at]].label != label) at = (at + 1) & mask;
    return at;
}

/* Make the capacity at least n. @return SKX_OK, or SKX_ENOMEM. */
static int reserve(contributions *c, int64_t n)
{
    if (n <= c->capacity) return SKX_OK;
    int64_t capacity = skx_power_above(n);
    label_score *all = realloc(c->all, (size_t)capacity * sizeof *all);
    if (all) c->all = all;
    int32_t *slot = all ? realloc(c->slot, 2 * (size_t)capacity * sizeof *slot) : NULL;
    if (!slot) return SKX_ENOMEM;
    c->slot = slot;
    c->capacity = capacity;
    memset(slot, 0xff, 2 * (size_t)capacity * sizeof *slot);
    for (int64_t i = 0; i < c->n; i++) slot[slot_of(c, all[i].label)] = (int32_t)i;
    return SKX_OK;
}

/* @return log(exp(a) + exp(b)); exactly a if b is minus infinity. */
static double log_sum(double a, double b)
{
    double most = a > b ? a : b, least = a > b ? b : a;
    return least > -INFINITY ? most + log1p(exp(least - most)) : most;
}

/* Add a contribution of a ranking or a neighbor to a label. */
static void contribute(contributions *c, int32_t label, float score, bool alone)
{
    int64_t slot = slot_of(c, label);
    if (c->slot[slot] < 0) {
        c->slot[slot] = (int32_t)c->n;
        c->all[c->n++] = (label_score){.label = label, .alone = -INFINITY, .log_of_sum = -INFINITY};
    }
    label_score *s = &c->all[c->slot[slot]];
    if (alone) {
        if (!s->any_alone || !(s->alone >= score)) s->alone = score;
        s->any_alone = true;
    } else {
        if (c->logarithms)
            s->log_of_sum = log_sum(s->log_of_sum, (double)score);
        else
            s->sum += score;
        s->any_added = true;
    }
}

/* Compute how much each neighbor of a row counts: its weight times its similarity, relative to that of the first one, to the
 * power. The weights add up to at most n_neighbors; that of the last one is reduced to this. @return the sum. */
static double weigh_neighbors(const skx_neighbor_list *list, const int32_t *neighbor, const float *similarity, double *weights)
{
    const skx_neighbor_rows *rows = list->rows;
    double left = (double)list->n_neighbors, sum = 0.0;
    for (int64_t j = 0; j < list->n_neighbors; j++) {
        weights[j] = 0.0;
        if (neighbor[j] < 0 || neighbor[j] >= rows->n_rows || !(left > 0.0)) continue;
        double weight = rows->weight ? (double)rows->weight[neighbor[j]] : 1.0;
        if (weight > left) weight = left;
        left -= weight;
        weights[j] = weight * pow((double)similarity[j] / (double)similarity[0], (double)list->power);
        sum += weights[j];
    }
    return sum;
}

/* @return whether row i, whose sets are given as well, may have a label. */
static bool label_permitted(const skx_label_restriction *within, int64_t i, const permitted_numbers *sets, int32_t label)
{
    if (!within) return true;
    if (within->position) {
        int64_t position = within->position[label];
        if (position < within->range[2 * i] || position >= within->range[2 * i + 1]) return false;
    }
    return is_permitted(sets, label);
}

/* Add the contributions of the neighbors of row i in a list to their labels. @return SKX_OK, or SKX_ENOMEM. */
static int add_neighbors(const skx_neighbor_list *list, const skx_combine_params *p, int64_t i, double *weights, contributions *c)
{
    if (!(list->weight > 0.0f)) return SKX_OK; /* labels with contributions of 0 only are not reached */
    const skx_neighbor_rows *rows = list->rows;
    const int32_t *neighbor = list->neighbor + i * list->n_neighbors;
    double sum = weigh_neighbors(list, neighbor, list->similarity + i * list->n_neighbors, weights);
    permitted_numbers sets = {0};
    if (p->within) sets = permitted_of(p->within->among, p->within->exclude, i);
    for (int64_t j = 0; j < list->n_neighbors; j++) {
        if (!(weights[j] > 0.0) || !(sum > 0.0)) continue;
        span s = span_of(rows->label_ptr, neighbor[j], rows->n_entries);
        int status = reserve(c, c->n + s.end - s.begin);
        if (status != SKX_OK) return status;
        double part = list->weight * weights[j] / sum;
        float score = (float)(p->logarithms ? log(part) : part);
        for (int64_t e = s.begin; e < s.end; e++) {
            int32_t label = rows->label[e];
            bool is_label = label >= 0 && label < rows->n_labels;
            if (is_label && label_permitted(p->within, i, &sets, label)) contribute(c, label, score, false);
        }
    }
    return SKX_OK;
}

static float total(const label_score *s, bool logarithms)
{
    float added = logarithms ? (float)s->log_of_sum : s->sum;
    return s->any_alone && (!s->any_added || s->alone > added) ? s->alone : added;
}

/* Keep the best labels. */
static void keep_best(const contributions *c, const skx_combine_params *p, selector *best)
{
    for (int64_t i = 0; i < c->n; i++) {
        float score = total(&c->all[i], c->logarithms);
        if (score >= p->floor) selector_push(best, key_make(score, c->all[i].label));
    }
    skx_selector_finish(best);
}

static bool lists_valid(const skx_neighbor_list *neighbors, int64_t n_lists)
{
    bool valid = n_lists >= 0;
    for (int64_t l = 0; l < n_lists; l++) valid = valid && neighbors[l].rows && neighbors[l].n_neighbors >= 1;
    return valid;
}

static bool arguments_valid(const skx_combine_params *p, int64_t n_rows, int64_t n_listed)
{
    return p->k >= 1 && n_rows >= 0 && n_listed >= 0 && p->n_lists >= 1 && n_listed % p->n_lists == 0 &&
           (!p->within || (sets_valid(p->within->among, 0, n_rows) && sets_valid(p->within->exclude, 0, n_rows)));
}

static int64_t most_neighbors(const skx_neighbor_list *neighbors, int64_t n_lists)
{
    int64_t most = 0;
    for (int64_t l = 0; l < n_lists; l++)
        if (neighbors[l].n_neighbors > most) most = neighbors[l].n_neighbors;
    return most;
}

int skx_combine(const skx_neighbor_list *neighbors, int64_t n_neighbor_lists, const skx_combine_params *params, int64_t n_rows,
                const skx_rankings *rankings, int32_t *labels, float *scores)
{
    int64_t n_listed = rankings->n_listed;
    if (!lists_valid(neighbors, n_neighbor_lists) || !arguments_valid(params, n_rows, n_listed)) return SKX_EARG;
    int64_t k = params->k, length = n_listed / params->n_lists;
    skx_arena arena = {0};
    contributions c = {.logarithms = params->logarithms != 0};
    double *weights = skx_arena_take(&arena, most_neighbors(neighbors, n_neighbor_lists), sizeof *weights);
    uint64_t *keys = skx_arena_take(&arena, 2 * k, sizeof *keys);
    int status = arena.failed ? SKX_ENOMEM : reserve(&c, n_listed + 1);
    for (int64_t i = 0; i < n_rows && status == SKX_OK; i++) {
        const int32_t *listed = rankings->labels + i * n_listed;
        const float *listed_scores = rankings->scores + i * n_listed;
        empty(&c);
        for (int64_t j = 0; j < n_listed; j++)
            if (listed[j] >= 0) contribute(&c, listed[j], listed_scores[j], j % length >= params->n_head);
        for (int64_t l = 0; l < n_neighbor_lists && status == SKX_OK; l++)
            status = add_neighbors(&neighbors[l], params, i, weights, &c);
        selector best = selector_make(keys, k);
        if (status == SKX_OK) keep_best(&c, params, &best);
        skx_selector_write(&best, k, labels + i * k, scores + i * k);
    }
    free(c.all);
    free(c.slot);
    skx_arena_free(&arena);
    return status;
}

/* Find the neighbors of a row for one list. @return as skx_combine_row. */
static int find_for_row(const skx_kernels *kernels, const skx_neighbor_list *list, const skx_query_row *row, int64_t n_labels,
                        const int32_t *labels, int32_t *neighbor, float *similarity)
{
    if (list->rows->n_dims > 0) return skx_find_similar_to_row(kernels, list, row, n_labels, labels, neighbor, similarity);
    const int64_t indptr[2] = {0, row->n_sparse};
    const skx_csr query = {1, INT32_MAX, indptr, row->indices, row->data, 0};
    const skx_neighbor_params params = {list->n_neighbors, list->n_candidates};
    return skx_find_neighbors(list->rows, &query, &params, 0, 1, n_labels, labels, NULL, neighbor, similarity);
}

int skx_combine_row(const skx_kernels *kernels, const skx_neighbor_list *neighbors, int64_t n_neighbor_lists,
                    const skx_combine_params *params, const int32_t *indices, const float *data, int64_t n, int64_t n_sparse,
                    const skx_rankings *rankings, int64_t n_query_labels, int32_t *labels, float *scores)
{
    enum { MOST_LISTS = 2 };
    if (!lists_valid(neighbors, n_neighbor_lists) || n_neighbor_lists > MOST_LISTS) return SKX_EARG;
    if (n_sparse < 0 || n_sparse > n || n_query_labels > rankings->n_listed) return SKX_EARG;
    const skx_query_row row = {indices, data, n, n_sparse};
    skx_neighbor_list found[MOST_LISTS];
    skx_arena arena = {0};
    int status = SKX_OK;
    for (int64_t l = 0; l < n_neighbor_lists && status == SKX_OK; l++) {
        int64_t n_neighbors = neighbors[l].n_neighbors;
        int32_t *neighbor = skx_arena_take(&arena, n_neighbors, sizeof *neighbor);
        float *similarity = skx_arena_take(&arena, n_neighbors, sizeof *similarity);
        found[l] = neighbors[l];
        found[l].neighbor = neighbor;
        found[l].similarity = similarity;
        status = arena.failed
                     ? SKX_ENOMEM
                     : find_for_row(kernels, &neighbors[l], &row, n_query_labels, rankings->labels, neighbor, similarity);
    }
    if (status == SKX_OK) status = skx_combine(found, n_neighbor_lists, params, 1, rankings, labels, scores);
    skx_arena_free(&arena);
    return status;
}
