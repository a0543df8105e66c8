/* Items related to an item after rows were extended, from those that were kept and the pairs that changed. */
#include "base/cancel.h"
#include "recommend/related.h"

/* List the kept followers of an item and those of changed pairs, with their counts. */
static void list_candidates(const comparison *c, const skx_related_changes *changes, follower_counts *f)
{
    const skx_pair_counts *pairs[] = {changes->changed, changes->mirrored};
    int32_t own = c->p->position_of[c->item];
    f->kind = OF_LIST;
    f->n = 0;
    for (int half = 0; half < 2; half++)
        for (int64_t e = pairs[half]->ptr[own]; e < pairs[half]->ptr[own + 1]; e++) {
            f->position[f->n++] = pairs[half]->other[e];
            f->count[pairs[half]->other[e]] = pairs[half]->both[e];
        }
    for (int64_t e = changes->kept->ptr[c->item]; e < changes->kept->ptr[c->item + 1]; e++) {
        int32_t position = c->p->position_of[changes->kept->other[e]];
        if (f->count[position]) continue; /* that of a changed pair is newer */
        f->position[f->n++] = position;
        f->count[position] = changes->kept->both[e];
    }
    for (int64_t i = 0; i < f->n; i++) f->both[i] = f->count[f->position[i]];
}

static uint64_t key_above(double score) { return score > 0.0 ? key_make((float)(score * (1.0 + 1e-6)), 0) : 0; }

/* @return an upper bound of the keys of pairs that are not kept and of which the count has not changed. Their scores rise at most
 * because the shares of items fall as other items are bought, or because rows are added. */
static uint64_t bound_unchanged(const comparison *c, const skx_related_changes *changes)
{
    uint64_t before = changes->bound[c->item];
    double score = before ? (double)key_score(before) : 0.0;
    double n_rows = (double)c->p->n_rows, old_rows = (double)changes->n_rows;
    if (c->params->relatedness == SKX_LIFT && n_rows > old_rows) return key_above(score * (n_rows / old_rows));
    if (c->params->relatedness == SKX_DIFFERENCE && n_rows > old_rows)
        return key_above(score + (double)changes->most_followers * (1.0 / old_rows - 1.0 / n_rows) * (1.0 + 1e-6));
    if (c->params->relatedness != SKX_CORRECTED) return before;
    /* The count is at most E + score * sqrt(E + s), and E has become ratio * E or more. The score for this count and ratio * E grows
     * with E, which is largest for the most frequent item of a group. If E is below 1, pairs with a score of 0 have no rows in
     * common. */
    double shrinkage = c->params->shrinkage, highest = 0.0;
    for (int64_t g = 0; g < changes->n_groups; g++) {
        double ratio = changes->group_ratio[g];
        double most = expected(c->e, c->at_node, changes->group_begin[g]) * (1.0 + 1e-6) / (ratio * ratio);
        double above = ((1.0 - ratio) * most + score * sqrt(most + shrinkage)) / sqrt(ratio * most + shrinkage);
        if ((before || most >= 1.0) && above > highest) highest = above;
    }
    return key_above(highest);
}

/* Write the best followers, at most n_needed. */
static void write_best(const selector *best, int32_t item, skx_updated_related *out)
{
    int64_t first = out->ptr[item], n = best->n < out->n_needed ? best->n : out->n_needed;
    for (int64_t j = 0; j < n; j++) {
        out->other[first + j] = key_id(best->keys[j]);
        out->score[first + j] = key_score(best->keys[j]);
    }
    out->n[item] = n;
}

static void keep(const comparison *c, const follower_counts *f, int32_t position, skx_updated_related *out)
{
    int64_t e = out->kept_ptr[c->item] + out->n_kept[c->item]++;
    out->kept_other[e] = c->p->item_of[position];
    out->kept_both[e] = f->count[position];
}

/* Keep all best followers. @return the key that those are not above that the full selector has dropped. */
static uint64_t keep_best(const comparison *c, const follower_counts *f, const selector *best, skx_updated_related *out)
{
    for (int64_t j = 0; j < best->n; j++) keep(c, f, c->p->position_of[key_id(best->keys[j])], out);
    return best->n == best->k ? best->keys[best->n - 1] : 0;
}

/* Keep the candidates with the highest bounds of scores, which are squares. @return the same. */
static uint64_t keep_bounded(const comparison *c, const follower_counts *f, uint64_t *order, skx_updated_related *out)
{
    int64_t n = 0, n_related = c->params->n_related;
    float dropped = 0.0f;
    for (int64_t i = 0; i < f->n; i++)
        if (c->bound[i] > 0.0f) order[n++] = key_make(c->bound[i], (int32_t)i);
    if (n > n_related) skx_keys_select(order, n, n_related);
    for (int64_t j = 0; j < n && j < n_related; j++) keep(c, f, f->position[key_id(order[j])], out);
    for (int64_t j = n_related; j < n; j++) dropped = key_score(order[j]) > dropped ? key_score(order[j]) : dropped;
    return key_above(sqrt((double)dropped));
}

int skx_update_related(const skx_purchases *purchases, const skx_expectation *expectation, const skx_related_params *params,
                       const skx_related_changes *changes, int64_t begin, int64_t end, skx_updated_related *out)
{
    int status = skx_check_related(expectation, params);
    if (status != SKX_OK) return status;
    if (out->n_needed < 1 || out->n_needed > params->n_related || params->relatedness > SKX_LIFT) return SKX_EARG;
    bool is_corrected = params->relatedness == SKX_CORRECTED;
    int64_t n_compared = is_corrected ? out->n_needed : params->n_related; /* exactly, which is slow for SKX_CORRECTED */
    skx_arena arena = {0};
    follower_counts f = {0};
    comparison c = {.p = purchases, .e = expectation, .params = params};
    skx_follower_counts_allocate(&f, purchases->n_items, false, &arena);
    skx_comparison_allocate(&c, &arena);
    uint64_t *keys = skx_arena_take(&arena, 2 * n_compared, sizeof *keys);
    uint64_t *bounds = skx_arena_take(&arena, 2 * n_compared, sizeof *bounds);
    uint64_t *order = skx_arena_take(&arena, purchases->n_items, sizeof *order);
    status = arena.failed ? SKX_ENOMEM : SKX_OK;
    for (int64_t item = begin; item < end && status == SKX_OK; item++) {
        if (skx_cancelled(params->cancel)) status = SKX_ECANCELLED;
        selector best = selector_make(keys, n_compared), highest = selector_make(bounds, n_compared);
        c.item = (int32_t)item;
        if (is_corrected) skx_expect_at_nodes(&c);
        list_candidates(&c, changes, &f);
        skx_push_best(&c, &f, &(followers){f.n, f.position, f.both}, &highest, &best);
        skx_selector_finish(&best);
        write_best(&best, c.item, out);
        uint64_t bound = bound_unchanged(&c, changes);
        out->is_certain[item] = best.n < out->n_needed ? bound == 0 : best.keys[out->n_needed - 1] > bound;
        out->n_kept[item] = 0;
        uint64_t dropped = is_corrected ? keep_bounded(&c, &f, order, out) : keep_best(&c, &f, &best, out);
        out->bound[item] = dropped > bound ? dropped : bound;
        skx_clear_listed(&f);
    }
    skx_arena_free(&arena);
    return status;
}
