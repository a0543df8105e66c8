/* N-grams of texts as rows of a matrix: their counts, and the weights that are computed from these. */
#include "base/cancel.h"
#include "text/terms.h"
#include "text/tokens.h"

#include <math.h>
#include <stdlib.h>

/* A row in progress. The upper half of an entry's key is its column; the lower half is what the next step needs. */
typedef struct {
    int64_t n;
    int64_t capacity; /* of each of the arrays */
    uint64_t *keys;
    uint64_t *unsorted; /* keys, before they are sorted into `keys` */
    double *values;
} ngram_row;

/* Make the capacity at least n. Each array is an allocation of its own, because large ones are extended without a copy.
 * @return SKX_OK, or SKX_ENOMEM. */
static int row_reserve(ngram_row *r, int64_t n)
{
    if (n <= r->capacity) return SKX_OK;
    int64_t capacity = n + n / 2 + 256;
    uint64_t *keys = realloc(r->keys, (size_t)capacity * sizeof *keys);
    if (!keys) return SKX_ENOMEM;
    r->keys = keys;
    uint64_t *unsorted = realloc(r->unsorted, (size_t)capacity * sizeof *unsorted);
    if (!unsorted) return SKX_ENOMEM;
    r->unsorted = unsorted;
    double *values = realloc(r->values, (size_t)capacity * sizeof *values);
    if (!values) return SKX_ENOMEM;
    r->values = values;
    r->capacity = capacity;
    return SKX_OK;
}

static void row_free(ngram_row *r)
{
    free(r->keys);
    free(r->unsorted);
    free(r->values);
}

static inline int32_t column_of(uint64_t key) { return (int32_t)(key >> 32); }

