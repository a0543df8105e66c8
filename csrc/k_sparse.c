/* Products of a gathered row with dense matrices and vectors. */
#include "k_table.h"

void SKX_NAME(skx_dot_matrix)(const skx_entry *entries, int64_t n, const float *b, int64_t width, float *restrict out)
{
    for (int64_t c = 0; c < width; c++) out[c] = 0.0f;
    for (int64_t p = 0; p < n; p++) {
        const float *row = b + entries[p].feature * width;
        float x = entries[p].value;
        for (int64_t c = 0; c < width; c++) out[c] += x * row[c];
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
