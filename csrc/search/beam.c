/* Beam search through compiled layers, in blocks of rows. At each level the chunks that the rows of the block need are visited in
 * the order of their addresses, so that rows share what is in the cache. */
#include "base/arena.h"
#include "base/sets.h"
#include "base/topk.h"
#include "kernels/kernels.h"
#include "sparse/dense.h"

#include <math.h>
#include <string.h>

enum {
    GROUP = 32,           /* chunks scored together */
    CHUNK_LANES = 256,    /* lanes per chunk, so that no uint8 can lead outside */
    BLOCK_ROWS = 2048,    /* rows searched together, at most */
    BLOCK_BYTES = 1 << 22 /* limit of the memory of a block, unless a single row needs more */
};

/* A node of a row's beam whose children are to be scored. */
typedef struct {
    int32_t row; /* of the block */
    int32_t node;
    float score;
} visit_t;

typedef struct {
    float *dense;     /* the dense features of the row */
    int64_t n_sparse; /* number of its other nonzeros */
    selector best;    /* of the children scored so far */
    int64_t n_beam;   /* the beam: node[0 .. n_beam) and score, best first */
    int32_t *node;
    float *score;
} row_search;

typedef struct {
    const skx_kernels *kernels;
    const skx_model *model;
    const skx_search_params *params;
    const skx_csr *x;
    const skx_restriction *within; /* may be NULL */
    int64_t first_row;             /* of the block */
    int64_t n_rows;
    int64_t beam;      /* capacity of the beam of a row */
    int64_t capacity;  /* largest number of candidates that the selector of a row keeps */
    int64_t max_nodes; /* of a level */
    row_search *rows;
    uint64_t *keys;
    int32_t *node;
    float *score;
    visit_t *visits, *sorted; /* of all rows */
    uint32_t *count;          /* visits per node */
    float *scores;            /* (GROUP, CHUNK_LANES) */
    float *dense;             /* (rows, n_dense) */
    uint8_t *seen;            /* one per label; only where labels have copies */
} search;

static int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t n_children(const skx_layer *layer) { return layer->child_ptr[layer->n_nodes]; }

/* @return the number of nodes to keep after layer l: the beam width, or at the last layer enough slots for k distinct labels. */
static int64_t n_kept(const skx_model *model, const skx_search_params *params, int64_t l)
{
    int64_t n = n_children(&model->layers[l]);
    if (l < model->n_layers - 1) return min_of(params->beam_width, n);
    return params->k > n / model->max_copies ? n : min_of(params->k * model->max_copies, n);
}

/* ---- memory ---- */

/* @return the number of rows per block: so few that their memory stays in the cache. */
static int64_t block_rows(const search *s, int64_t n)
{
    int64_t bytes = 16 * s->capacity + 32 * s->beam + (int64_t)sizeof(row_search) + 4 * s->model->n_dense;
    return max_of(1, min_of(n, min_of(BLOCK_ROWS, BLOCK_BYTES / bytes)));
}

/* Set the sizes that the number of rows per block and the memory depend on. */
static void set_sizes(search *s)
{
    const skx_model *model = s->model;
    s->beam = s->capacity = s->max_nodes = 1;
    for (int64_t l = 0; l < model->n_layers; l++) {
        int64_t kept = n_kept(model, s->params, l);
        s->capacity = max_of(s->capacity, kept);
        if (l < model->n_layers - 1) s->beam = max_of(s->beam, kept);
        s->max_nodes = max_of(s->max_nodes, model->layers[l].n_nodes);
    }
}

