#include "base/topk.h"

#include "skxmr.h"

#include <stdlib.h>

static inline void swap(uint64_t *a, uint64_t *b)
{
    uint64_t t = *a;
    *a = *b;
    *b = t;
}

/* Put the median of three keys into keys[hi - 1] and partition keys[lo .. hi) around it, larger ones first. */
static int64_t partition(uint64_t *keys, int64_t lo, int64_t hi)
{
    int64_t mid = lo + (hi - lo) / 2, last = hi - 1;
    if (keys[mid] > keys[lo]) swap(&keys[mid], &keys[lo]);
    if (keys[last] > keys[lo]) swap(&keys[last], &keys[lo]);
    if (keys[mid] < keys[last]) swap(&keys[mid], &keys[last]);
    /* now keys[lo] >= keys[mid] >= keys[last] */
    swap(&keys[mid], &keys[last]);
    uint64_t pivot = keys[last];
    int64_t p = lo;
    for (int64_t i = lo; i < last; i++)
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

/* Falling order, by a heap with the smallest key on top: the way out when partitions turn bad. */
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
    int64_t lo = 0, hi = n;
    for (int limit = depth_limit(n); k > lo && k < hi && hi - lo > 16; limit--) {
        if (limit == 0) break;
        int64_t p = partition(keys, lo, hi);
        if (p < k)
            lo = p + 1;
        else
            hi = p;
    }
    if (k > lo && k < hi) skx_keys_sort(keys + lo, hi - lo);
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

int64_t skx_selector_finish(selector *s)
{
    if (s->n > s->k) skx_selector_shrink(s);
    skx_keys_sort(s->keys, s->n);
    return s->n;
}

static void write_row(const uint64_t *keys, int64_t n, int64_t k, int32_t *labels, float *scores)
{
    for (int64_t i = 0; i < k; i++) {
        labels[i] = i < n ? key_id(keys[i]) : -1;
        scores[i] = i < n ? key_score(keys[i]) : -INFINITY;
    }
}

int skx_csr_top_k(const skx_csr *a, int64_t k, int32_t *labels, float *scores)
{
    if (k < 1) return SKX_EARG;
    int64_t keep = k < a->n_cols ? k : a->n_cols;
    uint64_t *keys = malloc((size_t)(2 * keep + 1) * sizeof *keys);
    if (!keys) return SKX_ENOMEM;
    for (int64_t i = 0; i < a->n_rows; i++) {
        selector best = selector_make(keys, keep);
        for (int64_t p = a->indptr[i]; p < a->indptr[i + 1]; p++)
            selector_push(&best, key_make(a->data[p], a->indices[p]));
        write_row(keys, skx_selector_finish(&best), k, labels + i * k, scores + i * k);
    }
    free(keys);
    return SKX_OK;
}
