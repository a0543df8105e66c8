#include "base/topk.h"

static inline void swap(uint64_t *a, uint64_t *b)
{
    uint64_t t = *a;
    *a = *b;
    *b = t;
}

/* Partition keys[begin .. end) around the median of three keys, larger ones first. @return the position of the median. */
static int64_t partition(uint64_t *keys, int64_t begin, int64_t end)
{
    int64_t mid = begin + (end - begin) / 2, last = end - 1;
    if (keys[mid] > keys[begin]) swap(&keys[mid], &keys[begin]);
    if (keys[last] > keys[begin]) swap(&keys[last], &keys[begin]);
    if (keys[mid] < keys[last]) swap(&keys[mid], &keys[last]);
    /* now keys[begin] >= keys[mid] >= keys[last] */
    swap(&keys[mid], &keys[last]);
    uint64_t pivot = keys[last];
    int64_t p = begin;
    for (int64_t i = begin; i < last; i++)
        if (keys[i] > pivot) swap(&keys[i], &keys[p++]);
    swap(&keys[p], &keys[last]);
    return p;
}

static void insertion_sort(uint64_t *keys, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        int64_t j = i;
        for (; j > 0 && keys[j - 1] < key; j--) keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

static void sift_down(uint64_t *keys, int64_t i, int64_t n)
{
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && keys[child + 1] < keys[child]) child++;
        if (keys[i] <= keys[child]) return;
        swap(&keys[i], &keys[child]);
    }
}

/* Sort in descending order, by a heap with the smallest key on top: the fallback for bad partitions. */
static void heap_sort(uint64_t *keys, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;) sift_down(keys, i, n);
    for (int64_t end = n; end-- > 1;) {
        swap(&keys[0], &keys[end]);
        sift_down(keys, 0, end);
    }
}

static int depth_limit(int64_t n)
{
    int limit = 8;
    for (; n > 1; n /= 2) limit += 2;
    return limit;
}

void skx_keys_select(uint64_t *keys, int64_t n, int64_t k)
{
    int64_t begin = 0, end = n;
    for (int limit = depth_limit(n); k > begin && k < end && end - begin > 16; limit--) {
        if (limit == 0) break;
        int64_t p = partition(keys, begin, end);
        if (p < k)
            begin = p + 1;
        else
            end = p;
    }
    if (k > begin && k < end) skx_keys_sort(keys + begin, end - begin);
}

void skx_keys_sort(uint64_t *keys, int64_t n)
{
    int limit = depth_limit(n);
    while (n > 16) {
        if (limit-- == 0) {
            heap_sort(keys, n);
            return;
        }
        int64_t p = partition(keys, 0, n);
        if (p < n - p - 1) { /* recurse into the smaller side only, so that the stack stays shallow */
            skx_keys_sort(keys, p);
            keys += p + 1;
            n -= p + 1;
        } else {
            skx_keys_sort(keys + p + 1, n - p - 1);
            n = p;
        }
    }
    insertion_sort(keys, n);
}

void skx_selector_shrink(selector *s)
{
    skx_keys_select(s->keys, s->n, s->k);
    s->n = s->k;
    uint64_t least = s->keys[0];
    for (int64_t i = 1; i < s->k; i++)
        if (s->keys[i] < least) least = s->keys[i];
    s->threshold = least;
}

void skx_selector_finish(selector *s)
{
    if (s->n > s->k) skx_selector_shrink(s);
    skx_keys_sort(s->keys, s->n);
}

void skx_selector_write(const selector *s, int64_t k, int32_t *labels, float *scores)
{
    for (int64_t i = 0; i < k; i++) {
        labels[i] = i < s->n ? key_id(s->keys[i]) : -1;
        scores[i] = i < s->n ? key_score(s->keys[i]) : -INFINITY;
    }
}
