/* The rows that are compared with a query: those with one of its highest ranked labels. */
#include "neighbors/candidates.h"

#include "base/span.h"

#include <string.h>

int64_t skx_power_above(int64_t n)
{
    int64_t size = 16;
    while (size < n) size *= 2;
    return size;
}

bool skx_neighbor_params_valid(const skx_neighbor_rows *rows, const skx_neighbor_params *params)
{
    bool sizes_valid = rows->n_rows >= 0 && rows->n_labels >= 0 && rows->n_entries >= 0;
    return sizes_valid && params->n_neighbors >= 1 && params->n_candidates >= 1;
}

int64_t skx_embedding_stride(int64_t n_dims)
{
    return (n_dims + SKX_EMBEDDING_LINE - 1) / SKX_EMBEDDING_LINE * SKX_EMBEDDING_LINE;
}

skx_candidates skx_candidates_of(const skx_neighbor_rows *rows, int64_t n_candidates)
{
    int64_t max_candidates = n_candidates < rows->n_rows ? n_candidates : rows->n_rows;
    return (skx_candidates){.rows = rows, .n_candidates = n_candidates, .max_candidates = max_candidates};
}

void skx_candidates_allocate(skx_candidates *c, skx_arena *arena)
{
    c->seen = skx_arena_take(arena, skx_power_above(2 * c->max_candidates), sizeof *c->seen);
    c->found = skx_arena_take(arena, c->max_candidates, sizeof *c->found);
}

static void empty_seen(skx_candidates *c, int64_t n)
{
    int64_t size = skx_power_above(2 * n);
    c->seen_mask = size - 1;
    memset(c->seen, 0xff, (size_t)size * sizeof *c->seen);
}

/* Add a row to the set. @return whether it is new. */
static bool add_seen(skx_candidates *c, int32_t row)
{
    int64_t at = (int64_t)((uint64_t)(uint32_t)row * UINT64_C(0x9e3779b97f4a7c15) >> 32) & c->seen_mask;
    for (; c->seen[at] >= 0; at = (at + 1) & c->seen_mask)
        if (c->seen[at] == row) return false;
    c->seen[at] = row;
    return true;
}

static span postings_of(const skx_neighbor_rows *rows, int32_t label)
{
    return label < 0 || label >= rows->n_labels ? (span){0, 0} : span_of(rows->posting_ptr, label, rows->n_entries);
}

/* Empty the set of rows for the postings of the labels. @return the number of labels with postings. */
static int64_t begin_collection(skx_candidates *c, const int32_t *labels, int64_t n_listed)
{
    int64_t n = 0, n_with_postings = 0;
    for (int64_t i = 0; i < n_listed; i++) {
        span s = postings_of(c->rows, labels[i]);
        n += n < c->max_candidates ? s.end - s.begin : 0;
        n_with_postings += s.end > s.begin;
    }
    empty_seen(c, n < c->max_candidates ? n : c->max_candidates);
    return n_with_postings;
}

/* @return the largest number of rows that are taken from the postings of the next label, of n_labels_left with postings. */
static int64_t quota_of(int64_t left, int64_t n_labels_left) { return (left - 1) / n_labels_left + 1; }

bool skx_candidates_are_all(const skx_candidates *c, const int32_t *labels, int64_t n_listed)
{
    int64_t left = c->n_candidates, n_labels_left = 0;
    for (int64_t i = 0; i < n_listed; i++) {
        span s = postings_of(c->rows, labels[i]);
        n_labels_left += s.end > s.begin;
    }
    for (int64_t i = 0; i < n_listed; i++) {
        span s = postings_of(c->rows, labels[i]);
        int64_t n_postings = s.end - s.begin;
        if (n_postings == 0) continue;
        if (left <= 0 || n_postings > quota_of(left, n_labels_left--)) return false;
        left -= n_postings;
    }
    return true;
}

int64_t skx_candidates_collect(skx_candidates *c, const int32_t *labels, int64_t n_listed)
{
    const skx_neighbor_rows *rows = c->rows;
    int64_t left = c->n_candidates, n = 0, n_labels_left = begin_collection(c, labels, n_listed);
    for (int64_t i = 0; i < n_listed && left > 0; i++) {
        span s = postings_of(rows, labels[i]);
        int64_t n_postings = s.end - s.begin;
        if (n_postings == 0) continue;
        int64_t quota = quota_of(left, n_labels_left--), m = n_postings < quota ? n_postings : quota;
        left -= m;
        for (int64_t j = 0; j < m; j++) {
            int32_t row = rows->posting[s.begin + (m == n_postings ? j : (int64_t)((double)j / (double)m * (double)n_postings))];
            if (row >= 0 && row < rows->n_rows && add_seen(c, row)) c->found[n++] = row;
        }
    }
    return n;
}

void skx_neighbors_write(const selector *best, int64_t k, int32_t *neighbor, float *similarity)
{
    for (int64_t j = 0; j < k; j++) {
        neighbor[j] = j < best->n ? key_id(best->keys[j]) : -1;
        similarity[j] = j < best->n ? key_score(best->keys[j]) : 0.0f;
    }
}
