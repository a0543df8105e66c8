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

span skx_postings_of(const skx_neighbor_rows *rows, int32_t label)
{
    return label < 0 || label >= rows->n_labels ? (span){0, 0} : span_of(rows->posting_ptr, label, rows->n_entries);
}

skx_candidates skx_candidates_of(const skx_neighbor_rows *rows, int64_t n_candidates, int64_t max_members)
{
    int64_t max_candidates = n_candidates < rows->n_rows ? n_candidates : rows->n_rows;
    return (skx_candidates){
        .rows = rows, .n_candidates = n_candidates, .max_candidates = max_candidates, .max_members = max_members};
}

void skx_candidates_allocate(skx_candidates *c, int64_t n_listed, skx_arena *arena)
{
    c->parts = skx_arena_take(arena, n_listed, sizeof *c->parts);
    c->seen = skx_arena_take(arena, skx_power_above(2 * c->max_candidates), sizeof *c->seen);
    c->found = skx_arena_take(arena, c->max_candidates, sizeof *c->found);
}

static void empty_seen(skx_candidates *c, int64_t n)
{
    int64_t size = skx_power_above(2 * (n < c->max_candidates ? n : c->max_candidates));
    c->seen_mask = size - 1;
    memset(c->seen, 0xff, (size_t)size * sizeof *c->seen);
}

int64_t skx_candidates_divide(skx_candidates *c, const int32_t *labels, int64_t n_listed)
{
    int64_t n_parts = 0, left = c->n_candidates;
    for (int64_t i = 0; i < n_listed; i++) {
        span s = skx_postings_of(c->rows, labels[i]);
        int64_t n_members = s.end - s.begin < c->max_members ? s.end - s.begin : c->max_members;
        if (n_members > 0) c->parts[n_parts++] = (skx_label_rows){labels[i], s, n_members, n_members};
    }
    int64_t n_used = 0;
    for (; n_used < n_parts && left > 0; n_used++) {
        skx_label_rows *part = &c->parts[n_used];
        int64_t quota = (left - 1) / (n_parts - n_used) + 1;
        if (part->n_compared > quota) part->n_compared = quota;
        left -= part->n_compared;
    }
    empty_seen(c, c->n_candidates - left);
    return n_used;
}

int64_t skx_candidates_collect(skx_candidates *c, const int32_t *labels, int64_t n_listed)
{
    int64_t n = 0, n_parts = skx_candidates_divide(c, labels, n_listed);
    for (int64_t i = 0; i < n_parts; i++) {
        const skx_label_rows *p = &c->parts[i];
        for (int64_t j = 0; j < p->n_compared; j++) {
            int32_t row = skx_member(c->rows, p->postings, skx_spread(j, p->n_compared, p->n_members), p->n_members);
            if (row >= 0 && skx_add_seen(c, row)) c->found[n++] = row;
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
