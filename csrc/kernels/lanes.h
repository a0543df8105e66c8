/* 16 lanes as native vectors, and the two passes over a row that all solvers make. Included by the solvers only. */
#ifndef SKX_LANES_H
#define SKX_LANES_H
#include "base/cancel.h"
#include "base/pages.h"
#include "kernels/table.h"

typedef struct {
    vf v[SKX_NV];
} lanes;

typedef struct {
    vi m[SKX_NV];
} lane_mask;

static inline lanes lanes_set(float x)
{
    lanes a;
    for (int j = 0; j < SKX_NV; j++) a.v[j] = vf_set(x);
    return a;
}

static inline lanes lanes_load(const float *p)
{
    lanes a;
    for (int j = 0; j < SKX_NV; j++) a.v[j] = vf_load(p + j * SKX_VL);
    return a;
}

static inline void lanes_store(float *p, lanes a)
{
    for (int j = 0; j < SKX_NV; j++) vf_store(p + j * SKX_VL, a.v[j]);
}

static inline lane_mask mask_from_bits(uint32_t bits)
{
    lane_mask a;
    for (int j = 0; j < SKX_NV; j++) a.m[j] = vi_from_bits(bits >> (j * SKX_VL));
    return a;
}

static inline uint32_t mask_bits(lane_mask a)
{
    uint32_t bits = 0;
    for (int j = 0; j < SKX_NV; j++) bits |= vi_bits(a.m[j]) << (j * SKX_VL);
    return bits;
}

/* Call before every SKX_POLL visits: drops the pages of mapped rows. @return whether the solver is cancelled. */
static inline bool poll(const skx_solver_block *b)
{
    if (b->n_mapped) skx_pages_drop(b->rows, b->n_mapped);
    return skx_cancelled(b->cancel);
}

/* Let the system map the pages of a mapped row for writing, which it does one by one. It would map many around a page that is
 * only read, and then this page again. */
static inline void row_touch(skx_solver_row *row)
{
    (void)__atomic_fetch_or(&row->positive, 0, __ATOMIC_RELAXED);
    if (row->padded) (void)__atomic_fetch_or(&row->entries[row->padded - 1].feature, 0, __ATOMIC_RELAXED);
}

/* @return the dot products of a row with the weights of all lanes, the constant feature included. Two sums hide the latency.
 *         The padding is read as well, so that the end of the loop is predictable. The constant feature comes last, because
 *         the row before has just changed its weight. */
static inline lanes row_dot(const skx_solver_block *b, const skx_solver_row *row, lanes bias_w)
{
    const skx_entry *e = row->entries, *end = e + row->padded;
    lanes even = lanes_set(0.0f), odd = lanes_set(0.0f);
    for (; e < end; e += SKX_PADDING) {
        for (int u = 0; u < SKX_PADDING; u += 2) {
            const float *w0 = b->w + (int64_t)e[u].feature * SKX_LANES, *w1 = b->w + (int64_t)e[u + 1].feature * SKX_LANES;
            for (int j = 0; j < SKX_NV; j++) even.v[j] += vf_set(e[u].value) * vf_load(w0 + j * SKX_VL);
            for (int j = 0; j < SKX_NV; j++) odd.v[j] += vf_set(e[u + 1].value) * vf_load(w1 + j * SKX_VL);
        }
    }
    for (int j = 0; j < SKX_NV; j++) even.v[j] += odd.v[j] + bias_w.v[j] * vf_set(b->bias);
    return even;
}

/* w += step * x, for all lanes. */
static inline void row_add(const skx_solver_block *b, const skx_solver_row *row, lanes step, lanes *bias_w)
{
    const skx_entry *e = row->entries, *end = e + row->length;
    for (; e < end; e += 2) {
        for (int u = 0; u < 2; u++) {
            float *w = b->w + (int64_t)e[u].feature * SKX_LANES;
            for (int j = 0; j < SKX_NV; j++) vf_store(w + j * SKX_VL, vf_load(w + j * SKX_VL) + vf_set(e[u].value) * step.v[j]);
        }
    }
    for (int j = 0; j < SKX_NV; j++) bias_w->v[j] += vf_set(b->bias) * step.v[j];
}

enum {
    AHEAD = 16,          /* visits between a prefetch and its use */
    NEAR_LINES = 4,      /* lines of a row that are prefetched before its length is known */
    NEAR_WEIGHTS = 12288 /* number of features whose weights fit into the cache and are not prefetched */
};

/* Rows are visited in random order, which the hardware cannot predict: prefetch the beginning of the row AHEAD visits away, the
 * rest of the row half as far away, and the weights of the row a quarter as far away. Without always_inline GCC drops prefetches
 * from functions without a result, which takes five times as long for rows that are not in a cache. */
static inline __attribute__((always_inline)) void row_prefetch(const skx_solver_block *b, int64_t s, int64_t n)
{
    if (s + AHEAD >= n) return;
    const char *far = (const char *)skx_solver_block_row(b, b->order[s + AHEAD]);
    for (int i = 0; i < NEAR_LINES; i++) __builtin_prefetch(far + i * SKX_LINE);
    const skx_solver_row *near = skx_solver_block_row(b, b->order[s + AHEAD / 2]);
    const char *line = (const char *)near + NEAR_LINES * SKX_LINE, *end = (const char *)(near->entries + near->length);
    for (; line < end; line += SKX_LINE) __builtin_prefetch(line);
    if (b->n_features <= NEAR_WEIGHTS) return;
    const skx_solver_row *next = skx_solver_block_row(b, b->order[s + AHEAD / 4]);
    for (int32_t i = 0; i < next->length; i++) __builtin_prefetch(b->w + (int64_t)next->entries[i].feature * SKX_LANES);
}

#endif
