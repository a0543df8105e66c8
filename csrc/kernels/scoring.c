/* The inner loops of beam search. Cache misses, not arithmetic, determine the time of a query. So each step handles a whole tile
 * of (feature, chunk) pairs, and prefetches the lines that the next step reads. */
#include "kernels/table.h"
#include "model/layout.h" /* the chunk format */

#include <math.h>

/* A nonzero of a row and a chunk: first the expected slot, then the position of the weights. */
typedef struct {
    union {
        const skx_slot *slot;
        const uint8_t *where; /* a block's beginning, then a row's beginning */
    };
    const skx_target *target;
    float x;
    int32_t feature;
    uint32_t rank;      /* of the row in its block */
    uint32_t available; /* bytes from the block's beginning to the payload's end, at most 65536 */
    uint32_t bytes;     /* of the row */
} probe_t;

/* Compute the expected slots of the nonzeros begin .. end of a target, and prefetch them. Without always_inline GCC drops
 * prefetches from functions without a result. */
static inline __attribute__((always_inline)) void open_probes(const skx_target *t, int64_t begin, int64_t end, int64_t n_direct,
                                                              probe_t *out)
{
    int64_t n_slots = t->chunk.n_slots;
    for (int64_t p = begin; p < end; p++, out++) {
        uint32_t key = (uint32_t)t->indices[p] / SKX_BLOCK;
        out->slot = t->chunk.index + (n_slots == n_direct ? key : hash_slot(key, n_slots));
        out->target = t;
        out->feature = t->indices[p];
        out->x = t->data[p];
        __builtin_prefetch(out->slot);
    }
}

/* @return the slot of a feature in a hash table, searched from the expected slot on, or a slot without bits. */
static inline const skx_slot *follow(const probe_t *probe, uint32_t key)
{
    static const skx_slot none = {0, 0, 0};
    const skx_chunk *c = &probe->target->chunk;
    const skx_slot *slot = follow_slots(c->index, c->n_slots, probe->slot, key);
    return slot ? slot : &none;
}

/* Keep the probes whose feature has a row, and prefetch the offsets of their blocks. Free of branches on whether there is a
 * row, which would be mispredicted. A checked model never violates the bounds below; they make a model that is modified later
 * safe, for example in a mapped file. @return the number of kept probes. */
static inline __attribute__((always_inline)) int64_t find_blocks(probe_t *probes, int64_t n)
{
    int64_t n_hits = 0;
    for (int64_t i = 0; i < n; i++) {
        const skx_target *target = probes[i].target;
        const skx_chunk *c = &target->chunk;
        uint32_t feature = (uint32_t)probes[i].feature, key = feature / SKX_BLOCK;
        const skx_slot *slot = probes[i].slot->key == key ? probes[i].slot : follow(&probes[i], key);
        uint64_t bit = UINT64_C(1) << (feature % SKX_BLOCK);
        int64_t base = 4 * (int64_t)slot->base, available = c->n_bytes - base;
        uint32_t rank = (uint32_t)__builtin_popcountll(slot->bits & (bit - 1));
        int hit = (slot->bits & bit) != 0 && available >= 2 * ((int64_t)rank + 2);
        probe_t *out = &probes[n_hits]; /* field by field: copying the struct would stall on its stores */
        out->x = probes[i].x;
        out->target = target;
        out->where = c->payload + (hit ? base : 0);
        out->rank = rank;
        out->available = (uint32_t)(available < 65536 ? available : 65536);
        __builtin_prefetch(out->where + (hit ? 2 * rank : 0));
        n_hits += hit;
    }
    return n_hits;
}

static inline __attribute__((always_inline)) void find_rows(probe_t *hits, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        probe_t *h = &hits[i];
        uint32_t start = load_u16(h->where + 2 * h->rank), end = load_u16(h->where + 2 * h->rank + 2);
        h->bytes = start <= end && end <= h->available ? end - start : 0;
        h->where += start;
        __builtin_prefetch(h->where);
        __builtin_prefetch(h->where + h->bytes);
    }
}

static inline void add_dense(float *scores, const uint8_t *row, int64_t width, int64_t value_bytes, float x)
{
    int64_t c = 0;
    for (; c + SKX_VL <= width; c += SKX_VL) {
        vf v;
        if (value_bytes == SKX_FLOAT16)
            v = vf_load_half(row + 2 * c);
        else
            memcpy(&v, row + 4 * c, sizeof v);
        vf_store(scores + c, vf_load(scores + c) + vf_set(x) * v);
    }
    for (; c < width; c += 4) {
        vf4 v, s;
        for (int i = 0; i < 4; i++) v[i] = load_value(row + value_bytes * (c + i), value_bytes);
        memcpy(&s, scores + c, sizeof s);
        s += x * v;
        memcpy(scores + c, &s, sizeof s);
    }
}

