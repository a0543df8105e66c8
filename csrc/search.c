/* Beam search through compiled layers, and the check of such layers. */
#include "kernels.h"
#include "layout.h"
#include "topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 32, ROOM = 256 }; /* chunks scored together; lanes per chunk, so that no uint8 can lead outside */

typedef struct {
    uint64_t *keys;   /* the best candidates of the level at hand */
    int32_t *node;    /* the beam */
    float *score;
    float *scores;    /* (GROUP, ROOM) */
    uint8_t *seen;    /* one per label; only where labels have copies */
} workspace;

typedef struct {
    const skx_kernels *kernels;
    const skx_model *model;
    const skx_search_params *params;
    const int32_t *indices; /* the row */
    const float *data;
    int64_t n;
    workspace work;
} search;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t n_children(const skx_layer *layer) { return layer->child_ptr[layer->n_nodes]; }

/* How many nodes layer l hands on: the beam, or at the end enough slots that k labels remain once copies are merged. */
static int64_t n_kept(const skx_model *model, const skx_search_params *params, int64_t l)
{
    int64_t n = n_children(&model->layers[l]);
    if (l < model->n_layers - 1) return least(params->beam_width, n);
    return params->k > n / model->max_copies ? n : least(params->k * model->max_copies, n);
}

static int workspace_allocate(workspace *w, const skx_model *model, const skx_search_params *params)
{
    int64_t largest = 1;
    for (int64_t l = 0; l < model->n_layers; l++) {
        int64_t kept = n_kept(model, params, l);
        if (kept > largest) largest = kept;
    }
    w->keys = malloc((size_t)(2 * largest) * sizeof *w->keys);
    w->node = malloc((size_t)largest * sizeof *w->node);
    w->score = malloc((size_t)largest * sizeof *w->score);
    w->scores = aligned_alloc(64, GROUP * ROOM * sizeof *w->scores);
    w->seen = model->max_copies > 1 ? calloc((size_t)model->n_labels, 1) : NULL;
    return w->keys && w->node && w->score && w->scores && (w->seen || model->max_copies == 1);
}

static void workspace_free(workspace *w)
{
    free(w->keys);
    free(w->node);
    free(w->score);
    free(w->scores);
    free(w->seen);
}

/* Chunks waiting to be scored together. */
typedef struct {
    skx_target target[GROUP];
    int64_t child[GROUP]; /* the chunk's first child */
    const float *bias[GROUP];
    float parent[GROUP]; /* its node's score */
    int64_t n;
} group_t;

static void add_chunk(search *s, const skx_layer *layer, int64_t node, int64_t chunk, float parent, group_t *group)
{
    int64_t first = layer->child_ptr[node] + SKX_CHUNK_WIDTH * (chunk - layer->chunk_ptr[node]);
    skx_target *t = &group->target[group->n];
    t->chunk.width = least(SKX_CHUNK_WIDTH, layer->child_ptr[node + 1] - first);
    t->chunk.n_slots = layer->index_ptr[chunk + 1] - layer->index_ptr[chunk];
    t->chunk.n_bytes = layer->payload_ptr[chunk + 1] - layer->payload_ptr[chunk];
    t->chunk.index = layer->index + layer->index_ptr[chunk];
    t->chunk.payload = layer->payload + layer->payload_ptr[chunk];
    t->scores = s->work.scores + group->n * ROOM;
    memset(t->scores, 0, (size_t)t->chunk.width * sizeof(float));
    group->bias[group->n] = layer->bias + first;
    group->child[group->n] = first;
    group->parent[group->n++] = parent;
}

/* Score the waiting chunks and hand their children to the selector: under their label at the last layer, else as nodes. */
static void score_group(search *s, group_t *group, const int32_t *label, float floor, selector *best)
{
    s->kernels->accumulate(group->target, group->n, s->model->n_features, s->indices, s->data, s->n);
    for (int64_t g = 0; g < group->n; g++) {
        const skx_target *t = &group->target[g];
        int64_t first = group->child[g];
        for (int64_t c = 0; c < t->chunk.width; c++) t->scores[c] += group->bias[g][c];
        s->kernels->post_process(t->scores, t->chunk.width, group->parent[g], s->params->post_processor, s->params->power);
        for (int64_t c = 0; c < t->chunk.width; c++)
            if (t->scores[c] >= floor)
                selector_push(best, key_make(t->scores[c], label ? label[first + c] : (int32_t)(first + c)));
    }
    group->n = 0;
}

