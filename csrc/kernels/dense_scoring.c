/* Products of dense rows with the dense weights of a chunk, for many rows at once. Every sum has the order of the features, so that
 * it is the same for every instruction set and every grouping of rows, and the same as that of sparse rows. */
#include "kernels/table.h"
#include "model/layout.h" /* the formats of values */

enum {
    DEPTH = 64,   /* features at a time: their rows of a panel stay in the cache */
    TOGETHER = 4, /* rows whose sums stay in registers */
    ROW_BYTES = SKX_PANEL * (int)sizeof(float)
};

/* Convert n rows of a panel to SKX_PANEL values of float32 each. Values beyond `stored` are kept. */
static void unpack(const uint8_t *rows, int64_t n, int64_t stored, int64_t value_bytes, float *out)
{
    for (int64_t f = 0; f < n; f++, rows += stored * value_bytes, out += SKX_PANEL) {
        int64_t c = 0;
        for (; value_bytes == SKX_FLOAT16 && c + SKX_VL <= stored; c += SKX_VL) vf_store(out + c, vf_load_half(rows + 2 * c));
        for (; c < stored; c++) out[c] = load_value(rows + value_bytes * c, value_bytes);
    }
}

static inline vf load_weights(const uint8_t *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Add the products of features first .. first + n of `rows` rows with the first n_vectors vectors of a panel. */
static inline __attribute__((always_inline)) void multiply(const uint8_t *w, int64_t first, int64_t n, const float *const *x,
                                                           float *const *scores, int64_t column, const int rows,
                                                           const int n_vectors)
{
    vf sum[TOGETHER][SKX_NV];
    const float *row[TOGETHER];
    for (int r = 0; r < rows; r++) {
        row[r] = x[r] + first;
        for (int j = 0; j < n_vectors; j++) sum[r][j] = vf_load(scores[r] + column + j * SKX_VL);
    }
    for (int64_t f = 0; f < n; f++, w += ROW_BYTES) {
        vf weights[SKX_NV];
        for (int j = 0; j < n_vectors; j++) weights[j] = vf_keep(load_weights(w + j * sizeof(vf)));
        for (int r = 0; r < rows; r++) {
            vf value = vf_set(row[r][f]);
            for (int j = 0; j < n_vectors; j++) sum[r][j] += value * weights[j];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < n_vectors; j++) vf_store(scores[r] + column + j * SKX_VL, sum[r][j]);
}

static inline __attribute__((always_inline)) void multiply_rows(const uint8_t *w, int64_t first, int64_t n, const float *const *x,
                                                                float *const *scores, int64_t column, int64_t n_rows,
                                                                const int n_vectors)
{
    int64_t r = 0;
    for (; r + TOGETHER <= n_rows; r += TOGETHER) multiply(w, first, n, x + r, scores + r, column, TOGETHER, n_vectors);
    if (n_rows - r == 3) multiply(w, first, n, x + r, scores + r, column, 3, n_vectors);
    if (n_rows - r == 2) multiply(w, first, n, x + r, scores + r, column, 2, n_vectors);
    if (n_rows - r == 1) multiply(w, first, n, x + r, scores + r, column, 1, n_vectors);
}

void SKX_NAME(skx_accumulate_dense)(const skx_dense_weights *weights, const float *const *x, float *const *scores, int64_t n)
{
    float unpacked[DEPTH * SKX_PANEL] = {0.0f};
    const uint8_t *panel = weights->panels;
    for (int64_t column = 0; column < weights->width; column += SKX_PANEL) {
        int64_t left = (weights->width - column + 3) / 4 * 4, stored = left < SKX_PANEL ? left : SKX_PANEL;
        for (int64_t first = 0; first < weights->n_dense; first += DEPTH) {
            int64_t n_features = weights->n_dense - first < DEPTH ? weights->n_dense - first : DEPTH;
            const uint8_t *w = panel;
            if (stored < SKX_PANEL || weights->value_bytes != SKX_FLOAT32) {
                unpack(panel, n_features, stored, weights->value_bytes, unpacked);
                w = (const uint8_t *)unpacked;
            }
            if (SKX_NV > 1 && stored <= SKX_PANEL / 2)
                multiply_rows(w, first, n_features, x, scores, column, n, SKX_NV / 2);
            else
                multiply_rows(w, first, n_features, x, scores, column, n, SKX_NV);
            panel += n_features * stored * weights->value_bytes;
        }
    }
}
