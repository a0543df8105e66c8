/* Clustering of sparse rows for label trees. Works on a gathered copy, so that the cost of a small group of labels depends on its
 * own features only, not on the width of the matrix. */
#include "base/cancel.h"
#include "base/random.h"
#include "base/topk.h" /* a balanced cut is a selection */
#include "cluster/gather.h"
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

/* Large groups are first clustered by a sample of their rows: the centers of a sample are close to those of all rows. At most
 * POLISH iterations over all rows follow. */
enum { SAMPLE = 256, SAMPLE_SHARE = 8, POLISH = 3 };

/* @return the number of rows of the sample of n rows; n, if that is not much more. */
static int64_t sample_size(int64_t n, int64_t n_clusters)
{
    int64_t size = SAMPLE * n_clusters > n / SAMPLE_SHARE ? SAMPLE * n_clusters : n / SAMPLE_SHARE;
    return 2 * size < n ? size : n;
}

/* Move a random sample of m rows to the front. */
static void draw_sample(int32_t *rows, int64_t n, int64_t m, uint64_t *random)
{
    for (int64_t i = 0; i < m && m < n; i++) {
        int64_t j = i + random_below(random, n - i);
        int32_t t = rows[i];
        rows[i] = rows[j];
        rows[j] = t;
    }
}

/* ---- balanced: recursive bisection ---- */

typedef struct {
    const skx_kernels *kernels;
    const skx_kmeans_params *params;
    skx_row_subset z;
    int32_t *rows; /* a permutation of the rows of z; a group is a range of it */
    int32_t *side; /* of each row: 1 on the left of the current cut */
    uint64_t *keys;
    float *total, *left, *direction; /* sums over a group and its left half; left center minus right center */
    uint64_t random;
    int32_t n_iter;
} bisection;

static void add_row(const skx_row_subset *z, int32_t i, float sign, float *sum)
{
    for (int64_t p = z->indptr[i]; p < z->indptr[i + 1]; p++) sum[z->entries[p].feature] += sign * z->entries[p].value;
}

/* In eight sums, so that additions do not depend on each other. */
static double square_norm(const float *v, int64_t n)
{
    double sum[8] = {0.0}, square = 0.0;
    int64_t f = 0;
    for (; f + 8 <= n; f += 8)
        for (int u = 0; u < 8; u++) sum[u] += (double)v[f + u] * v[f + u];
    for (; f < n; f++) sum[0] += (double)v[f] * v[f];
    for (int u = 0; u < 8; u++) square += sum[u];
    return square;
}

/* @return the factor that turns a sum of n rows into a center. */
static float center_scale(const float *sum, int64_t n_features, int64_t n, int spherical)
{
    if (!spherical) return n > 0 ? 1.0f / (float)n : 0.0f;
    double square = square_norm(sum, n_features);
    return square > 0.0 ? (float)(1.0 / sqrt(square)) : 0.0f;
}

/* Compute the difference of the centers from the sums of both halves. */
static void center_direction(bisection *b, int64_t n_left, int64_t n_right)
{
    int64_t d = b->z.n_features;
    for (int64_t f = 0; f < d; f++) b->direction[f] = b->total[f] - b->left[f];
    float ls = center_scale(b->left, d, n_left, b->params->spherical);
    float rs = center_scale(b->direction, d, n_right, b->params->spherical);
    for (int64_t f = 0; f < d; f++) b->direction[f] = ls * b->left[f] - rs * b->direction[f];
}

/* Put the n_left rows that are furthest along the direction on the left, and update the sum of the left half. @return the
 * number of rows that moved; if cancelled, 0, and the keys are undefined. */
static int64_t move_rows(bisection *b, int64_t begin, int64_t end, int64_t n_left)
{
    int64_t moved = 0, n = end - begin;
    for (int64_t i = 0; i < n; i++) {
        if (i % SKX_POLL == 0 && skx_cancelled(b->params->cancel)) return 0;
        int32_t row = b->rows[begin + i];
        int64_t p = b->z.indptr[row];
        skx_row_subset_visit(&b->z, i);
        float s = b->kernels->dot_vector(b->z.entries + p, b->z.indptr[row + 1] - p, b->direction);
        b->keys[i] = key_make(s, row);
    }
    skx_keys_select(b->keys, n, n_left);
    for (int64_t i = 0; i < n; i++) {
        int32_t row = key_id(b->keys[i]), side = i < n_left;
        if (b->side[row] == side) continue;
        skx_row_subset_visit(&b->z, moved);
        b->side[row] = side;
        add_row(&b->z, row, side ? 1.0f : -1.0f, b->left);
        moved++;
    }
    return moved;
}