/* Score the children of the beam's n nodes. Returns how many of the best are in work.keys, in falling order. */
static int64_t search_layer(search *s, int64_t l, int64_t n)
{
    const skx_layer *layer = &s->model->layers[l];
    int last = l == s->model->n_layers - 1;
    selector best = selector_make(s->work.keys, n_kept(s->model, s->params, l));
    const int32_t *label = last ? s->model->slot_label : NULL;
    float floor = last ? s->params->floor : -INFINITY;
    group_t group;
    group.n = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t node = s->work.node[i];
        for (int64_t chunk = layer->chunk_ptr[node]; chunk < layer->chunk_ptr[node + 1]; chunk++) {
            add_chunk(s, layer, node, chunk, s->work.score[i], &group);
            if (group.n == GROUP) score_group(s, &group, label, floor, &best);
        }
    }
    score_group(s, &group, label, floor, &best);
    return skx_selector_finish(&best);
}

/* Labels come in falling order, so the first copy seen is the largest. */
static void write_labels(search *s, int64_t n, int32_t *labels, float *scores)
{
    int64_t out = 0, k = s->params->k;
    for (int64_t i = 0; i < n && out < k; i++) {
        int32_t label = key_id(s->work.keys[i]);
        if (label < 0 || label >= s->model->n_labels) continue; /* in a mapped model, nobody may have looked at them */
        if (s->work.seen && s->work.seen[label]) continue;
        if (s->work.seen) s->work.seen[label] = 1;
        labels[out] = label;
        scores[out++] = key_score(s->work.keys[i]);
    }
    for (int64_t i = 0; s->work.seen && i < out; i++) s->work.seen[labels[i]] = 0;
    for (; out < k; out++) {
        labels[out] = -1;
        scores[out] = -INFINITY;
    }
}

static void take_beam(workspace *w, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        w->node[i] = key_id(w->keys[i]);
        w->score[i] = key_score(w->keys[i]);
    }
}

static void search_row(search *s, int64_t level, int64_t n, int32_t *labels, float *scores)
{
    for (int64_t l = level; l < s->model->n_layers; l++) {
        n = search_layer(s, l, n);
        if (l < s->model->n_layers - 1) take_beam(&s->work, n);
    }
    write_labels(s, n, labels, scores);
}

/* The root's score is what leaves its children's as they are. */
static float root_score(int post_processor)
{
    return post_processor == SKX_SIGMOID || post_processor == SKX_HINGE ? 1.0f : 0.0f;
}

/* Load row i's part of the frontier, or the root, into the beam. A wide frontier is cut like any level: best first. */
static int64_t load_frontier(search *s, const skx_frontier *frontier, int64_t i)
{
    if (!frontier) {
        s->work.node[0] = 0;
        s->work.score[0] = root_score(s->params->post_processor);
        return 1;
    }
    if (frontier->level == 0) {
        s->work.node[0] = 0;
        s->work.score[0] = frontier->ptr[i + 1] > frontier->ptr[i] ? frontier->score[frontier->ptr[i]] : -INFINITY;
        return least(1, frontier->ptr[i + 1] - frontier->ptr[i]);
    }
    selector best = selector_make(s->work.keys, n_kept(s->model, s->params, frontier->level - 1));
    for (int64_t p = frontier->ptr[i]; p < frontier->ptr[i + 1]; p++)
        selector_push(&best, key_make(frontier->score[p], frontier->node[p]));
    int64_t n = skx_selector_finish(&best);
    take_beam(&s->work, n);
    return n;
}

static int frontier_valid(const skx_model *model, const skx_frontier *f, int64_t lo, int64_t hi)
{
    if (!f) return 1;
    if (f->level < 0 || f->level >= model->n_layers) return 0;
    int64_t n_nodes = model->layers[f->level].n_nodes;
    for (int64_t i = lo; i < hi; i++) {
        if (f->ptr[i] < 0 || f->ptr[i + 1] < f->ptr[i]) return 0;
        for (int64_t p = f->ptr[i]; p < f->ptr[i + 1]; p++)
            if (f->node[p] < 0 || f->node[p] >= n_nodes) return 0;
    }
    return 1;
}

