/* The inner loops of beam search. The cost of a query is its cache misses, not its arithmetic, so every step is done for
 * a whole tile of (feature, chunk) pairs before the next: the lines that step n + 1 reads are prefetched in step n. */
#include "k_table.h"
#include "layout.h"

#include <math.h>

typedef struct {
    const uint8_t *where; /* a block's beginning, then a row's beginning */
    const skx_target *target;
    uint32_t rank;  /* of the row in its block */
    uint32_t room;  /* bytes from the block's beginning to the payload's end, at most 65536 */
    uint32_t bytes; /* of the row */
    float x;
} hit_t;

typedef struct {
    const skx_target *target;
    int32_t feature;
    float x;
} probe_t;

static void prefetch_slots(const probe_t *probes, int64_t n, int64_t n_direct)
{
    for (int64_t i = 0; i < n; i++) {
        const skx_chunk *c = &probes[i].target->chunk;
        uint32_t key = (uint32_t)probes[i].feature / SKX_BLOCK;
        if (c->n_slots) __builtin_prefetch(&c->index[c->n_slots == n_direct ? key : hash_slot(key, c->n_slots)]);
    }
}

/* Keep the probes whose feature has a row, and prefetch the offsets of their blocks. A model that was checked never fails
 * the bounds below; they are here so that one changed behind our back cannot lead outside its arrays either. */
static int64_t find_blocks(const probe_t *probes, int64_t n, int64_t n_direct, hit_t *hits)
{
    int64_t n_hits = 0;
    for (int64_t i = 0; i < n; i++) {
        const skx_chunk *c = &probes[i].target->chunk;
        uint32_t feature = (uint32_t)probes[i].feature;
        const skx_slot *slot = find_slot(c->index, c->n_slots, n_direct, feature / SKX_BLOCK);
        uint64_t bit = UINT64_C(1) << (feature % SKX_BLOCK);
        if (!slot || !(slot->bits & bit)) continue;
        uint32_t rank = (uint32_t)__builtin_popcountll(slot->bits & (bit - 1));
        int64_t base = 4 * (int64_t)slot->base, room = c->n_bytes - base;
        if (room < 2 * (int64_t)(rank + 2)) continue;
        room = room < 65536 ? room : 65536;
        hits[n_hits++] = (hit_t){c->payload + base, probes[i].target, rank, (uint32_t)room, 0, probes[i].x};
        __builtin_prefetch(c->payload + base + 2 * rank);
    }
    return n_hits;
}

static void find_rows(hit_t *hits, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        hit_t *h = &hits[i];
        uint32_t start = load_u16(h->where + 2 * h->rank), end = load_u16(h->where + 2 * h->rank + 2);
        h->bytes = start <= end && end <= h->room ? end - start : 0;
        h->where += start;
        __builtin_prefetch(h->where);
        __builtin_prefetch(h->where + h->bytes);
    }
}

static inline void add_dense(float *scores, const uint8_t *row, int64_t width, float x)
{
    int64_t c = 0;
    for (; c + SKX_VL <= width; c += SKX_VL) {
        vf v;
        memcpy(&v, row + 4 * c, sizeof v);
        vf_store(scores + c, vf_load(scores + c) + vf_set(x) * v);
    }
    for (; c < width; c += 4) {
        vf4 v, s;
        memcpy(&v, row + 4 * c, sizeof v);
        memcpy(&s, scores + c, sizeof s);
        s += x * v;
        memcpy(scores + c, &s, sizeof s);
    }
}

static inline void add_pairs(float *scores, const uint8_t *row, uint32_t n, float x)
{
    const uint8_t *child = row + 4 * n;
    for (uint32_t i = 0; i < n; i++) scores[child[i]] += x * load_f32(row + 4 * i);
}

static void add_rows(const hit_t *hits, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const hit_t *h = &hits[i];
        if (h->bytes == dense_bytes(h->target->chunk.width))
            add_dense(h->target->scores, h->where, h->target->chunk.width, h->x);
        else
            add_pairs(h->target->scores, h->where, h->bytes / SKX_PAIR_BYTES, h->x);
    }
}

static void run_tile(const probe_t *probes, int64_t n, int64_t n_direct, hit_t *hits)
{
    prefetch_slots(probes, n, n_direct);
    int64_t n_hits = find_blocks(probes, n, n_direct, hits);
    find_rows(hits, n_hits);
    add_rows(hits, n_hits);
}

void SKX_NAME(skx_accumulate)(const skx_target *targets, int64_t n_targets, int64_t n_features, const int32_t *indices,
                              const float *data, int64_t n)
{
    probe_t probes[SKX_TILE];
    hit_t hits[SKX_TILE];
    int64_t n_direct = direct_slots(n_features), filled = 0;
    for (int64_t t = 0; t < n_targets; t++) {
        for (int64_t p = 0; p < n; p++) {
            probes[filled++] = (probe_t){&targets[t], indices[p], data[p]};
            if (filled == SKX_TILE) {
                run_tile(probes, filled, n_direct, hits);
                filled = 0;
            }
        }
    }
    run_tile(probes, filled, n_direct, hits);
}

static inline vf hinge_power(vf v, int power)
{
    vf h = vf_max(vf_set(1.0f) - v, vf_set(0.0f)), p = h;
    for (int i = 1; i < power; i++) p *= h;
    return p;
}

static inline vf post_one(vf margin, vf parent, int post_processor, int power)
{
    vf v = vf_select(margin == margin, margin, vf_set(-INFINITY)); /* infinities can cancel to NaN: rank it last */
    switch (post_processor) {
    case SKX_SIGMOID: return vf_sigmoid(v) * parent;
    case SKX_HINGE: return vf_exp(-hinge_power(v, power)) * parent;
    case SKX_LOG_HINGE: return parent - hinge_power(v, power);
    default: return v;
    }
}

/* -log(1 + exp(-v)) is rarely asked for: the mathematical library will do. */
static void log_sigmoid(float *scores, int64_t n, float parent)
{
    for (int64_t c = 0; c < n; c++) {
        float v = scores[c] == scores[c] ? scores[c] : -INFINITY;
        scores[c] = parent + (v < 0.0f ? v : 0.0f) - log1pf(expf(-fabsf(v)));
    }
}

void SKX_NAME(skx_post_process)(float *scores, int64_t n, float parent, int post_processor, int power)
{
    if (post_processor == SKX_LOG_SIGMOID) {
        log_sigmoid(scores, n, parent);
        return;
    }
    for (int64_t c = 0; c < n; c += SKX_VL) /* scores have room for 256 lanes */
        vf_store(scores + c, post_one(vf_load(scores + c), vf_set(parent), post_processor, power));
}