static bool rows_equal(const skx_row_subset *z, int32_t i, int32_t j)
{
    const skx_entry *a = z->entries + z->indptr[i], *b = z->entries + z->indptr[j];
    int64_t n = z->indptr[i + 1] - z->indptr[i];
    if (n != z->indptr[j + 1] - z->indptr[j]) return false;
    for (int64_t p = 0; p < n; p++)
        if (a[p].feature != b[p].feature || a[p].value != b[p].value) return false;
    return true;
}

/* Set the direction to the difference of a random row and the next different one from another random position on: equal rows
 * have no direction. */
static void seed_direction(bisection *b, int64_t begin, int64_t end)
{
    int64_t n = end - begin;
    int32_t first = b->rows[begin + random_below(&b->random, n)], second = first;
    int64_t start = random_below(&b->random, n);
    for (int64_t step = 0; step < n && rows_equal(&b->z, first, second); step++) second = b->rows[begin + (start + step) % n];
    memset(b->direction, 0, (size_t)b->z.n_features * sizeof *b->direction);
    add_row(&b->z, first, 1.0f, b->direction);
    add_row(&b->z, second, -1.0f, b->direction);
}

/* Cut rows[begin .. end) along the direction and update the direction, until no row moves or max_iter times. */
static void iterate(bisection *b, int64_t begin, int64_t end, int64_t n_left, int32_t max_iter)
{
    size_t size = (size_t)b->z.n_features * sizeof *b->total;
    memset(b->total, 0, size);
    memset(b->left, 0, size);
    for (int64_t i = begin; i < end; i++) {
        skx_row_subset_visit(&b->z, i);
        add_row(&b->z, b->rows[i], 1.0f, b->total);
        b->side[b->rows[i]] = 0;
    }
    for (int32_t iter = 1; iter <= max_iter; iter++) {
        if (iter > b->n_iter) b->n_iter = iter;
        if (move_rows(b, begin, end, n_left) == 0) break;
        center_direction(b, n_left, end - begin - n_left);
    }
}

/* Balanced 2-means of rows[begin .. end), 0 < n_left < end - begin; afterwards the left half comes first. */
static void bisect(bisection *b, int64_t begin, int64_t end, int64_t n_left)
{
    int64_t n = end - begin, m = sample_size(n, 2);
    draw_sample(b->rows + begin, n, m, &b->random);
    seed_direction(b, begin, begin + m);
    if (m < n) iterate(b, begin, begin + m, (n_left * m + n / 2) / n, b->params->max_iter);
    iterate(b, begin, end, n_left, m < n && POLISH < b->params->max_iter ? POLISH : b->params->max_iter);
    if (skx_cancelled(b->params->cancel)) return;
    int64_t l = begin, r = begin + n_left;
    for (int64_t i = 0; i < n; i++) {
        int32_t row = key_id(b->keys[i]);
        b->rows[b->side[row] ? l++ : r++] = row;
    }
}

/* Divide rows[begin .. end) among the clusters first .. first + k. Sizes are the floor or the ceiling of (end - begin) / k. */
static void divide(bisection *b, int64_t begin, int64_t end, int64_t first, int64_t k, int32_t *cluster)
{
    while (k > 1 && !skx_cancelled(b->params->cancel)) {
        int64_t n = end - begin, k_left = k / 2, large = n % k;
        int64_t n_left = k_left * (n / k) + (large < k_left ? large : k_left);
        bisect(b, begin, end, n_left);
        divide(b, begin, begin + n_left, first, k_left, cluster);
        begin += n_left;
        first += k_left;
        k -= k_left;
    }
    for (int64_t i = begin; i < end; i++) cluster[b->rows[i]] = (int32_t)first;
}

static void bisection_allocate(bisection *b, skx_arena *arena)
{
    b->rows = skx_arena_take(arena, b->z.n_rows, sizeof *b->rows);
    b->side = skx_arena_zeros(arena, b->z.n_rows, sizeof *b->side);
    b->keys = skx_arena_take(arena, b->z.n_rows, sizeof *b->keys);
    b->total = skx_arena_take(arena, b->z.n_features, sizeof *b->total);
    b->left = skx_arena_take(arena, b->z.n_features, sizeof *b->left);
    b->direction = skx_arena_take(arena, b->z.n_features, sizeof *b->direction);
}

static bool params_valid(const skx_kmeans_params *p, int64_t n)
{
    return p->n_clusters >= 1 && p->n_clusters <= n && p->max_iter >= 1 && n <= INT32_MAX;
}

