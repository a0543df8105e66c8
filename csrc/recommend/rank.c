/* Recommendations: sums of related items, and the best columns of dense scores. */
#include "base/arena.h"
#include "base/sets.h"
#include "base/span.h"
#include "base/topk.h"
#include "skxmr.h"

enum { TOUCHED = 1, BLOCKED = 2, PERMITTED = 4 }; /* bits of the state of an item */

static void mark_set(number_set set, int64_t n_items, uint8_t bit, uint8_t *state)
{
    for (const int32_t *m = set.begin; m < set.end; m++)
        if (*m >= 0 && *m < n_items) state[*m] = (uint8_t)(state[*m] | bit);
}

static void clear_set(number_set set, int64_t n_items, uint8_t *state)
{
    for (const int32_t *m = set.begin; m < set.end; m++)
        if (*m >= 0 && *m < n_items) state[*m] = 0;
}

static number_set stored_entries(const skx_csr *x, int64_t row)
{
    return (number_set){x->indices + x->indptr[row], x->indices + x->indptr[row + 1]};
}

/* The items that a row may have, as bits of their states. */
static void mark_permitted(const skx_recommend_params *p, const skx_csr *x, int64_t row, int64_t set_row, int64_t n_items,
                           uint8_t *state)
{
    if (p->exclude_stored) mark_set(stored_entries(x, row), n_items, BLOCKED, state);
    mark_set(set_of(p->exclude, set_row), n_items, BLOCKED, state);
    mark_set(set_of(p->among, set_row), n_items, PERMITTED, state);
}

static void clear_permitted(const skx_recommend_params *p, const skx_csr *x, int64_t row, int64_t set_row, int64_t n_items,
                            uint8_t *state)
{
    if (p->exclude_stored) clear_set(stored_entries(x, row), n_items, state);
    clear_set(set_of(p->exclude, set_row), n_items, state);
    clear_set(set_of(p->among, set_row), n_items, state);
}

/* @return whether an item with these bits may be ranked. */
static inline bool may_rank(const skx_recommend_params *p, uint8_t state)
{
    return !(state & BLOCKED) && (!p->among || (state & PERMITTED));
}

/* Add up the items related to a row. @return whether it has an entry with a positive value. */
static bool add_related(const skx_item_model *model, const skx_csr *x, int64_t row, skx_item_scratch *s, int64_t *n_touched)
{
    bool has_history = false;
    int64_t n = 0, n_relations = model->related_ptr[model->n_items];
    for (int64_t e = x->indptr[row]; e < x->indptr[row + 1]; e++) {
        int32_t item = x->indices[e];
        float value = x->data[e];
        if (!(value > 0.0f) || item < 0 || item >= model->n_items) continue;
        has_history = true;
        span related = span_of(model->related_ptr, item, n_relations);
        for (int64_t r = related.begin; r < related.end; r++) {
            int32_t other = model->related[r];
            if (other < 0 || other >= model->n_items) continue;
            s->touched[n] = other;
            n += !(s->state[other] & TOUCHED);
            s->state[other] |= TOUCHED;
            s->sum[other] += value * model->score[r];
        }
    }
    *n_touched = n;
    return has_history;
}

enum { FEW = 16 }; /* ranked items that are kept in order */

static inline void push(selector *best, uint64_t key)
{
    if (best->k <= FEW)
        selector_insert(best, key);
    else
        selector_push(best, key);
}

/* Push items by popularity alone. With a history, items that are touched are left to it. */
static void push_popular(const skx_item_model *model, const skx_recommend_params *p, const skx_item_scratch *s, float weight,
                         selector *best)
{
    int64_t n = 0;
    for (int64_t i = 0; i < model->n_items && n < p->k; i++) {
        int32_t item = model->popular_order[i];
        if (item < 0 || item >= model->n_items || (s->state[item] & TOUCHED) || !may_rank(p, s->state[item])) continue;
        push(best, key_make(weight * model->popular[item], item));
        n++;
    }
}

static void rank_row(const skx_item_model *model, const skx_csr *x, const skx_recommend_params *p, int64_t row, int64_t set_row,
                     skx_item_scratch *s, selector *best)
{
    int64_t n_touched = 0;
    mark_permitted(p, x, row, set_row, model->n_items, s->state);
    if (!add_related(model, x, row, s, &n_touched)) {
        push_popular(model, p, s, 1.0f, best);
    } else {
        for (int64_t i = 0; i < n_touched; i++) {
            int32_t item = s->touched[i];
            float score = s->sum[item];
            if (model->popular_weight > 0.0f) score += model->popular_weight * model->popular[item];
            if (may_rank(p, s->state[item])) push(best, key_make(score, item));
        }
        if (model->popular_weight > 0.0f) push_popular(model, p, s, model->popular_weight, best);
    }
    for (int64_t i = 0; i < n_touched; i++) {
        s->sum[s->touched[i]] = 0.0f;
        s->state[s->touched[i]] = 0;
    }
    clear_permitted(p, x, row, set_row, model->n_items, s->state);
}

