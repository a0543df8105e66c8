/* Shared by the fuzzers: an input that is read step by step, arrays of exactly the stated size, and claims. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H
#include "skxmr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input. Returns 0, always. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    const uint8_t *at, *end;
    void *owned[64]; /* arrays, freed together */
    int n_owned;
} input;

static inline input input_of(const uint8_t *data, size_t size) { return (input){data, data + size, {0}, 0}; }

/* An input that only owns arrays. */
static inline input input_empty(void) { return input_of((const uint8_t *)"", 0); }

/* The next bytes; zeros beyond the end. */
static inline void take_bytes(input *in, void *out, size_t n)
{
    size_t left = (size_t)(in->end - in->at), m = n < left ? n : left;
    if (n > m) memset((uint8_t *)out + m, 0, n - m);
    if (m == 0) return;
    memcpy(out, in->at, m);
    in->at += m;
}

static inline uint8_t take_byte(input *in)
{
    uint8_t v;
    take_bytes(in, &v, 1);
    return v;
}

/* A number from least to largest, both included, from two bytes. */
static inline int64_t take_between(input *in, int64_t least, int64_t largest)
{
    uint16_t v;
    take_bytes(in, &v, sizeof v);
    return least + v % (largest - least + 1);
}

/* Memory of exactly this size, so that a sanitizer finds every access outside. Not counted as an allocation of the library. */
static inline void *own(input *in, size_t n_bytes)
{
    void *p = malloc(n_bytes ? n_bytes : 1);
    if (!p || in->n_owned == 64) abort();
    in->owned[in->n_owned++] = p;
    return p;
}

static inline void *take_array(input *in, int64_t n, size_t item)
{
    void *p = own(in, (size_t)n * item);
    take_bytes(in, p, (size_t)n * item);
    return p;
}

static inline int input_free(input *in)
{
    for (int i = 0; i < in->n_owned; i++) free(in->owned[i]);
    in->n_owned = 0;
    return 0;
}

/* Small numbers that are exact in any order of summation; sometimes any bits. */
static inline float take_float(input *in)
{
    int8_t v = (int8_t)take_byte(in);
    float any;
    if (v != -128) return (float)v / 8;
    take_bytes(in, &any, sizeof any);
    return any;
}

static inline float take_finite(input *in)
{
    float v = take_float(in);
    return v - v == 0.0f ? v : 1.0f;
}

/* Sets for rows: mostly small numbers in increasing order, sometimes any; pointers that seldom lead outside. NULL for none. */
static inline const skx_sets *take_sets(input *in, int64_t n_rows)
{
    uint8_t how = take_byte(in);
    if (how % 3 == 0) return NULL;
    skx_sets *sets = own(in, sizeof *sets);
    int64_t n_sets = how & 4 ? 1 : n_rows, n_members = take_between(in, 0, 40);
    int64_t *ptr = own(in, (size_t)(n_sets + 1) * sizeof *ptr);
    for (int64_t i = 0; i <= n_sets; i++) ptr[i] = n_members * i / (n_sets ? n_sets : 1);
    if (how >= 250) ptr[take_between(in, 0, n_sets)] = (int8_t)take_byte(in);
    int32_t *member = own(in, (size_t)n_members * sizeof *member), last = -1;
    for (int64_t i = 0; i < n_members; i++) member[i] = last = last + 1 + take_byte(in) % 4;
    if (how & 8) take_bytes(in, member, (size_t)n_members * sizeof *member);
    *sets = (skx_sets){n_members, ptr, member, (how & 4) != 0};
    return sets;
}

static inline const skx_kernels *take_kernels(input *in)
{
    static const char *const names[] = {"", "baseline", "avx2", "avx512"};
    const skx_kernels *found;
    if (skx_kernels_find(names[take_byte(in) % 4], &found) != SKX_OK) skx_kernels_find("", &found);
    return found;
}

/* A canonical matrix: every row takes some of the columns, in order. */
static inline skx_csr take_csr(input *in, int64_t max_rows, int64_t max_cols)
{
    skx_csr x = {take_between(in, 0, max_rows), take_between(in, 1, max_cols), NULL, NULL, NULL, 0};
    int64_t *indptr = own(in, (size_t)(x.n_rows + 1) * sizeof *indptr), most = x.n_rows * 8;
    int32_t *indices = own(in, (size_t)most * sizeof *indices);
    float *data = own(in, (size_t)most * sizeof *data);
    indptr[0] = 0;
    for (int64_t i = 0; i < x.n_rows; i++) {
        int64_t n = take_byte(in) % 9, column = -1, used = indptr[i];
        for (int64_t e = 0; e < n; e++) {
            column += 1 + take_byte(in) % 16 * (take_byte(in) % 16);
            if (column >= x.n_cols) break;
            indices[used] = (int32_t)column;
            data[used++] = take_finite(in);
        }
        indptr[i + 1] = used;
    }
    x.indptr = indptr;
    x.indices = indices;
    x.data = data;
    return x;
}

/* Unlike assert, also checked in optimized builds. */
#define CLAIM(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* Whether a call succeeded; it may have failed for lack of memory, but for nothing else. */
static inline int succeeded(int status)
{
    CLAIM(status == SKX_OK || status == SKX_ENOMEM);
    return status == SKX_OK;
}

#endif
