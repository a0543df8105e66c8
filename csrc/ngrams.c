/* N-grams of texts as rows of a matrix: counting them, and what the counts are multiplied with. */
#include "pieces.h"
#include "terms.h"

#include <math.h>
#include <stdlib.h>

/* A row while it is made. An entry's key holds its column in the upper half and, in the lower one, what is needed next. */
typedef struct {
    int64_t n;
    int64_t capacity;
    uint64_t *keys;
    uint64_t *spare; /* capacity, for sorting */
    double *values;  /* capacity */
} row;

static int row_reserve(row *r, int64_t n)
{
    if (n <= r->capacity) return SKX_OK;
    int64_t capacity = n + n / 2 + 256;
    uint64_t *keys = malloc((size_t)capacity * (2 * sizeof *r->keys + sizeof *r->values));
    if (!keys) return SKX_ENOMEM;
    double *values = (double *)(keys + 2 * capacity);
    if (r->n) memcpy(keys, r->keys, (size_t)r->n * sizeof *keys);
    if (r->n) memcpy(values, r->values, (size_t)r->n * sizeof *values);
    free(r->keys);
    r->keys = keys;
    r->spare = keys + capacity;
    r->values = values;
    r->capacity = capacity;
    return SKX_OK;
}

static inline int32_t column_of(uint64_t key) { return (int32_t)(key >> 32); }

