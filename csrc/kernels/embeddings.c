/* Products of the embedding of a query with those of rows. Integers, so that every instruction set gives the same result. */
#include "kernels/table.h"

enum { AHEAD = 6, LINE = 64 }; /* rows between the prefetch of a row and its use; bytes of a cache line */

/* Without always_inline GCC drops prefetches from functions without a result. */
static inline __attribute__((always_inline)) void prefetch_bytes(const int8_t *row, int64_t n)
{
    for (int64_t i = 0; i < n; i += LINE) __builtin_prefetch(row + i);
}

#if defined(__AVX512BW__)

static inline int32_t dot_row(const int16_t *query, const int8_t *row, int64_t n)
{
    __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += LINE) {
        __m512i first = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)(row + i)));
        __m512i second = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const void *)(row + i + 32)));
        even = _mm512_add_epi32(even, _mm512_madd_epi16(first, _mm512_loadu_si512(query + i)));
        odd = _mm512_add_epi32(odd, _mm512_madd_epi16(second, _mm512_loadu_si512(query + i + 32)));
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
}

#elif defined(__AVX2__)

static inline int32_t dot_row(const int16_t *query, const int8_t *row, int64_t n)
{
    __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int64_t i = 0; i < n; i += LINE) {
        for (int j = 0; j < LINE; j += 16) {
            __m256i values = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(row + i + j)));
            __m256i products = _mm256_madd_epi16(values, _mm256_loadu_si256((const void *)(query + i + j)));
            sum[j / 16 % 2] = _mm256_add_epi32(sum[j / 16 % 2], products);
        }
    }
    vi total = (vi)_mm256_add_epi32(sum[0], sum[1]);
    int32_t result = 0;
    for (int j = 0; j < SKX_VL; j++) result += total[j];
    return result;
}

#elif defined(__SSE2__)

static inline int32_t dot_row(const int16_t *query, const int8_t *row, int64_t n)
{
    __m128i sum = _mm_setzero_si128();
    for (int64_t i = 0; i < n; i += 16) {
        __m128i values = _mm_loadu_si128((const void *)(row + i));
        __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(values, values), 8);
        __m128i high = _mm_srai_epi16(_mm_unpackhi_epi8(values, values), 8);
        sum = _mm_add_epi32(sum, _mm_madd_epi16(low, _mm_loadu_si128((const void *)(query + i))));
        sum = _mm_add_epi32(sum, _mm_madd_epi16(high, _mm_loadu_si128((const void *)(query + i + 8))));
    }
    vi total = (vi)sum;
    return total[0] + total[1] + total[2] + total[3];
}

#else

static inline int32_t dot_row(const int16_t *query, const int8_t *row, int64_t n)
{
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (int32_t)query[i] * row[i];
    return sum;
}

#endif

void SKX_NAME(skx_dot_bytes)(const int16_t *query, const int8_t *vectors, int64_t stride, const int32_t *rows, int64_t n,
                             int32_t *out)
{
    for (int64_t i = 0; i < n && i < AHEAD; i++) prefetch_bytes(vectors + rows[i] * stride, stride);
    for (int64_t i = 0; i < n; i++) {
        if (i + AHEAD < n) prefetch_bytes(vectors + rows[i + AHEAD] * stride, stride);
        out[i] = dot_row(query, vectors + rows[i] * stride, stride);
    }
}
