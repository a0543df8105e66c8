/* Selection of the largest keys. A key packs a score and an id, so that one integer comparison gives the documented order: higher
 * score first, then lower id. */
#ifndef SKX_TOPK_H
#define SKX_TOPK_H
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t key_make(float score, int32_t id)
{
    uint32_t u;
    score = score == score ? score + 0.0f : -INFINITY; /* -0.0 becomes 0.0; NaN ranks last */
    memcpy(&u, &score, sizeof u);
    u = u & 0x80000000u ? ~u : u | 0x80000000u;
    return (uint64_t)u << 32 | (0xffffffffu - (uint32_t)id);
}

static inline int32_t key_id(uint64_t key) { return (int32_t)(0xffffffffu - (uint32_t)key); }

static inline float key_score(uint64_t key)
{
    uint32_t u = (uint32_t)(key >> 32);
    float score;
    u = u & 0x80000000u ? u & 0x7fffffffu : ~u;
    memcpy(&score, &u, sizeof score);
    return score;
}

/* Reorder so that keys[0 .. k) are the k largest, in any order. */
void skx_keys_select(uint64_t *keys, int64_t n, int64_t k);

/* Sort in descending order. */
void skx_keys_sort(uint64_t *keys, int64_t n);

/* Keeps the k largest of all pushed keys. keys has 2 * k elements. */
typedef struct {
    uint64_t *keys;
    int64_t k;
    int64_t n;
    uint64_t threshold; /* keys up to this one are not among the k largest */
} selector;

static inline selector selector_make(uint64_t *keys, int64_t k) { return (selector){keys, k, 0, 0}; }

void skx_selector_shrink(selector *s);

static inline void selector_push(selector *s, uint64_t key)
{
    if (key <= s->threshold) return;
    s->keys[s->n++] = key;
    if (s->n == 2 * s->k) skx_selector_shrink(s);
}

/* The same as selector_push, faster for a small k; all keys of a selector are pushed by the same function. */
static inline void selector_insert(selector *s, uint64_t key)
{
    if (key <= s->threshold) return;
    int64_t i = s->n < s->k ? s->n++ : s->k - 1;
    for (; i > 0 && s->keys[i - 1] < key; i--) s->keys[i] = s->keys[i - 1];
    s->keys[i] = key;
    if (s->n == s->k) s->threshold = s->keys[s->k - 1];
}

/* Sort the best keys in descending order: keys[0 .. n). */
void skx_selector_finish(selector *s);

/* Write the keys of a finished selector as a ranking of k labels, padded with -1 and -inf. */
void skx_selector_write(const selector *s, int64_t k, int32_t *labels, float *scores);

#endif