/* Sort by column, by as many bytes of it as differ; stable. spare is scratch. */
static void radix_sort(uint64_t *keys, uint64_t *spare, int64_t n)
{
    uint64_t differ = 0, *from = keys, *to = spare;
    for (int64_t i = 1; i < n; i++) differ |= keys[i] ^ keys[0];
    for (int shift = 32; shift < 64; shift += 8) {
        int64_t begin[257] = {0};
        if (!(differ >> shift & 0xff)) continue;
        for (int64_t i = 0; i < n; i++) begin[(from[i] >> shift & 0xff) + 1]++;
        for (int b = 0; b < 256; b++) begin[b + 1] += begin[b];
        for (int64_t i = 0; i < n; i++) to[begin[from[i] >> shift & 0xff]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, (size_t)n * sizeof *keys);
}

enum { FEW = 32 }; /* entries up to which comparing all with all, which takes no branches, is faster; a multiple of 8 */

static void rank_sort(uint64_t *keys, uint64_t *spare, int64_t n)
{
    int32_t columns[FEW], taken[FEW] = {0};
    int64_t padded = (n + 7) / 8 * 8;
    for (int64_t i = 0; i < padded; i++) columns[i] = i < n ? column_of(keys[i]) : INT32_MAX;
    for (int64_t i = 0; i < n; i++) {
        int32_t below = 0;
        for (int64_t j = 0; j < padded; j += 8)
            for (int64_t k = j; k < j + 8; k++) below += columns[k] < columns[i];
        spare[below + taken[below]++] = keys[i];
    }
    memcpy(keys, spare, (size_t)n * sizeof *keys);
}

static void sort_by_column(uint64_t *keys, uint64_t *spare, int64_t n)
{
    if (n > FEW) radix_sort(keys, spare, n);
    else if (n > 1) rank_sort(keys, spare, n);
}

/* ---- counting ---- */

/* How an n-gram becomes an entry: its column, and where new n-grams go. */
typedef struct {
    skx_terms *terms;
    int learn;
    int64_t first;  /* the column of term 0 */
    int64_t stride; /* between the columns of terms */
} counter;

/* Terms lie anywhere: fetch where the search for all n-grams of a group begins before any of them is searched. */
static inline __attribute__((always_inline)) void prefetch_terms(const skx_terms *t, const uint64_t *hash, int64_t n)
{
    uint64_t mask = (uint64_t)t->n_slots - 1;
    for (int64_t i = 0; i < n; i++) __builtin_prefetch(t->slots + (hash[i] & mask));
    for (int64_t i = 0; i < n; i++) { /* an unused slot leads nowhere, which does no harm */
        uintptr_t term = (uint32_t)t->slots[hash[i] & mask].term;
        __builtin_prefetch((const void *)((uintptr_t)t->ptr + term * sizeof *t->ptr));
    }
}

static int count_ngram(const counter *c, const uint8_t *s, int64_t n, uint64_t hash, int64_t position, row *r)
{
    int64_t slot = 0;
    int32_t term = terms_find(c->terms, s, n, hash, &slot);
    if (term < 0) {
        if (!c->learn) return SKX_OK;
        int status = terms_insert(c->terms, s, n, hash, slot);
        if (status) return status;
        term = (int32_t)c->terms->n_terms - 1;
    }
    r->keys[r->n++] = (uint64_t)(c->first + term * c->stride) << 32 | (uint64_t)position;
    return SKX_OK;
}

/* The n-grams of one length, where a group that is too short may give itself. *position counts them. */
static int count_group(const counter *c, const pieces *p, int64_t g, int64_t n, int whole, int64_t *position, row *r)
{
    int64_t first = p->group[g], length = p->group[g + 1] - first;
    if (length < n && (!whole || length == 0)) return SKX_OK;
    int64_t width = length < n ? length : n, count = length - width + 1;
    int status = row_reserve(r, r->n + count);
    if (status) return status;
    const uint32_t *start = p->start + first, *end = p->end + first + width - 1;
    uint64_t *hash = r->spare;
    for (int64_t i = 0; i < count; i++) hash[i] = terms_hash(p->bytes + start[i], end[i] - start[i]);
    prefetch_terms(c->terms, hash, count);
    for (int64_t i = 0; i < count && status == SKX_OK; i++)
        status = count_ngram(c, p->bytes + start[i], end[i] - start[i], hash[i], (*position)++, r);
    return status;
}

/* Entries of equal columns become one: their number, or the sum of 1 / (1 + position). Those before `from` are done. */
static void merge_equal(row *r, int64_t from, int position_weighted)
{
    int64_t n = from;
    for (int64_t i = from; i < r->n; i++) {
        double weight = position_weighted ? 1.0 / (1.0 + (double)(uint32_t)r->keys[i]) : 1.0;
        if (n > from && column_of(r->keys[n - 1]) == column_of(r->keys[i])) {
            r->values[n - 1] += weight;
        } else {
            r->keys[n] = r->keys[i];
            r->values[n++] = weight;
        }
    }
    for (int64_t i = from; i < n; i++) r->values[i] = (float)r->values[i]; /* as the matrix of counts has them */
    r->n = n;
}

/* Append one block's n-grams of a text to its row. */
static int count_text(const skx_ngram_params *params, const counter *c, const uint8_t *text, int64_t n, pieces *p, row *r)
{
    int words = params->analyzer == SKX_CHAR_WB || params->analyzer == SKX_CHAR_END, status = SKX_OK;
    int64_t from = r->n, least = params->min_n;
    pieces_cut(params, text, n, p);
    for (int64_t size = least; size <= params->max_n && (size <= p->longest || size == least); size++) {
        int64_t position = 0;
        for (int64_t g = 0; g < p->n_groups && status == SKX_OK; g++)
            status = count_group(c, p, g, size, words && size == least, &position, r);
        if (status) return status;
    }
    sort_by_column(r->keys + from, r->spare, r->n - from);
    merge_equal(r, from, params->position_weighted);
    return SKX_OK;
}

/* Append a row to the matrix. */
static int store(const row *r, int64_t i, int64_t capacity, int64_t *indptr, int32_t *indices, float *data)
{
    int64_t used = indptr[i];
    if (r->n > capacity - used) return SKX_ECAPACITY;
    for (int64_t e = 0; e < r->n; e++) {
        indices[used + e] = column_of(r->keys[e]);
        data[used + e] = (float)r->values[e];
    }
    indptr[i + 1] = used + r->n;
    return SKX_OK;
}

static int start(const skx_texts *texts, int64_t lo, int64_t hi, pieces *p)
{
    int64_t longest = 0;
    if (lo < 0 || lo > hi || hi > texts->n_texts) return SKX_EARG;
    for (int64_t i = lo; i < hi; i++) {
        int64_t begin = texts->ptr[i], end = texts->ptr[i + 1];
        if (begin < 0 || begin > end || end > texts->n_bytes) return SKX_EPOINTER;
        if (end - begin > SKX_MOST_TEXT) return SKX_EARG;
        if (end - begin > longest) longest = end - begin;
    }
    return pieces_init(p, longest);
}

int skx_ngrams_learn(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, int64_t lo, int64_t hi,
                     int64_t capacity, skx_terms *terms, int64_t *done, int64_t *indptr, int32_t *indices, float *data)
{
    pieces p = {0};
    row r = {0};
    *done = lo;
    indptr[0] = 0;
    int status = start(texts, lo, hi, &p);
    for (int64_t i = lo; i < hi && status == SKX_OK; i++) {
        const uint8_t *text = texts->bytes + texts->ptr[i];
        r.n = 0;
        for (int64_t b = 0; b < n_blocks && status == SKX_OK; b++) {
            counter c = {terms + b, 1, b, n_blocks};
            status = count_text(params + b, &c, text, texts->ptr[i + 1] - texts->ptr[i], &p, &r);
        }
        if (status == SKX_OK) status = store(&r, i - lo, capacity, indptr, indices, data);
        if (status == SKX_OK) *done = i + 1;
    }
    free(r.keys);
    pieces_free(&p);
    return status;
}

/* ---- weights ---- */

static void normalise(double *values, int64_t n, int norm)
{
    double sum = 0.0;
    if (norm == SKX_NORM_NONE) return;
    for (int64_t e = 0; e < n; e++) sum += norm == SKX_NORM_L1 ? fabs(values[e]) : values[e] * values[e];
    if (norm == SKX_NORM_L2) sum = sqrt(sum);
    if (sum <= 0.0) return;
    for (int64_t e = 0; e < n; e++) values[e] /= sum;
}

/* From counts to weights: of a block's entries, those of a row from `from` on. */
static void weigh_block(const skx_ngram_weights *w, int64_t from, row *r)
{
    for (int64_t e = from; e < r->n; e++) {
        if (w->sublinear) r->values[e] = 1.0 + log(r->values[e]);
        if (w->idf) r->values[e] *= w->idf[column_of(r->keys[e])];
    }
    normalise(r->values + from, r->n - from, w->block_norm);
}

int skx_ngrams_transform(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, const skx_terms *terms,
                         const skx_ngram_weights *weights, int64_t lo, int64_t hi, int64_t capacity, int64_t *done,
                         int64_t *indptr, int32_t *indices, float *data)
{
    pieces p = {0};
    row r = {0};
    *done = lo;
    indptr[0] = 0;
    int status = start(texts, lo, hi, &p);
    for (int64_t i = lo; i < hi && status == SKX_OK; i++) {
        const uint8_t *text = texts->bytes + texts->ptr[i];
        int64_t first = 0;
        r.n = 0;
        for (int64_t b = 0; b < n_blocks && status == SKX_OK; first += terms[b++].n_terms) {
            skx_terms known = terms[b];
            counter c = {&known, 0, first, 1};
            int64_t from = r.n;
            status = count_text(params + b, &c, text, texts->ptr[i + 1] - texts->ptr[i], &p, &r);
            if (status == SKX_OK) weigh_block(weights, from, &r);
        }
        normalise(r.values, r.n, weights->norm);
        if (status == SKX_OK) status = store(&r, i - lo, capacity, indptr, indices, data);
        if (status == SKX_OK) *done = i + 1;
    }
    free(r.keys);
    pieces_free(&p);
    return status;
}

/* Give a row of counts its final columns, without entries that have none. */
static void renumber(const int32_t *indices, const float *data, int64_t n, const int32_t *column, row *r)
{
    r->n = 0;
    for (int64_t e = 0; e < n; e++)
        if (column[indices[e]] >= 0) r->keys[r->n++] = (uint64_t)column[indices[e]] << 32 | (uint64_t)e;
    sort_by_column(r->keys, r->spare, r->n);
    for (int64_t e = 0; e < r->n; e++) r->values[e] = data[(uint32_t)r->keys[e]];
}

static void weigh_row(int64_t n_blocks, const int64_t *block_end, const skx_ngram_weights *weights, row *r)
{
    int64_t all = r->n, from = 0;
    for (int64_t b = 0; b < n_blocks; b++, from = r->n) {
        for (r->n = from; r->n < all && column_of(r->keys[r->n]) < block_end[b];) r->n++;
        weigh_block(weights, from, r);
    }
    r->n = all;
    normalise(r->values, r->n, weights->norm);
}

int skx_ngrams_weigh(int64_t n_rows, int64_t n_blocks, const int64_t *block_end, const int32_t *column,
                     const skx_ngram_weights *weights, int64_t *indptr, int32_t *indices, float *data)
{
    row r = {0};
    int status = SKX_OK;
    int64_t begin = indptr[0];
    for (int64_t i = 0; i < n_rows && status == SKX_OK; i++) {
        int64_t n = indptr[i + 1] - begin;
        r.n = 0;
        status = row_reserve(&r, n);
        if (status) break;
        renumber(indices + begin, data + begin, n, column, &r);
        weigh_row(n_blocks, block_end, weights, &r);
        begin = indptr[i + 1];
        status = store(&r, i, begin, indptr, indices, data);
    }
    free(r.keys);
    return status;
}
