/* Sorting of texts for tries, by multikey sort: texts are sorted by three code points, which fit one 64-bit key, and texts that
 * agree in these by the next three. So each code point is read once. */
#include "base/cancel.h"
#include "skxmr.h"

#include <stdlib.h> /* qsort */

enum { STRIDE = 3, MAX_POINT = 0x10ffff };

typedef struct {
    uint64_t key;
    int32_t text;
} keyed;

/* The texts begin .. end of the order agree in their first `depth` code points and are not sorted yet. */
typedef struct {
    int64_t begin, end, depth;
} pending;

static bool texts_valid(const skx_points *texts)
{
    if (texts->n_texts < 0 || texts->n_texts > INT32_MAX || texts->ptr[0] != 0) return false;
    for (int64_t i = 0; i < texts->n_texts; i++)
        if (texts->ptr[i + 1] < texts->ptr[i]) return false;
    for (int64_t p = 0; p < texts->ptr[texts->n_texts]; p++)
        if (texts->points[p] > MAX_POINT) return false;
    return true;
}

/* @return three code points from depth on, plus one each. Those beyond the end are 0 and come first. */
static uint64_t key_at(const skx_points *texts, int32_t text, int64_t depth)
{
    int64_t p = texts->ptr[text] + depth, end = texts->ptr[text + 1];
    uint64_t key = 0;
    for (int64_t i = 0; i < STRIDE; i++) key = key << 21 | (p + i < end ? texts->points[p + i] + 1 : 0);
    return key;
}

static bool text_ended(uint64_t key) { return (key & 0x1fffff) == 0; }

/* Equal texts are in the order of their numbers, so that every sorting algorithm gives the same result. */
static int compare_keyed(const void *left, const void *right)
{
    const keyed *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->text > b->text) - (a->text < b->text);
}

/* Sort one range, and push the parts that are not sorted yet. The stack cannot overflow, because pending ranges are disjoint
 * and have at least two texts. @return the new top of the stack. */
static int64_t sort_range(const skx_points *texts, pending range, keyed *items, pending *stack, int64_t top)
{
    bool sorted = true;
    for (int64_t i = range.begin; i < range.end; i++) {
        items[i].key = key_at(texts, items[i].text, range.depth);
        sorted = sorted && (i == range.begin || compare_keyed(&items[i - 1], &items[i]) < 0);
    }
    if (!sorted) qsort(items + range.begin, (size_t)(range.end - range.begin), sizeof *items, compare_keyed);
    for (int64_t begin = range.begin, end; begin < range.end; begin = end) {
        for (end = begin + 1; end < range.end && items[end].key == items[begin].key; end++) continue;
        if (end - begin > 1 && !text_ended(items[begin].key)) stack[top++] = (pending){begin, end, range.depth + STRIDE};
    }
    return top;
}

static int sort_all(const skx_points *texts, const int32_t *cancel, keyed *items, pending *stack)
{
    int64_t top = 0, visited = 0;
    if (texts->n_texts > 1) stack[top++] = (pending){0, texts->n_texts, 0};
    while (top > 0) {
        pending range = stack[--top];
        visited += range.end - range.begin;
        if (visited >= SKX_POLL) {
            visited = 0;
            if (skx_cancelled(cancel)) return SKX_ECANCELLED;
        }
        top = sort_range(texts, range, items, stack, top);
    }
    return SKX_OK;
}

static int64_t common_length(const skx_points *texts, int32_t a, int32_t b)
{
    const uint32_t *p = texts->points + texts->ptr[a], *q = texts->points + texts->ptr[b];
    int64_t n = texts->ptr[a + 1] - texts->ptr[a], m = texts->ptr[b + 1] - texts->ptr[b], i = 0;
    if (m < n) n = m;
    while (i < n && p[i] == q[i]) i++;
    return i;
}

int skx_texts_sort(const skx_points *texts, const int32_t *cancel, int32_t *order, int64_t *common)
{
    if (!texts_valid(texts)) return SKX_EARG;
    int64_t n = texts->n_texts;
    keyed *items = malloc((size_t)(n + 1) * sizeof *items);
    pending *stack = malloc((size_t)(n / 2 + 1) * sizeof *stack);
    int status = items && stack ? SKX_OK : SKX_ENOMEM;
    if (status == SKX_OK) {
        for (int64_t i = 0; i < n; i++) items[i].text = (int32_t)i;
        status = sort_all(texts, cancel, items, stack);
    }
    for (int64_t i = 0; i < n && status == SKX_OK; i++) {
        order[i] = items[i].text;
        common[i] = i > 0 ? common_length(texts, order[i - 1], order[i]) : 0;
    }
    free(items);
    free(stack);
    return status;
}
