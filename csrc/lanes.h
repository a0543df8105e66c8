/* 16 lanes as native vectors, and the two passes over a row that every solver makes. Included by the solvers only. */
#ifndef SKX_LANES_H
#define SKX_LANES_H
#include "k_table.h"

typedef struct {
    vf v[SKX_NV];
} lanes;

typedef struct {
    vi m[SKX_NV];
} lane_mask;

#define EACH_VECTOR(j) for (int j = 0; j < SKX_NV; j++)

static inline lanes lanes_set(float x)
{
    lanes a;
    EACH_VECTOR(j) a.v[j] = vf_set(x);
    return a;
}

static inline lanes lanes_load(const float *p)
{
    lanes a;
    EACH_VECTOR(j) a.v[j] = vf_load(p + j * SKX_VL);
    return a;
}

static inline void lanes_store(float *p, lanes a)
{
    EACH_VECTOR(j) vf_store(p + j * SKX_VL, a.v[j]);
}

static inline lane_mask mask_from_bits(uint32_t bits)
{
    lane_mask a;
    EACH_VECTOR(j) a.m[j] = vi_from_bits(bits >> (j * SKX_VL));
    return a;
}

static inline uint32_t mask_bits(lane_mask a)
{
    uint32_t bits = 0;
    EACH_VECTOR(j) bits |= vi_bits(a.m[j]) << (j * SKX_VL);
    return bits;
}

/* The dot products of a row with all lanes' weights, the constant feature included. Two sums hide the latency. */
static inline lanes row_dot(const skx_block *b, const skx_row *row, const float *bias_w)
{
    const skx_entry *e = b->entries + row->begin, *end = e + row->length;
    lanes even = lanes_load(bias_w), odd = lanes_set(0.0f);
    EACH_VECTOR(j) even.v[j] *= vf_set(b->bias);
    for (; e + 1 < end; e += 2) {
        const float *w0 = b->w + (int64_t)e[0].feature * SKX_LANES, *w1 = b->w + (int64_t)e[1].feature * SKX_LANES;
        EACH_VECTOR(j) even.v[j] += vf_set(e[0].value) * vf_load(w0 + j * SKX_VL);
        EACH_VECTOR(j) odd.v[j] += vf_set(e[1].value) * vf_load(w1 + j * SKX_VL);
    }
    if (e < end) {
        const float *w0 = b->w + (int64_t)e->feature * SKX_LANES;
        EACH_VECTOR(j) even.v[j] += vf_set(e->value) * vf_load(w0 + j * SKX_VL);
    }
    EACH_VECTOR(j) even.v[j] += odd.v[j];
    return even;
}

/* w += step * x, for all lanes. */
static inline void row_add(const skx_block *b, const skx_row *row, lanes step, float *bias_w)
{
    const skx_entry *e = b->entries + row->begin, *end = e + row->length;
    for (; e < end; e++) {
        float *w = b->w + (int64_t)e->feature * SKX_LANES;
        EACH_VECTOR(j) vf_store(w + j * SKX_VL, vf_load(w + j * SKX_VL) + vf_set(e->value) * step.v[j]);
    }
    EACH_VECTOR(j) vf_store(bias_w + j * SKX_VL, vf_load(bias_w + j * SKX_VL) + vf_set(b->bias) * step.v[j]);
}

enum { AHEAD = 8 }; /* rows between a prefetch and its use */

/* Rows are visited in random order, which no hardware foresees: fetch the row 2 * AHEAD visits away, and what the row
 * AHEAD visits away points to. */
static inline void row_prefetch(const skx_block *b, int64_t s, int64_t n)
{
    if (s + 2 * AHEAD < n) __builtin_prefetch(&b->rows[b->order[s + 2 * AHEAD]]);
    if (s + AHEAD >= n) return;
    int64_t i = b->order[s + AHEAD];
    const skx_entry *e = b->entries + b->rows[i].begin;
    __builtin_prefetch(e);
    __builtin_prefetch(e + 8);
    __builtin_prefetch(b->alpha + i * SKX_LANES, 1);
}

#endif
