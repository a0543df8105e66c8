/* Related items by measures of two items that are the same in both directions. A pair is counted once, at the rarer item, and its
 * score is compared with those of the best items of both. */
#include "base/cancel.h"
#include "recommend/related.h"

#include <math.h>

int skx_order_histories(int64_t n_rows, const int64_t *history_ptr, const int64_t *row_ptr, const int32_t *row,
                        skx_ordered_histories *out)
{
    skx_arena arena = {0};
    int32_t *end = skx_arena_take(&arena, n_rows, sizeof *end); /* of what is written of each row */
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    for (int64_t r = 0; r < n_rows && status == SKX_OK; r++) {
        end[r] = (int32_t)(history_ptr[r] + r);
        out->position[end[r]++] = -1;
    }
    int64_t n = 0;
    out->entry_ptr[0] = 0;
    for (int64_t p = 0; p < out->n_items && status == SKX_OK; p++) {
        int32_t item = out->item_of[p];
        int64_t before = 0, others = 0;
        for (int64_t b = row_ptr[item]; b < row_ptr[item + 1]; b++) {
            int64_t r = row[b];
            before += end[r] - history_ptr[r] - r - 1;
            others += history_ptr[r + 1] - history_ptr[r] - 1;
            out->entry[n++] = end[r];
            out->position[end[r]++] = (int32_t)p;
        }
        out->entry_ptr[p + 1] = n;
        out->n_before[p] = before;
        out->n_others[p] = others;
    }
    skx_arena_free(&arena);
    return status;
}

/* What decides quickly whether a pair with an item may be among the best of this item. */
typedef struct {
    float inverse; /* SKX_COSINE: 1 / sqrt of the number of rows, rounded up */
    float least;   /* scores below it are not among the best; 0 as long as not enough are known */
} quick_check;

enum { N_DAMPED = 256 }; /* counts whose damped value is in a table */

/* The search for the pairs of one item after another with more frequent items. */
typedef struct {
    const skx_ordered_histories *h;
    const skx_related_params *params;
    skx_best_keys *best;
    uint64_t *threshold; /* of each position: keys up to this one are not among the best */
    quick_check *check;  /* of each position */
    uint32_t *count;     /* of each position; zeros between two items */
    int32_t *counted;    /* positions with a count */
    int64_t n_counted;
    float damped[N_DAMPED]; /* upper bounds of N * N / (N + shrinkage); -1 if N is below n_least */
} symmetric_search;

enum { AHEAD = 6 }; /* entries between the prefetch of a row and its use */

/* Count the rows that an item has in common with each more frequent item, and list these. */
static void count_before(symmetric_search *s, int64_t p)
{
    const int32_t *entry = s->h->entry + s->h->entry_ptr[p], *end = s->h->entry + s->h->entry_ptr[p + 1];
    uint32_t *count = s->count;
    int64_t n = 0;
    for (; entry < end; entry++) {
        if (entry + AHEAD < end) __builtin_prefetch(s->h->position + entry[AHEAD]);
        for (const int32_t *other = s->h->position + *entry - 1; *other >= 0; other--) {
            s->counted[n] = *other;
            n += count[*other]++ == 0;
        }
    }
    s->n_counted = n;
}

static inline float damped_count(const symmetric_search *s, uint32_t both)
{
    if (both < N_DAMPED) return s->damped[both];
    return both < (uint64_t)s->params->n_least ? -1.0f : (float)both;
}

/* Keep the best keys of a position. */
static void drop_keys(symmetric_search *s, int64_t p)
{
    uint64_t *keys = s->best->keys + s->best->ptr[p];
    selector all = {keys, s->params->n_related, s->best->n[p], 0};
    skx_selector_shrink(&all);
    s->best->n[p] = all.n;
    s->threshold[p] = all.threshold;
    s->check[p].least = key_score(all.threshold);
}

static inline void push_key(symmetric_search *s, int64_t p, float score, int64_t other)
{
    uint64_t key = key_make(score, s->h->item_of[other]);
    if (key <= s->threshold[p]) return;
    s->best->keys[s->best->ptr[p] + s->best->n[p]++] = key;
    if (s->best->n[p] == s->best->ptr[p + 1] - s->best->ptr[p] && s->best->n[p] > s->params->n_related) drop_keys(s, p);
}

/* Compute the score of a pair, and push it to both items. */
static void push_pair(symmetric_search *s, int64_t p, int64_t other, uint32_t both)
{
    const int64_t *entry_ptr = s->h->entry_ptr;
    double with = (double)(entry_ptr[p + 1] - entry_ptr[p]), followers = (double)(entry_ptr[other + 1] - entry_ptr[other]);
    double damped = damping((double)both, s->params->shrinkage);
    double score = measure(s->params->relatedness, (double)both, with, followers, (double)s->h->n_rows) * damped;
    if (!(score > 0.0)) return;
    push_key(s, p, (float)score, other);
    push_key(s, other, (float)score, p);
}

