/* Products of a gathered row with dense matrices and vectors. */
#include "kernels/table.h"

enum { WIDE = 16 }; /* columns whose sums stay in registers */

static void dot_columns(const skx_entry *entries, int64_t n, const float *b, int64_t width, float *restrict out)
{
    vf sum[WIDE / SKX_VL];
    for (int v = 0; v < WIDE / SKX_VL; v++) sum[v] = vf_set(0.0f);
    for (int64_t p = 0; p < n; p++) {
        const float *row = b + entries[p].feature * width;
        for (int v = 0; v < WIDE / SKX_VL; v++) sum[v] += vf_set(entries[p].value) * vf_load(row + v * SKX_VL);
    }
    for (int v = 0; v < WIDE / SKX_VL; v++) vf_store(out + v * SKX_VL, sum[v]);
}

void SKX_NAME(skx_dot_matrix)(const skx_entry *entries, int64_t n, const float *b, int64_t width, float *restrict out)
{
    int64_t first = 0;
    for (; first + WIDE <= width; first += WIDE) dot_columns(entries, n, b + first, width, out + first);
    for (int64_t c = first; c < width; c++) out[c] = 0.0f;
    for (int64_t p = 0; p < n && first < width; p++) {
        const float *row = b + entries[p].feature * width;
        for (int64_t c = first; c < width; c++) out[c] += entries[p].value * row[c];
    }
}

float SKX_NAME(skx_dot_vector)(const skx_entry *entries, int64_t n, const float *b)
{
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    int64_t p = 0;
    for (; p + 3 < n; p += 4)
        for (int j = 0; j < 4; j++) sum[j] += entries[p + j].value * b[entries[p + j].feature];
    for (; p < n; p++) sum[0] += entries[p].value * b[entries[p].feature];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