static inline void add_pairs(float *scores, const uint8_t *row, uint32_t n, int64_t value_bytes, float x)
{
    const uint8_t *child = row + value_bytes * n;
    for (uint32_t i = 0; i < n; i++) scores[child[i]] += x * load_value(row + value_bytes * i, value_bytes);
}

/* Add a row of a narrow chunk, whose mask has a bit per value. Bits beyond the end of the row are ignored. */
static inline void add_masked(float *scores, const uint8_t *row, uint32_t bytes, int64_t value_bytes, float x)
{
    if (bytes < 2) return;
    uint32_t mask = load_u16(row), n = (bytes - 2) / (uint32_t)value_bytes;
    row += 2;
#ifdef SKX_EXPANDS
    n = n < 16 ? n : 16;
    vf values = value_bytes == SKX_FLOAT16 ? vf_expand_half(row, n, mask) : vf_expand(row, n, mask);
    vf_store(scores, vf_load(scores) + vf_set(x) * values);
#else
    for (uint32_t i = 0; i < n && mask; i++, mask &= mask - 1)
        scores[__builtin_ctz(mask)] += x * load_value(row + value_bytes * i, value_bytes);
#endif
}

static inline __attribute__((always_inline)) void add_row(const probe_t *h, int64_t value_bytes)
{
    int64_t width = h->target->chunk.width;
    if (width <= SKX_NARROW)
        add_masked(h->target->scores, h->where, h->bytes, value_bytes, h->x);
    else if (h->bytes == dense_bytes(width, value_bytes))
        add_dense(h->target->scores, h->where, width, value_bytes, h->x);
    else
        add_pairs(h->target->scores, h->where, h->bytes / (uint32_t)(value_bytes + 1), value_bytes, h->x);
}

static void add_rows(const probe_t *hits, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (hits[i].target->chunk.value_bytes == SKX_FLOAT32)
            add_row(&hits[i], SKX_FLOAT32);
        else
            add_row(&hits[i], SKX_FLOAT16);
    }
}

static void run_tile(probe_t *probes, int64_t n)
{
    n = find_blocks(probes, n);
    find_rows(probes, n);
    add_rows(probes, n);
}

void SKX_NAME(skx_accumulate)(const skx_target *targets, int64_t n_targets, int64_t n_features)
{
    probe_t probes[SKX_TILE];
    int64_t n_direct = direct_slots(n_features), filled = 0;
    for (const skx_target *t = targets; t < targets + n_targets; t++) {
        if (t->chunk.n_slots == 0) continue;
        for (int64_t begin = 0, end; begin < t->n; begin = end) {
            end = t->n - begin < SKX_TILE - filled ? t->n : begin + SKX_TILE - filled;
            open_probes(t, begin, end, n_direct, probes + filled);
            filled += end - begin;
            if (filled < SKX_TILE) break;
            run_tile(probes, filled);
            filled = 0;
        }
    }
    run_tile(probes, filled);
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

/* -log(1 + exp(-v)) is rarely used, so the functions of the C library are fast enough. */
static void log_sigmoid(float *scores, int64_t n, float parent)
{
    for (int64_t c = 0; c < n; c++) {
        float v = scores[c] == scores[c] ? scores[c] : -INFINITY;
        scores[c] = parent + (v < 0.0f ? v : 0.0f) - log1pf(expf(-fabsf(v)));
    }
}

void SKX_NAME(skx_post_process)(float *scores, const float *bias, int64_t n, float parent, int post_processor, int power)
{
    for (int64_t c = 0; c < n; c++) scores[c] += bias[c];
    if (post_processor == SKX_LOG_SIGMOID) {
        log_sigmoid(scores, n, parent);
        return;
    }
    for (int64_t c = 0; c < n; c += SKX_VL) /* scores have 256 lanes */
        vf_store(scores + c, post_one(vf_load(scores + c), vf_set(parent), post_processor, power));
}

int64_t SKX_NAME(skx_survivors)(const float *scores, int64_t n, float least, uint8_t *out)
{
    const uint32_t lanes = (1u << SKX_VL) - 1, any = least > -INFINITY ? 0 : lanes;
    int64_t kept = 0;
    for (int64_t c = 0; c < n; c += SKX_VL) {
        uint32_t bits = (vi_bits(vf_load(scores + c) >= vf_set(least)) | any) & lanes;
        if (n - c < SKX_VL) bits &= (1u << (n - c)) - 1;
        for (; bits; bits &= bits - 1) out[kept++] = (uint8_t)(c + __builtin_ctz(bits));
    }
    return kept;
}