int skx_kmeans_balanced(const skx_kernels *kernels, const skx_csr *z, const int32_t *rows, int64_t n,
                        const skx_kmeans_params *params, int32_t *cluster, int32_t *n_iter)
{
    if (!params_valid(params, n)) return SKX_EARG;
    bisection b = {.kernels = kernels, .params = params, .random = params->seed};
    skx_arena arena = {0};
    int status = skx_row_subset_gather(z, rows, n, params->scratch, &arena, &b.z);
    if (status == SKX_OK) bisection_allocate(&b, &arena);
    if (arena.failed) status = SKX_ENOMEM;
    if (status == SKX_OK) {
        for (int64_t i = 0; i < n; i++) b.rows[i] = (int32_t)i;
        divide(&b, 0, n, 0, params->n_clusters, cluster);
        *n_iter = b.n_iter;
        if (skx_cancelled(params->cancel)) status = SKX_ECANCELLED;
    }
    skx_arena_free(&arena);
    return status;
}

/* ---- unbalanced: Lloyd's iterations ---- */

typedef struct {
    const skx_kernels *kernels;
    const skx_kmeans_params *params;
    skx_row_subset z;
    int64_t k;
    float *centers;     /* (n_features, k): a row's products with all centers are one pass */
    float *sums;        /* (n_features, k) */
    float *offset;      /* half of each center's squared norm */
    float *scores;      /* (k) */
    float *scale;       /* (k): the factor that turns a sum into a center */
    double *square_sum; /* (k): the sums' squared norms */
    int32_t *rows;      /* a permutation of the rows of z; the sample comes first */
    double *nearest;    /* of each of them: squared distance to the nearest seed */
    double *square;     /* and its squared norm */
    int64_t *count;
    uint64_t random;
} lloyd;

static double row_square(const skx_row_subset *z, int64_t i)
{
    double square = 0.0;
    for (int64_t p = z->indptr[i]; p < z->indptr[i + 1]; p++) square += (double)z->entries[p].value * z->entries[p].value;
    return square;
}

/* @return one of the first n rows, drawn in proportion to its squared distance to the seeds. */
static int32_t draw_row(lloyd *m, int64_t n)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) total += m->nearest[i];
    if (!(total > 0.0)) return m->rows[random_below(&m->random, n)];
    double goal = random_unit(&m->random) * total;
    for (int64_t i = 0; i < n; i++) {
        goal -= m->nearest[i];
        if (goal < 0.0) return m->rows[i];
    }
    return m->rows[n - 1];
}

/* Make row s center c, and update the distances. The sums hold a dense copy of the row. */
static void add_seed(lloyd *m, int64_t n, int64_t c, int32_t s)
{
    memset(m->sums, 0, (size_t)m->z.n_features * sizeof *m->sums);
    for (int64_t p = m->z.indptr[s]; p < m->z.indptr[s + 1]; p++) {
        const skx_entry *e = &m->z.entries[p];
        m->sums[e->feature] = e->value;
        m->centers[e->feature * m->k + c] = e->value;
    }
    double square = row_square(&m->z, s);
    m->offset[c] = (float)(0.5 * square);
    for (int64_t i = 0; i < n; i++) {
        int64_t p = m->z.indptr[m->rows[i]];
        skx_row_subset_visit(&m->z, i);
        double dot = m->kernels->dot_vector(m->z.entries + p, m->z.indptr[m->rows[i] + 1] - p, m->sums);
        double distance = fmax(0.0, square + m->square[i] - 2.0 * dot);
        if (c == 0 || distance < m->nearest[i]) m->nearest[i] = distance;
    }
}

/* Choose the seeds by k-means++. */
static void choose_seeds(lloyd *m, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        skx_row_subset_visit(&m->z, i);
        m->square[i] = row_square(&m->z, m->rows[i]);
    }
    for (int64_t c = 0; c < m->k && !skx_cancelled(m->params->cancel); c++)
        add_seed(m, n, c, c ? draw_row(m, n) : m->rows[random_below(&m->random, n)]);
}

static int32_t nearest_center(const lloyd *m, int32_t row)
{
    int64_t p = m->z.indptr[row], best = 0;
    m->kernels->dot_matrix(m->z.entries + p, m->z.indptr[row + 1] - p, m->centers, m->k, m->scores);
    for (int64_t c = 1; c < m->k; c++)
        if (m->scores[c] - m->offset[c] > m->scores[best] - m->offset[best]) best = c;
    return (int32_t)best;
}

/* @return the number of rows that changed their cluster; 0 if cancelled. */
static int64_t assign(lloyd *m, int64_t n, int32_t *cluster)
{
    int64_t moved = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i % SKX_POLL == 0 && skx_cancelled(m->params->cancel)) return 0;
        skx_row_subset_visit(&m->z, i);
        int32_t row = m->rows[i], c = nearest_center(m, row);
        moved += c != cluster[row];
        cluster[row] = c;
    }
    return moved;
}

