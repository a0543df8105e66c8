/* Several rankings, and the votes of neighbours, added up label by label. */
#include "kernels.h"
#include "span.h"
#include "topk.h"

#include <math.h>
#include <stdlib.h>

/* What a source says of a label. */
typedef struct {
    int32_t label;
    int32_t source; /* sums are made in this order, so that they do not depend on how labels are sorted */
    float score;
} mention;

typedef struct {
    mention *all;
    int64_t n;
    int64_t room;
    uint64_t *keys;
} mentions;

static int compare(const void *left, const void *right)
{
    const mention *a = left, *b = right;
    if (a->label != b->label) return a->label < b->label ? -1 : 1;
    return (a->source > b->source) - (a->source < b->source);
}

static int reserve(mentions *m, int64_t n)
{
    if (n <= m->room) return 1;
    mention *all = realloc(m->all, (size_t)(2 * n) * sizeof *all);
    if (!all) return 0;
    m->all = all;
    m->room = 2 * n;
    return 1;
}

static void mention_label(mentions *m, int32_t label, float score)
{
    m->all[m->n] = (mention){label, (int32_t)m->n, score};
    m->n++;
}

/* How much each of a row's neighbours counts: its similarity to the power times its weight, of which the last one's part. Returns
 * the sum. */
static double weigh_votes(const skx_voters *v, const skx_combine_params *p, const int32_t *neighbor, const float *similarity,
                          double *vote)
{
    double room = (double)p->n_neighbors, sum = 0.0;
    for (int64_t j = 0; j < p->n_neighbors; j++) {
        int there = neighbor[j] >= 0 && neighbor[j] < v->n_rows && room > 0.0;
        double weight = there ? (v->weight ? (double)v->weight[neighbor[j]] : 1.0) : 0.0;
        if (weight > room) weight = room;
        room -= weight;
        vote[j] = there ? weight * pow((double)similarity[j], (double)p->power) : 0.0;
        sum += vote[j];
    }
    return sum;
}

static int add_votes(const skx_voters *v, const skx_combine_params *p, const int32_t *neighbor, const float *similarity,
                     double *vote, mentions *m)
{
    double sum = weigh_votes(v, p, neighbor, similarity, vote);
    for (int64_t j = 0; j < p->n_neighbors; j++) {
        if (!(vote[j] > 0.0) || !(sum > 0.0)) continue;
        span s = span_of(v->label_ptr, neighbor[j], v->n_entries);
        if (!reserve(m, m->n + s.end - s.begin)) return SKX_ENOMEM;
        for (int64_t e = s.begin; e < s.end; e++)
            if (v->label[e] >= 0 && v->label[e] < v->n_labels)
                mention_label(m, v->label[e], (float)(p->vote_share * vote[j] / sum));
    }
    return SKX_OK;
}

/* Add up what was said of each label and keep the best. */
static void add_up(const mentions *m, const skx_combine_params *p, selector *best)
{
    qsort(m->all, (size_t)m->n, sizeof *m->all, compare);
    for (int64_t i = 0, next; i < m->n; i = next) {
        float score = 0.0f;
        for (next = i; next < m->n && m->all[next].label == m->all[i].label; next++) score += m->all[next].score;
        if (score >= p->floor) selector_push(best, key_make(score, m->all[i].label));
    }
    skx_selector_finish(best);
}

static void write_row(const selector *best, int64_t k, int32_t *labels, float *scores)
{
    for (int64_t j = 0; j < k; j++) {
        labels[j] = j < best->n ? key_id(best->keys[j]) : -1;
        scores[j] = j < best->n ? key_score(best->keys[j]) : -INFINITY;
    }
}

int skx_combine(const skx_voters *voters, const skx_combine_params *params, int64_t n_rows, int64_t n_listed, float list_weight,
                const int32_t *listed, const float *listed_scores, const int32_t *neighbor, const float *similarity,
                int32_t *labels, float *scores)
{
    int64_t k = params->k, q = params->n_neighbors;
    if (k < 1 || n_rows < 0 || n_listed < 0 || q < 0 || (q > 0 && !voters)) return SKX_EARG;
    mentions m = {0};
    double *vote = malloc((size_t)(q + 1) * sizeof *vote);
    m.keys = malloc(2 * (size_t)k * sizeof *m.keys);
    int status = vote && m.keys && reserve(&m, n_listed + 1) ? SKX_OK : SKX_ENOMEM;
    for (int64_t i = 0; i < n_rows && status == SKX_OK; i++) {
        m.n = 0;
        for (int64_t j = i * n_listed; j < (i + 1) * n_listed; j++)
            if (listed[j] >= 0) mention_label(&m, listed[j], list_weight * listed_scores[j]);
        if (q > 0) status = add_votes(voters, params, neighbor + i * q, similarity + i * q, vote, &m);
        selector best = selector_make(m.keys, k);
        if (status == SKX_OK) add_up(&m, params, &best);
        write_row(&best, k, labels + i * k, scores + i * k);
    }
    free(vote);
    free(m.keys);
    free(m.all);
    return status;
}

int skx_mix_row(const skx_voters *voters, const skx_neighbor_params *search, const skx_combine_params *params,
                const int32_t *indices, const float *data, int64_t n, int64_t n_listed, int64_t n_looked_up, float list_weight,
                const int32_t *listed, const float *listed_scores, int32_t *labels, float *scores)
{
    if (search->n_neighbors < 1 || search->n_neighbors != params->n_neighbors || n < 0 || n_looked_up > n_listed) return SKX_EARG;
    const int64_t indptr[2] = {0, n};
    const skx_csr row = {1, INT32_MAX, indptr, indices, data};
    size_t q = (size_t)search->n_neighbors;
    int32_t *neighbor = malloc(q * sizeof *neighbor);
    float *similarity = malloc(q * sizeof *similarity);
    int status = neighbor && similarity ? SKX_OK : SKX_ENOMEM;
    if (status == SKX_OK) status = skx_find_neighbors(voters, &row, search, 0, 1, n_looked_up, listed, neighbor, similarity);
    if (status == SKX_OK)
        status = skx_combine(voters, params, 1, n_listed, list_weight, listed, listed_scores, neighbor, similarity, labels, scores);
    free(neighbor);
    free(similarity);
    return status;
}