static bool params_valid(const skx_recommend_params *p, int64_t n_rows)
{
    return p->k >= 1 && sets_valid(p->among, 0, n_rows) && sets_valid(p->exclude, 0, n_rows);
}

int skx_recommend(const skx_item_model *model, const skx_csr *x, const skx_recommend_params *params, int64_t begin, int64_t end,
                  skx_item_scratch *scratch, int32_t *labels, float *scores)
{
    if (begin < 0 || begin > end || end > x->n_rows || !params_valid(params, end - begin)) return SKX_EARG;
    skx_arena arena = {0};
    uint64_t few[64];
    uint64_t *keys = params->k <= 32 ? few : skx_arena_take(&arena, 2 * params->k, sizeof *keys);
    if (arena.failed) return SKX_ENOMEM;
    for (int64_t i = begin; i < end; i++) {
        selector best = selector_make(keys, params->k);
        int64_t out = (i - begin) * params->k;
        rank_row(model, x, params, i, i - begin, scratch, &best);
        skx_selector_finish(&best);
        skx_selector_write(&best, params->k, labels + out, scores + out);
    }
    skx_arena_free(&arena);
    return SKX_OK;
}

static int check_row(const int32_t *indices, const float *data, int64_t n, int64_t n_items)
{
    for (int64_t e = 0; e < n; e++) {
        if (indices[e] < 0 || indices[e] >= n_items) return SKX_EINDEX;
        if (e > 0 && indices[e] <= indices[e - 1]) return SKX_EORDER;
        if (!isfinite(data[e])) return SKX_EFINITE;
        if (data[e] < 0.0f) return SKX_EARG;
    }
    return SKX_OK;
}

int skx_recommend_row(const skx_item_model *model, const int32_t *indices, const float *data, int64_t n, int64_t k,
                      int exclude_stored, skx_item_scratch *scratch, int32_t *labels, float *scores)
{
    int64_t indptr[2] = {0, n};
    skx_csr x = {.n_rows = 1, .n_cols = model->n_items, .indptr = indptr, .indices = indices, .data = data};
    skx_recommend_params params = {.k = k, .exclude_stored = exclude_stored};
    int status = check_row(indices, data, n, model->n_items);
    return status == SKX_OK ? skx_recommend(model, &x, &params, 0, 1, scratch, labels, scores) : status;
}

/* Push the scores that may be among the best. */
static void push_dense(const float *row, int64_t n_items, const skx_recommend_params *p, const uint8_t *state, selector *best)
{
    float least = -INFINITY;
    for (int64_t j = 0; j < n_items; j++) {
        if (!(row[j] > least) || !may_rank(p, state[j])) continue;
        selector_push(best, key_make(row[j], (int32_t)j));
        /* A score equal to the threshold has a higher number, and ranks below it. */
        if (best->threshold) least = key_score(best->threshold);
    }
}

int skx_dense_top_k(const float *dense, int64_t n_rows, int64_t n_items, const skx_csr *x, int64_t begin,
                    const skx_recommend_params *params, int32_t *labels, float *scores)
{
    if (begin < 0 || n_rows < 0 || begin + n_rows > x->n_rows || !params_valid(params, n_rows)) return SKX_EARG;
    skx_arena arena = {0};
    uint8_t *state = skx_arena_zeros(&arena, n_items, sizeof *state);
    uint64_t *keys = skx_arena_take(&arena, 2 * params->k, sizeof *keys);
    for (int64_t i = 0; i < n_rows && !arena.failed; i++) {
        selector best = selector_make(keys, params->k);
        mark_permitted(params, x, begin + i, i, n_items, state);
        push_dense(dense + i * n_items, n_items, params, state, &best);
        clear_permitted(params, x, begin + i, i, n_items, state);
        skx_selector_finish(&best);
        skx_selector_write(&best, params->k, labels + i * params->k, scores + i * params->k);
    }
    skx_arena_free(&arena);
    return arena.failed ? SKX_ENOMEM : SKX_OK;
}