/* Radix sort by the bytes of the column that differ. */
static void radix_sort(uint64_t *from, uint64_t *to, int64_t n)
{
    uint64_t differ = 0, *out = to;
    for (int64_t i = 1; i < n; i++) differ |= from[i] ^ from[0];
    for (int shift = 32; shift < 64; shift += 8) {
        uint32_t begin[257] = {0};
        if (!(differ >> shift & 0xff)) continue;
        for (int64_t i = 0; i < n; i++) begin[(from[i] >> shift & 0xff) + 1]++;
        for (int b = 0; b < 256; b++) begin[b + 1] += begin[b];
        for (int64_t i = 0; i < n; i++) to[begin[from[i] >> shift & 0xff]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != out) memcpy(out, from, (size_t)n * sizeof *out);
}

enum { FEW = 32 }; /* entries that rank_sort, which has no branches, is faster for; a multiple of 8 */

static void rank_sort(const uint64_t *from, uint64_t *to, int64_t n)
{
    int32_t columns[FEW], taken[FEW] = {0};
    int64_t padded = (n + 7) / 8 * 8;
    for (int64_t i = 0; i < padded; i++) columns[i] = i < n ? column_of(from[i]) : INT32_MAX;
    for (int64_t i = 0; i < n; i++) {
        int32_t below = 0;
        for (int64_t j = 0; j < padded; j += 8)
            for (int64_t k = j; k < j + 8; k++) below += columns[k] < columns[i];
        to[below + taken[below]++] = from[i];
    }
}

/* Sort by column, into `to`. Stable. Overwrites `from`. */
static void sort_by_column(uint64_t *from, uint64_t *to, int64_t n)
{
    if (n > FEW)
        radix_sort(from, to, n);
    else
        rank_sort(from, to, n);
}

/* ---- weights ---- */

static void normalize(double *values, int64_t n, int norm)
{
    double sum = 0.0;
    if (norm == SKX_NORM_NONE) return;
    for (int64_t e = 0; e < n; e++) sum += norm == SKX_NORM_L1 ? fabs(values[e]) : values[e] * values[e];
    if (norm == SKX_NORM_L2) sum = sqrt(sum);
    if (sum <= 0.0) return;
    for (int64_t e = 0; e < n; e++) values[e] /= sum;
}

/* Convert counts to weights: those of a block, whose entries are those of the row from `begin` on. */
static void weigh_block(const skx_ngram_weights *w, int64_t begin, ngram_row *r)
{
    for (int64_t e = begin; e < r->n; e++) {
        if (w->sublinear) r->values[e] = 1.0 + log(r->values[e]);
        if (w->idf) r->values[e] *= w->idf[column_of(r->keys[e])];
    }
    normalize(r->values + begin, r->n - begin, w->block_norm);
}

/* ---- counting ---- */

/* An n-gram of a text; or, if it has no bytes, the end of the n-grams of a block in a text. */
typedef struct {
    uint64_t hash;
    uint32_t start; /* in the bytes of the tokens */
    uint32_t length;
    uint32_t position;
    int32_t block;
    int32_t term;
} ngram;

/* Terms lie anywhere in memory, and a text has few n-grams: so many, of several texts, are prefetched before any is looked up. */
enum { QUEUE = 256 };

typedef struct {
    const skx_texts *texts;
    int64_t n_blocks;
    const skx_ngram_params *params;
    const skx_terms *terms;           /* one for each block */
    skx_terms *learned;               /* the same; NULL to skip unknown n-grams */
    skx_column_use *uses;             /* if n-grams are learned */
    const skx_ngram_weights *weights; /* if they are not */
    skx_csr_buffers *rows;
    int64_t n_rows;       /* finished rows */
    int64_t first_column; /* of the block */
    int64_t begin;        /* of the block's entries in the row */
    bool dense;           /* whether n-grams are counted in sums[]; see list_long_text */
    double *sums;         /* of each term of the block, zeros between blocks; sums_capacity of them */
    int64_t sums_capacity;
    skx_ngram_progress *progress;
    skx_tokens tokens;
    ngram_row row;
    int64_t n_queued;
    ngram queue[QUEUE];
} counter;

/* Write row i of the output. @return SKX_OK, or SKX_ECAPACITY. */
static int store(const ngram_row *r, int64_t i, int64_t capacity, skx_csr_buffers *rows)
{
    int64_t used = rows->indptr[i];
    if (r->n > capacity - used) return SKX_ECAPACITY;
    for (int64_t e = 0; e < r->n; e++) {
        rows->indices[used + e] = column_of(r->keys[e]);
        rows->data[used + e] = (float)r->values[e];
    }
    rows->indptr[i + 1] = used + r->n;
    return SKX_OK;
}

/* Write the row, and start the next one. @return SKX_OK, or SKX_ECAPACITY. */
static int end_row(counter *c)
{
    int status = store(&c->row, c->n_rows, c->rows->capacity, c->rows);
    if (status != SKX_OK) {
        c->progress->entries = c->row.n;
        return status;
    }
    c->n_rows++;
    c->row.n = 0;
    c->first_column = 0;
    c->begin = 0;
    return SKX_OK;
}

static inline double weight_of(const skx_ngram_params *params, uint32_t position)
{
    double weight = params->occurrence == SKX_COUNT_BY_POSITION ? 1.0 / (1.0 + position) : 1.0;
    return position < params->lead_length ? weight * params->lead_weight : weight;
}

/* The value of an occurrence that is not the first one in its text. */
static inline double weight_again(const skx_ngram_params *params, uint32_t position)
{
    return params->occurrence == SKX_COUNT_FIRST ? 0.0 : weight_of(params, position);
}

static const uint8_t *bytes_of(const counter *c, const ngram *g) { return c->tokens.bytes + g->start; }

/* ---- learning: the use of a column has the position of its entry in the row ---- */

/* Find a term, or append it. @return SKX_OK, or SKX_ECAPACITY. */
static int learn_ngram(counter *c, ngram *g)
{
    skx_terms *terms = c->learned + g->block;
    int64_t slot = 0;
    g->term = terms_find(terms, bytes_of(c, g), g->length, g->hash, &slot);
    if (g->term < 0) {
        int status = skx_terms_insert(terms, bytes_of(c, g), g->length, g->hash, slot);
        if (status != SKX_OK) {
            c->progress->block = g->block;
            c->progress->bytes = g->length;
            return status;
        }
        g->term = (int32_t)terms->n_terms - 1;
    }
    __builtin_prefetch(c->uses + g->term * c->n_blocks + g->block, 1);
    return SKX_OK;
}

static inline void add_learned(counter *c, const ngram *g)
{
    ngram_row *r = &c->row;
    int64_t column = g->term * c->n_blocks + g->block;
    uint64_t key = (uint64_t)column << 32;
    skx_column_use *use = c->uses + column;
    if (use->entry < r->n && r->keys[use->entry] == key) {
        r->values[use->entry] += weight_again(c->params + g->block, g->position);
        return;
    }
    use->entry = (uint32_t)r->n;
    r->keys[r->n] = key;
    r->values[r->n++] = weight_of(c->params + g->block, g->position);
}

/* @return SKX_OK, or SKX_ECAPACITY. */
static int end_learned_block(counter *c, int32_t block)
{
    int64_t n = c->row.n;
    if (block < c->n_blocks - 1) return SKX_OK;
    int status = end_row(c);
    for (int64_t e = 0; e < n && status == SKX_OK; e++) c->uses[column_of(c->row.keys[e])].n_texts++;
    return status;
}

/* ---- known n-grams: entries are sorted, and equal ones merged ---- */

static void find_ngram(const counter *c, ngram *g)
{
    int64_t slot;
    g->term = terms_find(c->terms + g->block, bytes_of(c, g), g->length, g->hash, &slot);
}

static inline void add_known(counter *c, const ngram *g)
{
    if (c->dense) {
        if (g->term < 0) return;
        const skx_ngram_params *params = c->params + g->block;
        double *sum = c->sums + g->term;
        *sum += *sum > 0.0 ? weight_again(params, g->position) : weight_of(params, g->position);
        return;
    }
    c->row.unsorted[c->row.n] = (uint64_t)(c->first_column + g->term) << 32 | g->position;
    c->row.n += g->term >= 0;
}

/* Merge the entries of equal columns, from `begin` on: their value is the sum of the values of the occurrences. */
static void merge_equal(const skx_ngram_params *params, ngram_row *r, int64_t begin)
{
    int64_t n = begin;
    for (int64_t i = begin; i < r->n; i++) {
        uint32_t position = (uint32_t)r->keys[i];
        if (n > begin && column_of(r->keys[n - 1]) == column_of(r->keys[i])) {
            r->values[n - 1] += weight_again(params, position);
        } else {
            r->keys[n] = r->keys[i];
            r->values[n++] = weight_of(params, position);
        }
    }
    for (int64_t i = begin; i < n; i++) r->values[i] = (float)r->values[i]; /* as in the matrix of counts */
    r->n = n;
}

/* Append the sums that are not 0 to the row, in the order of their columns, and set them to 0. @return SKX_OK, or SKX_ENOMEM. */
static int take_sums(counter *c, int64_t n_terms)
{
    ngram_row *r = &c->row;
    int64_t n = 0;
    for (int64_t t = 0; t < n_terms; t++) n += c->sums[t] > 0.0;
    int status = row_reserve(r, r->n + n);
    if (status != SKX_OK) return status;
    for (int64_t t = 0; t < n_terms; t++) {
        if (c->sums[t] <= 0.0) continue;
        r->keys[r->n] = (uint64_t)(c->first_column + t) << 32;
        r->values[r->n++] = (float)c->sums[t];
        c->sums[t] = 0.0;
    }
    return SKX_OK;
}

/* @return SKX_OK, SKX_ENOMEM or SKX_ECAPACITY. */
static int end_known_block(counter *c, int32_t block)
{
    ngram_row *r = &c->row;
    if (c->dense) {
        int status = take_sums(c, c->terms[block].n_terms);
        if (status != SKX_OK) return status;
    } else {
        sort_by_column(r->unsorted + c->begin, r->keys + c->begin, r->n - c->begin);
        merge_equal(c->params + block, r, c->begin);
    }
    weigh_block(c->weights, c->begin, r);
    c->begin = r->n;
    c->first_column += c->terms[block].n_terms;
    if (block < c->n_blocks - 1) return SKX_OK;
    normalize(r->values, r->n, c->weights->norm);
    return end_row(c);
}

/* ---- both ---- */

/* @return SKX_OK, or SKX_ECAPACITY. */
static int find(counter *c, ngram *g)
{
    if (g->length == 0) return SKX_OK;
    if (c->learned) return learn_ngram(c, g);
    find_ngram(c, g);
    return SKX_OK;
}

/* Add an n-gram to the row, or end the row. @return SKX_OK, SKX_ENOMEM or SKX_ECAPACITY. */
static inline int add(counter *c, const ngram *g)
{
    if (g->length == 0) return c->learned ? end_learned_block(c, g->block) : end_known_block(c, g->block);
    if (c->learned)
        add_learned(c, g);
    else
        add_known(c, g);
    return SKX_OK;
}

/* Look up the queued n-grams and add them to their rows. Where a term has no capacity, the n-grams before it are still added, so
 * that the rows before it are complete. @return SKX_OK, or the status of the first n-gram that could not be added. */
static int flush_queue(counter *c)
{
    int64_t n = c->n_queued, n_found = 0;
    c->n_queued = 0;
    if (skx_cancelled(c->progress->cancel)) return SKX_ECANCELLED;
    int found = SKX_OK, status = row_reserve(&c->row, c->row.n + n);
    for (int64_t i = 0; i < n; i++) terms_prefetch(c->terms + c->queue[i].block, c->queue[i].hash, c->queue[i].length);
    while (n_found < n && (found = find(c, c->queue + n_found)) == SKX_OK) n_found++;
    for (int64_t i = 0; i < n_found && status == SKX_OK; i++) status = add(c, c->queue + i);
    return status == SKX_OK ? found : status;
}

/* @return SKX_OK, or the status of flush_queue. */
static inline int enqueue(counter *c, ngram g)
{
    int status = c->n_queued == QUEUE ? flush_queue(c) : SKX_OK;
    c->queue[c->n_queued++] = g;
    return status;
}

/* Enqueue the n-grams of n tokens of a group. If `whole`, a group of fewer tokens is one n-gram. *position counts the n-grams.
 * @return SKX_OK, or the status of flush_queue. */
static int list_group(counter *c, int32_t block, int64_t group, int64_t n, bool whole, uint32_t *position)
{
    const skx_tokens *tokens = &c->tokens;
    int64_t first = tokens->group[group], length = tokens->group[group + 1] - first;
    if (length < n && (!whole || length == 0)) return SKX_OK;
    int64_t width = length < n ? length : n;
    const uint32_t *start = tokens->start + first, *end = start + width;
    int status = SKX_OK;
    for (int64_t i = 0; i + width <= length && status == SKX_OK; i++) {
        uint32_t bytes = end[i] - start[i] - (uint32_t)tokens->gap;
        uint64_t hash = terms_hash(tokens->bytes + start[i], bytes);
        terms_prefetch_slot(c->terms + block, hash);
        status = enqueue(c, (ngram){hash, start[i], bytes, (*position)++, block, -1});
    }
    return status;
}

/* Enqueue the n-grams of a block in a text, and their end. @return SKX_OK, or the status of flush_queue. */
static int list_text(counter *c, int32_t block, int64_t text)
{
    const skx_ngram_params *params = c->params + block;
    skx_tokens *tokens = &c->tokens;
    int64_t begin = c->texts->ptr[text], n = c->texts->ptr[text + 1] - begin, min_n = params->min_n;
    bool words = params->analyzer == SKX_CHAR_WB || params->analyzer == SKX_CHAR_END;
    int status = SKX_OK;
    if (!skx_tokens_fit(tokens, n)) {
        status = flush_queue(c);
        if (status != SKX_OK) return status;
        tokens->n_bytes = 0;
    }
    skx_tokenize(params, c->texts->bytes + begin, n, c->texts->n_bytes - begin, tokens);
    for (int64_t size = min_n; size <= params->max_n && (size <= tokens->longest || size == min_n); size++) {
        uint32_t position = 0;
        for (int64_t g = 0; g < tokens->n_groups && status == SKX_OK; g++)
            status = list_group(c, block, g, size, words && size == min_n, &position);
    }
    return status == SKX_OK ? enqueue(c, (ngram){.block = block}) : status;
}

enum { LONG_TEXT = 1 << 16, TERMS_PER_BYTE = 8 };

/* @return whether a text has so many n-grams that one sum per term takes less memory and time than one entry per n-gram. */
static bool is_long(const counter *c, int32_t block, int64_t text)
{
    int64_t n = c->texts->ptr[text + 1] - c->texts->ptr[text];
    return !c->learned && n >= LONG_TEXT && c->terms[block].n_terms / TERMS_PER_BYTE <= n;
}

/* @return SKX_OK, or SKX_ENOMEM. */
static int reserve_sums(counter *c, int64_t n)
{
    if (n <= c->sums_capacity) return SKX_OK;
    free(c->sums);
    c->sums = calloc((size_t)n, sizeof *c->sums);
    c->sums_capacity = c->sums ? n : 0;
    return c->sums ? SKX_OK : SKX_ENOMEM;
}

/* Do what list_text does, with a sum per term. @return SKX_OK, or the status of flush_queue. */
static int list_long_text(counter *c, int32_t block, int64_t text)
{
    int status = flush_queue(c);
    if (status == SKX_OK) status = reserve_sums(c, c->terms[block].n_terms);
    if (status != SKX_OK) return status;
    c->dense = true;
    status = list_text(c, block, text);
    if (status == SKX_OK) status = flush_queue(c);
    c->dense = false;
    return status;
}

/* Check the texts, and allocate the tokens. @return SKX_OK, SKX_EARG, SKX_EPOINTER or SKX_ENOMEM. */
static int prepare(const skx_texts *texts, int64_t begin, int64_t end, skx_tokens *tokens)
{
    int64_t longest = 0;
    if (begin < 0 || begin > end || end > texts->n_texts) return SKX_EARG;
    for (int64_t i = begin; i < end; i++) {
        int64_t from = texts->ptr[i], to = texts->ptr[i + 1];
        if (from < 0 || from > to || to > texts->n_bytes) return SKX_EPOINTER;
        if (to - from > SKX_MAX_TEXT_BYTES) return SKX_EARG;
        if (to - from > longest) longest = to - from;
    }
    return skx_tokens_init(tokens, longest, end > begin ? texts->ptr[end] - texts->ptr[begin] : 0);
}

/* Count the texts begin <= i < end, as far as there is capacity. @return as skx_ngrams_learn. */
static int count(counter *c, int64_t begin, int64_t end)
{
    c->rows->indptr[0] = 0;
    c->progress->entries = 0;
    c->progress->block = 0;
    c->progress->bytes = 0;
    int status = prepare(c->texts, begin, end, &c->tokens);
    for (int64_t i = begin; i < end && status == SKX_OK; i++)
        for (int32_t b = 0; b < c->n_blocks && status == SKX_OK; b++)
            status = is_long(c, b, i) ? list_long_text(c, b, i) : list_text(c, b, i);
    if (status == SKX_OK) status = flush_queue(c);
    c->progress->done = begin + c->n_rows;
    row_free(&c->row);
    free(c->sums);
    skx_tokens_free(&c->tokens);
    return status;
}

int skx_ngrams_learn(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, int64_t begin, int64_t end,
                     skx_terms *terms, skx_column_use *uses, skx_ngram_progress *progress, skx_csr_buffers *rows)
{
    counter c = {
        .texts = texts,
        .n_blocks = n_blocks,
        .params = params,
        .terms = terms,
        .learned = terms,
        .uses = uses,
        .progress = progress,
        .rows = rows,
    };
    return count(&c, begin, end);
}

int skx_ngrams_transform(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, const skx_terms *terms,
                         const skx_ngram_weights *weights, int64_t begin, int64_t end, skx_ngram_progress *progress,
                         skx_csr_buffers *rows)
{
    counter c = {
        .texts = texts,
        .n_blocks = n_blocks,
        .params = params,
        .terms = terms,
        .weights = weights,
        .progress = progress,
        .rows = rows,
    };
    return count(&c, begin, end);
}

/* ---- from counts to weights ---- */

/* Replace the columns of a row of counts by their new ones, and drop the entries without one. */
static void renumber(const int32_t *indices, const float *data, int64_t n, const int32_t *column, ngram_row *r)
{
    r->n = 0;
    for (int64_t e = 0; e < n; e++) {
        r->unsorted[r->n] = (uint64_t)column[indices[e]] << 32 | (uint64_t)e;
        r->n += column[indices[e]] >= 0;
    }
    sort_by_column(r->unsorted, r->keys, r->n);
    for (int64_t e = 0; e < r->n; e++) r->values[e] = data[(uint32_t)r->keys[e]];
}

static void weigh_row(int64_t n_blocks, const int64_t *block_end, const skx_ngram_weights *weights, ngram_row *r)
{
    int64_t n = r->n, begin = 0;
    for (int64_t b = 0; b < n_blocks; b++, begin = r->n) {
        for (r->n = begin; r->n < n && column_of(r->keys[r->n]) < block_end[b];) r->n++;
        weigh_block(weights, begin, r);
    }
    r->n = n;
    normalize(r->values, r->n, weights->norm);
}

int skx_ngrams_weigh(int64_t n_rows, int64_t n_blocks, const int64_t *block_end, const int32_t *column,
                     const skx_ngram_weights *weights, const int32_t *cancel, skx_csr_buffers *rows)
{
    ngram_row r = {0};
    int status = SKX_OK;
    int64_t begin = rows->indptr[0];
    for (int64_t i = 0; i < n_rows && status == SKX_OK; i++) {
        int64_t end = rows->indptr[i + 1];
        r.n = 0;
        status = skx_cancelled(cancel) ? SKX_ECANCELLED : row_reserve(&r, end - begin + 1);
        if (status != SKX_OK) break;
        renumber(rows->indices + begin, rows->data + begin, end - begin, column, &r);
        weigh_row(n_blocks, block_end, weights, &r);
        begin = end;
        status = store(&r, i, end, rows);
    }
    row_free(&r);
    return status;
}
