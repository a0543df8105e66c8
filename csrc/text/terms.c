#include "text/terms.h"

#include "base/cancel.h"

#include <stdlib.h>

int skx_terms_insert(skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t slot)
{
    int64_t term = t->n_terms;
    if (term >= t->term_capacity || n > t->byte_capacity - t->n_bytes || term >= t->n_slots / 2) return SKX_ECAPACITY;
    if (t->n_bytes + n >= TERMS_MAX_BYTES) return SKX_ECAPACITY;
    memcpy(t->bytes + t->n_bytes, s, (size_t)n);
    t->slots[slot] = terms_slot(s, n, hash, t->n_bytes, term);
    t->n_bytes += n;
    t->ptr[term + 1] = t->n_bytes;
    t->n_terms++;
    return SKX_OK;
}

enum { BATCH = 64 }; /* strings whose slots are prefetched before any is filled */

int skx_terms_index(int64_t n_terms, const int64_t *ptr, const uint8_t *bytes, int64_t n_slots, skx_term_slot *slots)
{
    uint64_t mask = (uint64_t)n_slots - 1, hash[BATCH];
    if (n_slots < 1 || (n_slots & (n_slots - 1)) || n_terms > n_slots / 2) return SKX_EARG;
    if (ptr[n_terms] >= TERMS_MAX_BYTES) return SKX_ECAPACITY;
    for (int64_t batch = 0; batch < n_terms; batch += BATCH) {
        int64_t n = n_terms - batch < BATCH ? n_terms - batch : BATCH;
        for (int64_t i = 0; i < n; i++) {
            int64_t begin = ptr[batch + i], end = ptr[batch + i + 1];
            hash[i] = terms_hash(bytes + begin, end - begin);
            __builtin_prefetch(slots + (hash[i] & mask), 1);
        }
        for (int64_t i = 0; i < n; i++) {
            int64_t begin = ptr[batch + i], end = ptr[batch + i + 1];
            uint64_t at = hash[i] & mask;
            while (slots[at].tag) at = (at + 1) & mask;
            slots[at] = terms_slot(bytes + begin, end - begin, hash[i], begin, batch + i);
        }
    }
    return SKX_OK;
}

/* ---- sorting: radix sort from the first byte on, insertion sort for a few strings ---- */

enum { FEW = 12 }; /* strings that insertion sort is faster for */

typedef struct {
    uint64_t key; /* 8 bytes of the string, the first one in the highest bits, padded by zeros */
    const uint8_t *bytes;
    uint32_t n;
    int32_t term;
} sortable;

/* Strings that agree in their first `depth` bytes. Their keys begin at the last multiple of 8 up to `depth`. */
typedef struct {
    int64_t begin, end, depth;
} pending;

static uint64_t key_at(const sortable *a, int64_t depth)
{
    uint64_t key = 0;
    for (int64_t i = depth; i < depth + 8; i++) key = key << 8 | (i < a->n ? a->bytes[i] : 0);
    return key;
}

/* @return one more than the byte at `depth`, or 0 at the end of the string. */
static int digit_at(const sortable *a, int64_t depth)
{
    return depth < a->n ? 1 + (int)(a->key >> (56 - 8 * (depth & 7)) & 0xff) : 0;
}

static bool is_above(const sortable *a, const sortable *b)
{
    if (a->key != b->key) return a->key > b->key;
    int order = memcmp(a->bytes, b->bytes, a->n < b->n ? a->n : b->n);
    return order > 0 || (order == 0 && a->n > b->n);
}

static void insertion_sort(sortable *items, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        sortable item = items[i];
        int64_t at = i;
        for (; at > 0 && is_above(&items[at - 1], &item); at--) items[at] = items[at - 1];
        items[at] = item;
    }
}

/* Sort a range by one byte, and push the parts that are not sorted yet. The stack cannot overflow, because pending ranges are
 * disjoint and have at least two strings. @return the new top of the stack. */
static int64_t divide(pending range, sortable *items, sortable *spare, pending *stack, int64_t top)
{
    int64_t bucket[258] = {0}, n = range.end - range.begin; /* where the strings of each digit begin */
    items += range.begin;
    for (int64_t i = 0; i < n; i++) bucket[digit_at(items + i, range.depth) + 1]++;
    for (int d = 0; d < 257; d++) {
        int64_t count = bucket[d + 1];
        bucket[d + 1] += bucket[d];
        if (d > 0 && count > 1) stack[top++] = (pending){range.begin + bucket[d], range.begin + bucket[d + 1], range.depth + 1};
        if (count == n) return top; /* all have the same digit: nothing moves */
    }
    for (int64_t i = 0; i < n; i++) spare[bucket[digit_at(items + i, range.depth)]++] = items[i];
    memcpy(items, spare, (size_t)n * sizeof *items);
    return top;
}

static int sort_all(int64_t n, const int32_t *cancel, sortable *items, sortable *spare, pending *stack)
{
    int64_t top = 0;
    if (n > 1) stack[top++] = (pending){0, n, 0};
    while (top > 0) {
        if (skx_cancelled(cancel)) return SKX_ECANCELLED;
        pending range = stack[--top];
        if (range.depth % 8 == 0)
            for (int64_t i = range.begin; i < range.end; i++) items[i].key = key_at(items + i, range.depth);
        if (range.end - range.begin <= FEW)
            insertion_sort(items + range.begin, range.end - range.begin);
        else
            top = divide(range, items, spare, stack, top);
    }
    return SKX_OK;
}

int skx_terms_sort(const int64_t *ptr, const uint8_t *bytes, int64_t n, const int32_t *cancel, int32_t *terms)
{
    sortable *items = malloc((size_t)(n + 1) * 2 * sizeof *items);
    pending *stack = malloc((size_t)(n / 2 + 1) * sizeof *stack);
    int status = items && stack ? SKX_OK : SKX_ENOMEM;
    if (status == SKX_OK) {
        for (int64_t i = 0; i < n; i++) {
            int64_t begin = ptr[terms[i]];
            items[i] = (sortable){0, bytes + begin, (uint32_t)(ptr[terms[i] + 1] - begin), terms[i]};
        }
        status = sort_all(n, cancel, items, items + n, stack);
        for (int64_t i = 0; i < n && status == SKX_OK; i++) terms[i] = items[i].term;
    }
    free(items);
    free(stack);
    return status;
}

int skx_terms_take(const int64_t *ptr, const uint8_t *bytes, const int32_t *terms, int64_t n, int64_t *out_ptr,
                   uint8_t *out_bytes)
{
    out_ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t begin = ptr[terms[i]], length = ptr[terms[i] + 1] - begin;
        memcpy(out_bytes + out_ptr[i], bytes + begin, (size_t)length);
        out_ptr[i + 1] = out_ptr[i] + length;
    }
    return SKX_OK;
}
