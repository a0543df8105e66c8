#include "terms.h"

#include "base/cancel.h"

#include <stdlib.h>

int terms_insert(skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t slot)
{
    int64_t term = t->n_terms;
    if (term >= t->term_capacity || n > t->byte_capacity - t->n_bytes || term >= t->n_slots / 2) return SKX_ECAPACITY;
    if (t->n_bytes + n >= TERMS_MOST) return SKX_ENOMEM;
    memcpy(t->bytes + t->n_bytes, s, (size_t)n);
    t->slots[slot] = terms_slot(s, n, hash, t->n_bytes, term);
    t->n_bytes += n;
    t->ptr[term + 1] = t->n_bytes;
    t->n_terms++;
    return SKX_OK;
}

enum { AT_ONCE = 64 }; /* strings whose slots are fetched before any is filled */

int skx_terms_index(int64_t n_terms, const int64_t *ptr, const uint8_t *bytes, int64_t n_slots, skx_term_slot *slots)
{
    uint64_t mask = (uint64_t)n_slots - 1, hash[AT_ONCE];
    if (n_slots < 1 || (n_slots & (n_slots - 1)) || n_terms > n_slots / 2 || ptr[n_terms] >= TERMS_MOST) return SKX_EARG;
    for (int64_t lo = 0; lo < n_terms; lo += AT_ONCE) {
        int64_t n = n_terms - lo < AT_ONCE ? n_terms - lo : AT_ONCE;
        for (int64_t i = 0; i < n; i++) {
            hash[i] = terms_hash(bytes + ptr[lo + i], ptr[lo + i + 1] - ptr[lo + i]);
            __builtin_prefetch(slots + (hash[i] & mask), 1);
        }
        for (int64_t i = 0; i < n; i++) {
            int64_t begin = ptr[lo + i];
            uint64_t at = hash[i] & mask;
            while (slots[at].tag) at = (at + 1) & mask;
            slots[at] = terms_slot(bytes + begin, ptr[lo + i + 1] - begin, hash[i], begin, lo + i);
        }
    }
    return SKX_OK;
}

/* ---- sorting: by one byte after the other, where there are many strings ---- */

enum { FEW = 12 };

typedef struct {
    uint64_t key; /* 8 bytes of the string, the first one highest, padded by zeros */
    const uint8_t *bytes;
    uint32_t n;
    int32_t term;
} sortable;

/* Strings that agree in their first `depth` bytes. Their keys begin at the last multiple of 8 of it. */
typedef struct {
    int64_t lo, hi, depth;
} pending;

static uint64_t key_at(const sortable *a, int64_t depth)
{
    uint64_t key = 0;
    for (int64_t i = depth; i < depth + 8; i++) key = key << 8 | (i < a->n ? a->bytes[i] : 0);
    return key;
}

/* One more than the byte at `depth`; 0 at the string's end. */
static int digit_at(const sortable *a, int64_t depth)
{
    return depth < a->n ? 1 + (int)(a->key >> (56 - 8 * (depth & 7)) & 0xff) : 0;
}

static int is_above(const sortable *a, const sortable *b)
{
    if (a->key != b->key) return a->key > b->key;
    int order = memcmp(a->bytes, b->bytes, a->n < b->n ? a->n : b->n);
    return order ? order > 0 : a->n > b->n;
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

/* Sort a range by one byte and push its parts that go on. There is room: pending ranges are disjoint, of two strings at least.
 * Returns the new top of the stack. */
static int64_t divide(pending range, sortable *items, sortable *spare, pending *stack, int64_t top)
{
    int64_t begin[258] = {0}, n = range.hi - range.lo;
    items += range.lo;
    for (int64_t i = 0; i < n; i++) begin[digit_at(items + i, range.depth) + 1]++;
    for (int d = 0; d < 257; d++) {
        int64_t count = begin[d + 1];
        begin[d + 1] += begin[d];
        if (d > 0 && count > 1)
            stack[top++] = (pending){range.lo + begin[d], range.lo + begin[d + 1], range.depth + 1};
        if (count == n) return top; /* all agree, and stay where they are */
    }
    for (int64_t i = 0; i < n; i++) spare[begin[digit_at(items + i, range.depth)]++] = items[i];
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
            for (int64_t i = range.lo; i < range.hi; i++) items[i].key = key_at(items + i, range.depth);
        if (range.hi - range.lo <= FEW) insertion_sort(items + range.lo, range.hi - range.lo);
        else top = divide(range, items, spare, stack, top);
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