static void search_allocate(search *s, int64_t rows, skx_arena *arena)
{
    int64_t beams = rows * s->beam;
    s->rows = skx_arena_take(arena, rows, sizeof *s->rows);
    s->keys = skx_arena_take(arena, rows * s->capacity * 2, sizeof *s->keys);
    s->node = skx_arena_take(arena, beams, sizeof *s->node);
    s->score = skx_arena_take(arena, beams, sizeof *s->score);
    s->visits = skx_arena_take(arena, beams, sizeof *s->visits);
    s->sorted = skx_arena_take(arena, beams, sizeof *s->sorted);
    s->count = skx_arena_take(arena, s->max_nodes + 1, sizeof *s->count);
    s->scores = skx_arena_own(arena, aligned_alloc(64, GROUP * CHUNK_LANES * sizeof *s->scores));
    s->dense = skx_arena_take(arena, rows * s->model->n_dense, sizeof *s->dense);
    if (s->model->max_copies > 1) s->seen = skx_arena_zeros(arena, s->model->n_labels, 1);
    for (int64_t r = 0; !arena->failed && r < rows; r++) {
        s->rows[r].node = s->node + r * s->beam;
        s->rows[r].score = s->score + r * s->beam;
        s->rows[r].dense = s->dense + r * s->model->n_dense;
    }
}

/* ---- one level ---- */

/* @return whether no child of a node can score above the node itself: then nodes below the worst candidate need no visit. */
static bool children_bounded(const search *s, float parent)
{
    switch (s->params->post_processor) {
    case SKX_SIGMOID:
    case SKX_HINGE: return parent >= 0.0f;
    case SKX_LOG_SIGMOID:
    case SKX_LOG_HINGE: return true;
    default: return false;
    }
}

/* Collect the nodes begin .. end of the beam of each row whose children may be among the best ones of the row.
 * @return their number. */
static int64_t collect_visits(search *s, int64_t begin, int64_t end, float floor)
{
    int64_t n = 0;
    for (int64_t r = 0; r < s->n_rows; r++) {
        row_search *row = &s->rows[r];
        if (begin > 0 && row->best.n > row->best.k) skx_selector_shrink(&row->best);
        for (int64_t i = begin; i < min_of(end, row->n_beam); i++) {
            float score = row->score[i];
            bool hopeless = score < floor || key_make(score, 0) <= row->best.threshold;
            if (hopeless && children_bounded(s, score)) continue;
            s->visits[n++] = (visit_t){(int32_t)r, row->node[i], score};
        }
    }
    return n;
}

/* Sort the visits by node if there are so many that it is faster. @return the visits. */
static const visit_t *sort_visits(search *s, int64_t n, int64_t n_nodes)
{
    if (n < 2 || n < n_nodes / 8) return s->visits;
    uint32_t start = 0;
    memset(s->count, 0, (size_t)n_nodes * sizeof *s->count);
    for (int64_t v = 0; v < n; v++) s->count[s->visits[v].node]++;
    for (int64_t p = 0; p < n_nodes; p++) {
        uint32_t size = s->count[p];
        s->count[p] = start;
        start += size;
    }
    for (int64_t v = 0; v < n; v++) s->sorted[s->count[s->visits[v].node]++] = s->visits[v];
    return s->sorted;
}

/* Chunks to score together. */
typedef struct {
    skx_target target[GROUP];
    int64_t chunk[GROUP];
    int64_t child[GROUP]; /* the chunk's first child */
    const visit_t *visit[GROUP];
    int64_t n;
} group_t;