static void compare_cosines(symmetric_search *s, int64_t p)
{
    float own = s->check[p].inverse * (1.0f + 1e-5f);
    for (int64_t i = 0; i < s->n_counted; i++) {
        int32_t other = s->counted[i];
        uint32_t both = s->count[other];
        float bound = damped_count(s, both) * s->check[other].inverse * own;
        s->count[other] = 0;
        if (bound >= s->check[other].least || bound >= s->check[p].least) push_pair(s, p, other, both);
    }
}

static void compare_others(symmetric_search *s, int64_t p)
{
    for (int64_t i = 0; i < s->n_counted; i++) {
        int32_t other = s->counted[i];
        uint32_t both = s->count[other];
        s->count[other] = 0;
        if (both >= (uint64_t)s->params->n_least) push_pair(s, p, other, both);
    }
}

/* Allocate the arrays of a search, and fill those that do not change. */
static void prepare(symmetric_search *s, skx_arena *arena)
{
    int64_t n_items = s->h->n_items;
    s->threshold = skx_arena_zeros(arena, n_items, sizeof *s->threshold);
    s->check = skx_arena_zeros(arena, n_items, sizeof *s->check);
    s->count = skx_arena_zeros(arena, n_items, sizeof *s->count);
    s->counted = skx_arena_take(arena, n_items + 1, sizeof *s->counted);
    if (arena->failed) return;
    for (int64_t p = 0; p < n_items; p++) {
        int64_t n = s->h->entry_ptr[p + 1] - s->h->entry_ptr[p];
        s->check[p].inverse = (float)(1.0 / sqrt((double)(n + !n))) * (1.0f + 1e-6f);
        s->best->n[p] = 0;
    }
    for (int64_t both = 0; both < N_DAMPED; both++) {
        double value = (double)both * damping((double)both, s->params->shrinkage);
        s->damped[both] = both < s->params->n_least ? -1.0f : (float)value * (1.0f + 1e-6f);
    }
}

int skx_relate_symmetric(const skx_ordered_histories *histories, const skx_related_params *params, int64_t begin, int64_t end,
                         skx_best_keys *best)
{
    int kind = params->relatedness;
    if (kind != SKX_COSINE && kind != SKX_JACCARD && kind != SKX_LIFT) return SKX_EARG;
    if (params->n_related < 1 || params->n_least < 1) return SKX_EARG;
    skx_arena arena = {0};
    symmetric_search s = {.h = histories, .params = params, .best = best};
    prepare(&s, &arena);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    /* Rare items first: their scores are the highest, and exclude most pairs of frequent items. */
    for (int64_t p = end; p-- > begin && status == SKX_OK;) {
        if (skx_cancelled(params->cancel)) status = SKX_ECANCELLED;
        count_before(&s, p);
        if (kind == SKX_COSINE)
            compare_cosines(&s, p);
        else
            compare_others(&s, p);
    }
    skx_arena_free(&arena);
    return status;
}

/* Write the best of some keys. */
static int write_keys(selector *all, skx_csr_buffers *out, int64_t *written)
{
    skx_selector_finish(all);
    if (*written + all->n > out->capacity) return SKX_ECAPACITY;
    for (int64_t i = 0; i < all->n; i++, (*written)++) {
        out->indices[*written] = key_id(all->keys[i]);
        out->data[*written] = key_score(all->keys[i]);
    }
    return SKX_OK;
}

int skx_join_best(int64_t n_items, const int32_t *position_of, int64_t n_related, int64_t n_parts, const skx_best_keys *parts,
                  skx_csr_buffers *out)
{
    skx_arena arena = {0};
    int64_t most = 0, written = 0;
    for (int64_t p = 0; p < n_items; p++) {
        int64_t n = 0;
        for (int64_t i = 0; i < n_parts; i++) n += parts[i].n[p];
        most = n > most ? n : most;
    }
    uint64_t *keys = skx_arena_take(&arena, most, sizeof *keys);
    int status = arena.failed ? SKX_ENOMEM : SKX_OK;
    out->indptr[0] = 0;
    for (int64_t item = 0; item < n_items && status == SKX_OK; item++) {
        int64_t p = position_of[item];
        selector all = selector_make(keys, n_related);
        for (int64_t i = 0; i < n_parts; i++) {
            memcpy(keys + all.n, parts[i].keys + parts[i].ptr[p], (size_t)parts[i].n[p] * sizeof *keys);
            all.n += parts[i].n[p];
        }
        status = write_keys(&all, out, &written);
        out->indptr[item + 1] = written;
    }
    skx_arena_free(&arena);
    return status;
}
