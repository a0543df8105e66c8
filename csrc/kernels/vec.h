/* Vectors of the native width, from GCC's and Clang's vector extensions, and the few operations those lack.
 * 16 lanes are SKX_NV vectors, so that one source serves every instruction set. Included by the kernels only. */
#ifndef SKX_VEC_H
#define SKX_VEC_H
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__AVX512F__)
enum { SKX_VL = 16 };
#elif defined(__AVX2__)
enum { SKX_VL = 8 };
#else
enum { SKX_VL = 4 };
#endif
enum { SKX_NV = 16 / SKX_VL };

#define SKX_JOIN_(a, b) a##_##b
#define SKX_JOIN(a, b) SKX_JOIN_(a, b)
#define SKX_NAME(name) SKX_JOIN(name, SKX_ISA)

typedef float vf __attribute__((vector_size(4 * SKX_VL)));
typedef int32_t vi __attribute__((vector_size(4 * SKX_VL)));
typedef float vf4 __attribute__((vector_size(16)));

static inline vf vf_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

typedef uint16_t vh __attribute__((vector_size(2 * SKX_VL)));

/* Widen half-precision numbers, exactly: a product corrects the exponent, also of subnormals. */
static inline vf vf_from_half(vh half)
{
    vi bits = __builtin_convertvector(half, vi);
    vf magnitude = (vf)((bits & 0x7fff) << 13) * 0x1p112f;
    return (vf)((vi)magnitude | (bits & 0x8000) << 16);
}

static inline vf vf_load_half(const uint8_t *p)
{
    vh half;
    memcpy(&half, p, sizeof half);
    return vf_from_half(half);
}

#if defined(__AVX512VL__) && defined(__AVX512BW__)
#define SKX_EXPANDS 1 /* the following functions are available */

/* The first n <= 16 values at p, float32 or float16, spread to the lanes whose bits are set in mask; zeros in the others. */
static inline vf vf_expand(const uint8_t *p, uint32_t n, uint32_t mask)
{
    __m512 packed = _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
    return (vf)_mm512_maskz_expand_ps((__mmask16)mask, packed);
}

static inline vf vf_expand_half(const uint8_t *p, uint32_t n, uint32_t mask)
{
    vf packed = vf_from_half((vh)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p));
    return (vf)_mm512_maskz_expand_ps((__mmask16)mask, (__m512)packed);
}
#endif

static inline void vf_store(float *p, vf v) { memcpy(p, &v, sizeof v); }

/* @return v in a register: compilers otherwise load it from memory again for each use. */
static inline vf vf_keep(vf v)
{
#if defined(__SSE2__)
    __asm__("" : "+x"(v));
#endif
    return v;
}

static inline vf vf_set(float x) { return x - (vf){0}; }

static inline vi vi_set(int32_t x) { return x - (vi){0}; }

/* a where the mask m (all ones or all zeros per lane) is set, otherwise b. */
static inline vf vf_select(vi m, vf a, vf b) { return (vf)((m & (vi)a) | (~m & (vi)b)); }

static inline vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }

static inline vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }

static inline vf vf_abs(vf a) { return (vf)((vi)a & vi_set(0x7fffffff)); }

/* One bit per lane from a comparison's result. */
static inline uint32_t vi_bits(vi m)
{
#if defined(__AVX512DQ__)
    return (uint32_t)_mm512_movepi32_mask((__m512i)m);
#elif defined(__AVX2__)
    return (uint32_t)_mm256_movemask_ps((__m256)m);
#elif defined(__SSE2__)
    return (uint32_t)_mm_movemask_ps((__m128)m);
#else
    uint32_t bits = 0;
    for (int j = 0; j < SKX_VL; j++) bits |= (uint32_t)(m[j] & 1) << j;
    return bits;
#endif
}

/* The mask whose lane j is all ones if bit j of bits is set. */
static inline vi vi_from_bits(uint32_t bits)
{
    vi lane;
    for (int j = 0; j < SKX_VL; j++) lane[j] = 1 << j;
    return (vi_set((int32_t)bits) & lane) != 0;
}

/* exp(x) to about 1e-7, by reduction to |r| <= ln(2) / 2 and a polynomial; exactly 1 at 0, exactly 0 below -87.3. */
static inline vf vf_exp(vf x)
{
    const vf low = vf_set(-87.3f), high = vf_set(88.3f), round = vf_set(12582912.0f); /* 1.5 * 2^23 */
    vf y = vf_min(vf_max(x, low), high);
    vf shifted = y * vf_set(1.44269504f) + round;
    vf n = shifted - round;
    vf r = y - n * vf_set(0.693359375f) + n * vf_set(2.12194440e-4f);
    vf p = vf_set(1.9875691500e-4f);
    p = p * r + vf_set(1.3981999507e-3f);
    p = p * r + vf_set(8.3334519073e-3f);
    p = p * r + vf_set(4.1665795894e-2f);
    p = p * r + vf_set(1.6666665459e-1f);
    p = p * r + vf_set(5.0000001201e-1f);
    p = p * r * r + r + vf_set(1.0f);
    vi scale = ((vi)shifted - (vi)round + 127) << 23;
    return vf_select(x < low, vf_set(0.0f), p * (vf)scale);
}

/* 1 / (1 + exp(-x)), without overflow on either side. */
static inline vf vf_sigmoid(vf x)
{
    vf e = vf_exp(-vf_abs(x));
    vf s = vf_set(1.0f) / (vf_set(1.0f) + e);
    return vf_select(x < vf_set(0.0f), e * s, s);
}

#endif