/* @return whether a node, or slot, has a label whose sorted position lies in [low, high). */
static bool has_position(const skx_sorted_positions *positions, int64_t node, int64_t low, int64_t high)
{
    const int32_t *position = positions->position;
    if (!positions->ptr) return position[node] >= low && position[node] < high;
    int64_t begin = positions->ptr[node], end = positions->ptr[node + 1];
    while (begin < end) { /* find the first position that is at least `low` */
        int64_t middle = begin + (end - begin) / 2;
        if (position[middle] < low)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < positions->ptr[node + 1] && position[begin] < high;
}

static void add_chunk(search *s, const skx_layer *layer, const visit_t *visit, int64_t chunk, group_t *group)
{
    int64_t first = layer->child_ptr[visit->node] + SKX_CHUNK_WIDTH * (chunk - layer->chunk_ptr[visit->node]);
    int64_t begin = s->x->indptr[s->first_row + visit->row];
    skx_target *t = &group->target[group->n];
    t->chunk.width = min_of(SKX_CHUNK_WIDTH, layer->child_ptr[visit->node + 1] - first);
    t->chunk.n_slots = layer->index_ptr[chunk + 1] - layer->index_ptr[chunk];
    t->chunk.n_bytes = layer->payload_ptr[chunk + 1] - layer->payload_ptr[chunk];
    t->chunk.value_bytes = layer->value_bytes;
    t->chunk.index = layer->index + layer->index_ptr[chunk];
    t->chunk.payload = layer->payload + layer->payload_ptr[chunk];
    t->indices = s->x->indices + begin;
    t->data = s->x->data + begin;
    t->n = s->rows[visit->row].n_sparse;
    t->scores = s->scores + group->n * CHUNK_LANES;
    memset(t->scores, 0, (size_t)t->chunk.width * sizeof(float));
    group->chunk[group->n] = chunk;
    group->child[group->n] = first;
    group->visit[group->n++] = visit;
}

/* Keep those of the children first + child[0 .. n) that have a label in the range of the row. @return their number. */
static int64_t keep_in_range(const search *s, int64_t l, int64_t i, int64_t first, uint8_t *child, int64_t n)
{
    const skx_sorted_positions *positions = s->within->positions + l;
    const int64_t *range = s->within->range + 2 * i;
    int64_t kept = 0;
    for (int64_t c = 0; c < n; c++)
        if (has_position(positions, first + child[c], range[0], range[1])) child[kept++] = child[c];
    return kept;
}

/* @return the first slot below a node of a level, or below later nodes if it has none. The slots below it end where those of
 * the next node begin. */
static int64_t first_slot(const skx_model *model, int64_t level, int64_t node)
{
    for (int64_t l = level; l < model->n_layers; l++) node = model->layers[l].child_ptr[node];
    return node;
}

static bool node_permitted(const skx_model *model, const permitted_numbers *slots, int64_t level, int64_t node)
{
    return any_permitted(slots, first_slot(model, level, node), first_slot(model, level, node + 1));
}

/* Keep those of the children first + child[0 .. n), in increasing order, that have a slot that the sets of the row permit.
 * @return their number. */
static int64_t keep_in_sets(const search *s, int64_t l, int64_t i, int64_t first, uint8_t *child, int64_t n)
{
    if (n == 0) return 0;
    permitted_numbers all = permitted_of(s->within->among, s->within->exclude, i);
    int64_t begin = first_slot(s->model, l + 1, first + child[0]), end = first_slot(s->model, l + 1, first + child[n - 1] + 1);
    permitted_numbers slots = permitted_between(&all, begin, end);
    int64_t kept = 0;
    for (int64_t c = 0; c < n; c++)
        if (node_permitted(s->model, &slots, l + 1, first + child[c])) child[kept++] = child[c];
    return kept;
}

/* Keep those of the children first + child[0 .. n) that the restriction of the row permits. @return their number. */
static int64_t keep_permitted(const search *s, const skx_layer *layer, int32_t row, int64_t first, uint8_t *child, int64_t n)
{
    int64_t l = layer - s->model->layers, i = s->first_row + row;
    if (s->within->positions) n = keep_in_range(s, l, i, first, child, n);
    if (s->within->among || s->within->exclude) n = keep_in_sets(s, l, i, first, child, n);
    return n;
}

/* Add the products of the dense features to the scores, for all rows of the same chunk at once. */
static void add_dense_features(search *s, const skx_layer *layer, const group_t *group)
{
    const float *x[GROUP];
    float *scores[GROUP];
    for (int64_t g = 0, n = 0; g < group->n; g++) {
        const skx_chunk *chunk = &group->target[g].chunk;
        x[n] = s->rows[group->visit[g]->row].dense;
        scores[n++] = group->target[g].scores;
        if (g + 1 < group->n && group->chunk[g + 1] == group->chunk[g]) continue;
        const uint8_t *panels = layer->dense + layer->dense_ptr[group->chunk[g]];
        skx_dense_weights weights = {s->model->n_dense, chunk->width, chunk->value_bytes, panels};
        s->kernels->accumulate_dense(&weights, x, scores, n);
        n = 0;
    }
}

/* Score the chunks, and add their children to the candidates of their rows: by label at the last layer, otherwise by node. */
static void score_group(search *s, const skx_layer *layer, group_t *group, const int32_t *label, float floor)
{
    uint8_t survivor[CHUNK_LANES];
    s->kernels->accumulate(group->target, group->n, s->model->n_features - s->model->n_dense);
    if (s->model->n_dense) add_dense_features(s, layer, group);
    for (int64_t g = 0; g < group->n; g++) {
        const skx_target *t = &group->target[g];
        int64_t first = group->child[g];
        selector *best = &s->rows[group->visit[g]->row].best;
        s->kernels->post_process(t->scores, layer->bias + first, t->chunk.width, group->visit[g]->score,
                                 s->params->post_processor, s->params->power);
        float enough = best->threshold && key_score(best->threshold) > floor ? key_score(best->threshold) : floor;
        int64_t n = s->kernels->survivors(t->scores, t->chunk.width, enough, survivor);
        if (s->within) n = keep_permitted(s, layer, group->visit[g]->row, first, survivor, n);
        for (int64_t i = 0; i < n; i++) {
            int64_t child = first + survivor[i];
            selector_push(best, key_make(t->scores[survivor[i]], label ? label[child] : (int32_t)child));
        }
    }
    group->n = 0;
}

static void score_visits(search *s, const skx_layer *layer, const visit_t *visits, int64_t n, const int32_t *label, float floor)
{
    group_t group;
    group.n = 0;
    for (int64_t v = 0; v < n; v++) {
        for (int64_t chunk = layer->chunk_ptr[visits[v].node]; chunk < layer->chunk_ptr[visits[v].node + 1]; chunk++) {
            add_chunk(s, layer, &visits[v], chunk, &group);
            if (group.n == GROUP) score_group(s, layer, &group, label, floor);
        }
    }
    score_group(s, layer, &group, label, floor);
}

/* Score the children of the beams, and leave the best candidates of each row in its selector, in descending order. Scores the
 * best node of each beam first, then twice as many at a time: often the later nodes cannot change the result and are skipped. */
static void search_layer(search *s, int64_t l)
{
    const skx_layer *layer = &s->model->layers[l];
    bool last_layer = l == s->model->n_layers - 1;
    const int32_t *label = last_layer ? s->model->slot_label : NULL;
    float floor = last_layer ? s->params->floor : -INFINITY;
    int64_t kept = n_kept(s->model, s->params, l), max_beam = 0;
    for (int64_t r = 0; r < s->n_rows; r++) {
        s->rows[r].best = selector_make(s->keys + 2 * s->capacity * r, kept);
        max_beam = max_of(max_beam, s->rows[r].n_beam);
    }
    for (int64_t begin = 0, end = 1; begin < max_beam; begin = end, end = 2 * end + 1) {
        int64_t n = collect_visits(s, begin, end, floor);
        score_visits(s, layer, sort_visits(s, n, layer->n_nodes), n, label, floor);
    }
    for (int64_t r = 0; r < s->n_rows; r++) skx_selector_finish(&s->rows[r].best);
}

static void take_beam(row_search *row)
{
    row->n_beam = row->best.n;
    for (int64_t i = 0; i < row->n_beam; i++) {
        row->node[i] = key_id(row->best.keys[i]);
        row->score[i] = key_score(row->best.keys[i]);
    }
}

/* ---- a block of rows ---- */

/* Labels are in descending order of their scores, so the first copy of a label has the largest score. */
static void write_labels(search *s, const selector *best, int32_t *labels, float *scores)
{
    int64_t out = 0, k = s->params->k;
    for (int64_t i = 0; i < best->n && out < k; i++) {
        int32_t label = key_id(best->keys[i]);
        if (label < 0 || label >= s->model->n_labels) continue; /* not checked in a mapped model */
        if (s->seen && s->seen[label]) continue;
        if (s->seen) s->seen[label] = 1;
        labels[out] = label;
        scores[out++] = key_score(best->keys[i]);
    }
    for (int64_t i = 0; s->seen && i < out; i++) s->seen[labels[i]] = 0;
    for (; out < k; out++) {
        labels[out] = -1;
        scores[out] = -INFINITY;
    }
}

/* Make a beam of the frontier of row i, or of the root. Of a wide frontier the best nodes are kept, as at any level. Nodes that
 * the sets of the row do not permit are left out. */
static void load_frontier(search *s, const skx_frontier *frontier, int64_t i, row_search *row, uint64_t *keys)
{
    row->n_beam = 1;
    row->node[0] = 0;
    row->score[0] = s->params->root;
    if (!frontier) return;
    int64_t kept = frontier->level > 0 ? n_kept(s->model, s->params, frontier->level - 1) : 1;
    row->best = selector_make(keys, kept);
    bool any_sets = s->within && (s->within->among || s->within->exclude);
    permitted_numbers slots = {0};
    if (any_sets) slots = permitted_of(s->within->among, s->within->exclude, i);
    for (int64_t p = frontier->ptr[i]; p < frontier->ptr[i + 1]; p++)
        if (!any_sets || node_permitted(s->model, &slots, frontier->level, frontier->node[p]))
            selector_push(&row->best, key_make(frontier->score[p], frontier->node[p]));
    skx_selector_finish(&row->best);
    take_beam(row);
}

static void search_block(search *s, const skx_frontier *frontier, int32_t *labels, float *scores)
{
    for (int64_t r = 0; r < s->n_rows; r++) {
        int64_t i = s->first_row + r, n_dense = s->model->n_dense;
        s->rows[r].n_sparse = dense_begin(s->x, i, n_dense) - s->x->indptr[i];
        dense_copy(s->x, i, n_dense, s->rows[r].dense);
    }
    for (int64_t r = 0; r < s->n_rows; r++)
        load_frontier(s, frontier, s->first_row + r, &s->rows[r], s->keys + 2 * s->capacity * r);
    for (int64_t l = frontier ? frontier->level : 0; l < s->model->n_layers; l++) {
        search_layer(s, l);
        if (l == s->model->n_layers - 1) break;
        for (int64_t r = 0; r < s->n_rows; r++) take_beam(&s->rows[r]);
    }
    for (int64_t r = 0; r < s->n_rows; r++)
        write_labels(s, &s->rows[r].best, labels + r * s->params->k, scores + r * s->params->k);
}

static bool frontier_valid(const skx_model *model, const skx_frontier *f, int64_t begin, int64_t end)
{
    if (!f) return true;
    if (f->level < 0 || f->level >= model->n_layers) return false;
    int64_t n_nodes = model->layers[f->level].n_nodes;
    for (int64_t i = begin; i < end; i++) {
        if (f->ptr[i] < 0 || f->ptr[i + 1] < f->ptr[i]) return false;
        for (int64_t p = f->ptr[i]; p < f->ptr[i + 1]; p++)
            if (f->node[p] < 0 || f->node[p] >= n_nodes) return false;
    }
    return true;
}

static bool arguments_valid(const skx_model *model, const skx_csr *x, const skx_search_params *p, int64_t begin, int64_t end)
{
    return x->n_cols == model->n_features && begin >= 0 && begin <= end && end <= x->n_rows && model->n_layers >= 1 &&
           model->max_copies >= 1 && model->n_dense >= 0 && model->n_dense <= model->n_features && p->beam_width >= 1 &&
           p->k >= 1 && p->post_processor >= SKX_NOOP && p->post_processor <= SKX_LOG_HINGE && p->power >= 1 && p->power <= 4;
}

int skx_rank(const skx_kernels *kernels, const skx_model *model, const skx_csr *x, const skx_frontier *frontier,
             const skx_restriction *within, const skx_search_params *params, int64_t begin, int64_t end, int32_t *labels,
             float *scores)
{
    if (!arguments_valid(model, x, params, begin, end) || !frontier_valid(model, frontier, begin, end)) return SKX_EARG;
    if (within && !(sets_valid(within->among, begin, end) && sets_valid(within->exclude, begin, end))) return SKX_EARG;
    search s = {.kernels = kernels, .model = model, .params = params, .x = x, .within = within};
    set_sizes(&s);
    skx_arena arena = {0};
    int64_t step = block_rows(&s, end - begin);
    search_allocate(&s, step, &arena);
    for (int64_t i = begin; i < end && !arena.failed; i += step) {
        s.first_row = i;
        s.n_rows = min_of(step, end - i);
        search_block(&s, frontier, labels + (i - begin) * params->k, scores + (i - begin) * params->k);
    }
    skx_arena_free(&arena);
    return arena.failed ? SKX_ENOMEM : SKX_OK;
}

/* ---- a single row ---- */

/* @return SKX_OK, SKX_EINDEX, SKX_EORDER or SKX_EFINITE. */
static int row_check(const int32_t *indices, const float *data, int64_t n, int64_t n_features)
{
    int32_t last = -1;
    for (int64_t p = 0; p < n; p++) {
        if (indices[p] < 0 || indices[p] >= n_features) return SKX_EINDEX;
        if (indices[p] <= last) return SKX_EORDER;
        if (!isfinite(data[p])) return SKX_EFINITE;
        last = indices[p];
    }
    return SKX_OK;
}

/* Write the nonzeros of a dense row to arrays of n elements. @return their number. */
static int64_t sparse_row(const float *dense, int64_t n, int32_t *indices, float *data)
{
    int64_t filled = 0;
    for (int64_t f = 0; f < n; f++) {
        indices[filled] = (int32_t)f;
        data[filled] = dense[f];
        filled += dense[f] != 0.0f;
    }
    return filled;
}

/* @return as skx_rank_row. */
static int rank_sparse_row(const skx_kernels *kernels, const skx_model *model, const int32_t *indices, const float *data,
                           int64_t n, const skx_restriction *within, const skx_search_params *params, int32_t *labels,
                           float *scores)
{
    int status = row_check(indices, data, n, model->n_features);
    const int64_t indptr[2] = {0, n};
    const skx_csr x = {1, model->n_features, indptr, indices, data, 0};
    return status == SKX_OK ? skx_rank(kernels, model, &x, NULL, within, params, 0, 1, labels, scores) : status;
}

int skx_rank_row(const skx_kernels *kernels, const skx_model *model, const int32_t *indices, const float *data, int64_t n,
                 const skx_restriction *within, const skx_search_params *params, int32_t *labels, float *scores)
{
    if (n < 0) return SKX_EARG;
    if (indices) return rank_sparse_row(kernels, model, indices, data, n, within, params, labels, scores);
    if (n != model->n_features) return SKX_EARG;
    skx_arena arena = {0};
    int32_t *found = skx_arena_take(&arena, n, sizeof *found);
    float *values = skx_arena_take(&arena, n, sizeof *values);
    int status = SKX_ENOMEM;
    if (!arena.failed) {
        int64_t filled = sparse_row(data, n, found, values);
        status = rank_sparse_row(kernels, model, found, values, filled, within, params, labels, scores);
    }
    skx_arena_free(&arena);
    return status;
}