/* Compute the factors that turn the sums into centers, and the offsets. */
static void center_scales(lloyd *m)
{
    int64_t k = m->k;
    memset(m->square_sum, 0, (size_t)k * sizeof *m->square_sum);
    for (int64_t f = 0; f < m->z.n_features; f++)
        for (int64_t c = 0; c < k; c++) m->square_sum[c] += (double)m->sums[f * k + c] * m->sums[f * k + c];
    for (int64_t c = 0; c < k; c++) {
        double square = m->square_sum[c], scale = 1.0 / (double)m->count[c];
        if (m->count[c] == 0) continue;
        if (m->params->spherical) scale = square > 0.0 ? 1.0 / sqrt(square) : 0.0;
        m->scale[c] = (float)scale;
        m->offset[c] = (float)(0.5 * scale * scale * square);
    }
}

/* Compute the centers; that of an empty cluster stays the same. */
static void update_centers(lloyd *m, int64_t n, const int32_t *cluster)
{
    int64_t d = m->z.n_features, k = m->k;
    memset(m->sums, 0, (size_t)(d * k) * sizeof *m->sums);
    memset(m->count, 0, (size_t)k * sizeof *m->count);
    for (int64_t i = 0; i < n; i++) {
        int32_t row = m->rows[i];
        skx_row_subset_visit(&m->z, i);
        m->count[cluster[row]]++;
        for (int64_t p = m->z.indptr[row]; p < m->z.indptr[row + 1]; p++)
            m->sums[m->z.entries[p].feature * k + cluster[row]] += m->z.entries[p].value;
    }
    center_scales(m);
    for (int64_t f = 0; f < d; f++)
        for (int64_t c = 0; c < k; c++)
            if (m->count[c]) m->centers[f * k + c] = m->scale[c] * m->sums[f * k + c];
}

/* Assign the first n rows and move the centers, in turn, until no row changes or max_iter times. */
static int32_t lloyd_iterate(lloyd *m, int64_t n, int32_t max_iter, int32_t *cluster)
{
    int32_t iter = 1;
    for (; assign(m, n, cluster) && iter < max_iter; iter++) update_centers(m, n, cluster);
    return iter;
}

static void lloyd_allocate(lloyd *m, skx_arena *arena)
{
    int64_t k = m->k, n = m->z.n_rows;
    m->centers = skx_arena_zeros(arena, m->z.n_features * k, sizeof *m->centers);
    m->sums = skx_arena_take(arena, m->z.n_features * k, sizeof *m->sums);
    m->offset = skx_arena_take(arena, k, sizeof *m->offset);
    m->scores = skx_arena_take(arena, k, sizeof *m->scores);
    m->scale = skx_arena_take(arena, k, sizeof *m->scale);
    m->square_sum = skx_arena_take(arena, k, sizeof *m->square_sum);
    m->rows = skx_arena_take(arena, n, sizeof *m->rows);
    m->nearest = skx_arena_take(arena, n, sizeof *m->nearest);
    m->square = skx_arena_take(arena, n, sizeof *m->square);
    m->count = skx_arena_take(arena, k, sizeof *m->count);
}

int skx_kmeans_lloyd(const skx_kernels *kernels, const skx_csr *z, const int32_t *rows, int64_t n,
                     const skx_kmeans_params *params, int32_t *cluster, int32_t *n_iter)
{
    if (!params_valid(params, n)) return SKX_EARG;
    lloyd m = {.kernels = kernels, .params = params, .k = params->n_clusters, .random = params->seed};
    skx_arena arena = {0};
    int status = skx_row_subset_gather(z, rows, n, params->scratch, &arena, &m.z);
    if (status == SKX_OK) lloyd_allocate(&m, &arena);
    if (arena.failed) status = SKX_ENOMEM;
    if (status == SKX_OK) {
        int64_t sample = sample_size(n, m.k);
        int32_t most = params->max_iter;
        for (int64_t i = 0; i < n; i++) {
            m.rows[i] = (int32_t)i;
            cluster[i] = -1;
        }
        draw_sample(m.rows, n, sample, &m.random);
        choose_seeds(&m, sample);
        *n_iter = lloyd_iterate(&m, sample, most, cluster);
        if (sample < n) lloyd_iterate(&m, n, POLISH < most ? POLISH : most, cluster);
        if (skx_cancelled(params->cancel)) status = SKX_ECANCELLED;
    }
    skx_arena_free(&arena);
    return status;
}
