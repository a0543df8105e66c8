/* Pairs of items whose number of common rows has changed, and their new numbers. */
#include "base/arena.h"
#include "base/cancel.h"
#include "skxmr.h"

/* Visit the pairs of each new entry and the other entries of its row, by the position of the more frequent item: count them in
 * cursor, or write the other positions from the cursors on. */
static void visit_pairs(const skx_purchases *p, const skx_new_entries *added, int64_t *cursor, int32_t *other)
{
    for (int64_t e = 0; e < added->n; e++) {
        int32_t own = p->position_of[added->item[e]];
        for (int64_t t = p->target_ptr[added->row[e]]; t < p->target_ptr[added->row[e] + 1]; t++) {
            int32_t second = p->target[t], owner = own < second ? own : second;
            if (second == own) continue;
            if (other) other[cursor[owner]] = own < second ? second : own;
            cursor[owner]++;
        }
    }
}

/* Add the pairs of a new entry of a row. Two new entries of the row are a pair of the one with the lower position. */
static void add_frequent(const skx_purchases *p, int32_t row, int32_t item, const uint8_t *is_new, skx_frequent_pairs *frequent)
{
    int64_t own = frequent->index[item];
    if (own < 0) return;
    for (int64_t t = p->target_ptr[row]; t < p->target_ptr[row + 1]; t++) {
        int64_t second = frequent->index[p->item_of[p->target[t]]];
        if (second < 0 || second == own || (is_new[p->target[t]] && p->target[t] < p->position_of[item])) continue;
        frequent->both[own * frequent->n_items + second]++;
        frequent->both[second * frequent->n_items + own]++;
    }
}

static void add_all_frequent(const skx_purchases *p, const skx_new_entries *added, uint8_t *is_new, skx_frequent_pairs *frequent)
{
    for (int64_t begin = 0, end; begin < added->n; begin = end) {
        for (end = begin; end < added->n && added->row[end] == added->row[begin]; end++)
            is_new[p->position_of[added->item[end]]] = 1;
        for (int64_t e = begin; e < end; e++) add_frequent(p, added->row[e], added->item[e], is_new, frequent);
        for (int64_t e = begin; e < end; e++) is_new[p->position_of[added->item[e]]] = 0;
    }
}

/* Drop repeated pairs of the same owner. */
static void drop_repeated(int64_t n_items, int64_t *pair_ptr, int32_t *other, uint8_t *seen)
{
    int64_t n = 0, begin = 0;
    for (int64_t owner = 0; owner < n_items; owner++) {
        int64_t first = n, end = pair_ptr[owner + 1];
        for (; begin < end; begin++) {
            int32_t second = other[begin];
            if (seen[second]) continue;
            seen[second] = 1;
            other[n++] = second;
        }
        for (int64_t e = first; e < n; e++) seen[other[e]] = 0;
        pair_ptr[owner + 1] = n;
    }
}

int skx_changed_pairs(const skx_purchases *purchases, const skx_new_entries *added, int64_t *pair_ptr, int64_t capacity,
                      int32_t *other, skx_frequent_pairs *frequent)
{
    skx_arena arena = {0};
    int64_t n_items = purchases->n_items;
    int64_t *cursor = skx_arena_zeros(&arena, n_items, sizeof *cursor);
    uint8_t *seen = skx_arena_zeros(&arena, n_items, sizeof *seen);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    if (status == SKX_OK) {
        visit_pairs(purchases, added, cursor, NULL);
        pair_ptr[0] = 0;
        for (int64_t i = 0; i < n_items; i++) {
            pair_ptr[i + 1] = pair_ptr[i] + cursor[i];
            cursor[i] = pair_ptr[i];
        }
        if (pair_ptr[n_items] > capacity) status = SKX_ECAPACITY;
    }
    if (status == SKX_OK) {
        visit_pairs(purchases, added, cursor, other);
        drop_repeated(n_items, pair_ptr, other, seen);
        add_all_frequent(purchases, added, seen, frequent);
    }
    skx_arena_free(&arena);
    return status;
}

enum { AHEAD = 3, LINES = 8 }; /* pairs between a prefetch and its use, and lines that are prefetched at most */

static void prefetch_rows(const skx_purchases *p, int32_t position)
{
    int32_t item = p->item_of[position];
    const int32_t *row = p->row + p->row_ptr[item], *end = p->row + p->row_ptr[item + 1];
    for (int line = 0; line < LINES && row < end; line++, row += 16) __builtin_prefetch(row);
}

static uint32_t count_members(const uint64_t *set, const int32_t *row, const int32_t *end)
{
    uint32_t count = 0;
    for (; row < end; row++) count += (uint32_t)(set[*row >> 6] >> (*row & 63)) & 1;
    return count;
}

int skx_count_pairs(const skx_purchases *purchases, const int64_t *pair_ptr, const int32_t *other,
                    const skx_frequent_pairs *frequent, const int32_t *cancel, int64_t begin, int64_t end, uint32_t *both)
{
    const skx_purchases *p = purchases;
    skx_arena arena = {0};
    uint64_t *set = skx_arena_zeros(&arena, p->n_rows / 64 + 1, sizeof *set);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    for (int64_t owner = begin; owner < end && status == SKX_OK; owner++) {
        if (skx_cancelled(cancel)) status = SKX_ECANCELLED;
        if (pair_ptr[owner] == pair_ptr[owner + 1]) continue;
        int32_t item = p->item_of[owner];
        int64_t row = frequent->index[item];
        for (int64_t b = p->row_ptr[item]; b < p->row_ptr[item + 1]; b++) set[p->row[b] >> 6] |= UINT64_C(1) << (p->row[b] & 63);
        for (int64_t e = pair_ptr[owner]; e < pair_ptr[owner + 1]; e++) {
            if (e + AHEAD < pair_ptr[owner + 1]) prefetch_rows(p, other[e + AHEAD]);
            int32_t second = p->item_of[other[e]];
            int64_t column = frequent->index[second];
            if (row >= 0 && column >= 0)
                both[e] = frequent->both[row * frequent->n_items + column];
            else
                both[e] = count_members(set, p->row + p->row_ptr[second], p->row + p->row_ptr[second + 1]);
        }
        for (int64_t b = p->row_ptr[item]; b < p->row_ptr[item + 1]; b++) set[p->row[b] >> 6] = 0;
    }
    skx_arena_free(&arena);
    return status;
}