static int arguments_valid(const skx_model *model, const skx_csr *x, const skx_search_params *p, int64_t lo, int64_t hi)
{
    return x->n_cols == model->n_features && lo >= 0 && lo <= hi && hi <= x->n_rows && model->n_layers >= 1 &&
           model->max_copies >= 1 && p->beam_width >= 1 && p->k >= 1 && p->post_processor >= SKX_NOOP &&
           p->post_processor <= SKX_LOG_HINGE && p->power >= 1 && p->power <= 4;
}

int skx_rank(const skx_kernels *kernels, const skx_model *model, const skx_csr *x, const skx_frontier *frontier,
             const skx_search_params *params, int64_t lo, int64_t hi, int32_t *labels, float *scores)
{
    if (!arguments_valid(model, x, params, lo, hi) || !frontier_valid(model, frontier, lo, hi)) return SKX_EARG;
    search s = {.kernels = kernels, .model = model, .params = params};
    int status = workspace_allocate(&s.work, model, params) ? SKX_OK : SKX_ENOMEM;
    for (int64_t i = lo; i < hi && status == SKX_OK; i++) {
        s.indices = x->indices + x->indptr[i];
        s.data = x->data + x->indptr[i];
        s.n = x->indptr[i + 1] - x->indptr[i];
        int64_t n = load_frontier(&s, frontier, i);
        search_row(&s, frontier ? frontier->level : 0, n, labels + (i - lo) * params->k, scores + (i - lo) * params->k);
    }
    workspace_free(&s.work);
    return status;
}

/* ---- checks of a layer ---- */

static int pointers_valid(const int64_t *ptr, int64_t n, int64_t end)
{
    if (ptr[0] != 0 || ptr[n] != end) return 0;
    for (int64_t i = 0; i < n; i++)
        if (ptr[i + 1] < ptr[i]) return 0;
    return 1;
}

static int node_valid(const skx_layer *layer, int64_t n_features, int64_t node)
{
    int64_t width = layer->child_ptr[node + 1] - layer->child_ptr[node], n_weights, n_rows;
    int64_t chunks = layer->chunk_ptr[node + 1] - layer->chunk_ptr[node];
    if (chunks != (width + SKX_CHUNK_WIDTH - 1) / SKX_CHUNK_WIDTH) return 0;
    for (int64_t c = layer->chunk_ptr[node]; c < layer->chunk_ptr[node + 1]; c++) {
        skx_chunk chunk = {
            .n_slots = layer->index_ptr[c + 1] - layer->index_ptr[c],
            .n_bytes = layer->payload_ptr[c + 1] - layer->payload_ptr[c],
            .width = least(SKX_CHUNK_WIDTH, width),
            .index = layer->index + layer->index_ptr[c],
            .payload = layer->payload + layer->payload_ptr[c],
        };
        if (skx_chunk_check(&chunk, n_features, &n_weights, &n_rows) != SKX_OK) return 0;
        width -= chunk.width;
    }
    return 1;
}

int skx_layer_check(const skx_layer *layer, int64_t n_features, int64_t n_slots, int64_t n_bytes, int64_t *where)
{
    *where = -1;
    if (!pointers_valid(layer->child_ptr, layer->n_nodes, layer->child_ptr[layer->n_nodes]) ||
        !pointers_valid(layer->chunk_ptr, layer->n_nodes, layer->n_chunks) ||
        !pointers_valid(layer->index_ptr, layer->n_chunks, n_slots) ||
        !pointers_valid(layer->payload_ptr, layer->n_chunks, n_bytes))
        return SKX_EMODEL;
    for (int64_t node = 0; node < layer->n_nodes; node++) {
        *where = node;
        if (!node_valid(layer, n_features, node)) return SKX_EMODEL;
    }
    for (int64_t c = 0; c < layer->child_ptr[layer->n_nodes]; c++)
        if (!isfinite(layer->bias[c])) return SKX_EMODEL;
    *where = -1;
    return SKX_OK;
}
