/* N-grams of texts as rows of a matrix: counting them, and what the counts are multiplied with. */
#include "base/cancel.h"
#include "pieces.h"
#include "terms.h"

#include <math.h>
#include <stdlib.h>

/* A row while it is made. An entry's key holds its column in the upper half and, in the lower one, what is needed next. */
typedef struct {
    int64_t n;
    int64_t capacity; /* of each of the arrays */
    uint64_t *keys;
    uint64_t *unsorted; /* keys that are sorted into `keys` later */
    double *values;
} row;

/* Each array by itself: what is long is lengthened without being copied, and what was never written stays no memory. */
static int row_reserve(row *r, int64_t n)
{
    if (n <= r->capacity) return SKX_OK;
    int64_t capacity = n + n / 2 + 256;
    uint64_t *keys = realloc(r->keys, (size_t)capacity * sizeof *keys);
    if (keys) r->keys = keys;
    uint64_t *unsorted = keys ? realloc(r->unsorted, (size_t)capacity * sizeof *unsorted) : NULL;
    if (unsorted) r->unsorted = unsorted;
    double *values = unsorted ? realloc(r->values, (size_t)capacity * sizeof *values) : NULL;
    if (!values) return SKX_ENOMEM;
    r->values = values;
    r->capacity = capacity;
    return SKX_OK;
}

static void row_free(row *r)
{
    free(r->keys);
    free(r->unsorted);
    free(r->values);
}

static inline int32_t column_of(uint64_t key) { return (int32_t)(key >> 32); }

/* Sort by as many bytes of the column as differ. */
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

enum { FEW = 32 }; /* entries up to which comparing all with all, which takes no branches, is faster; a multiple of 8 */

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

/* Sort by column, into `to`; stable. `from` is scratch afterwards. */
static void sort_by_column(uint64_t *from, uint64_t *to, int64_t n)
{
    if (n > FEW) radix_sort(from, to, n);
    else rank_sort(from, to, n);
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

/* ---- counting ---- */

/* An n-gram that is looked up before long; or, without any bytes, the end of what a block has in a text. */
typedef struct {
    uint64_t hash;
    uint32_t start; /* in the bytes of the pieces */
    uint32_t length;
    uint32_t position;
    int32_t block;
    int32_t term;
} ngram;

/* Terms lie anywhere, and a text has few n-grams: so many, of several texts, are fetched before any of them is looked at. */
enum { WAITING = 256 };

typedef struct {
    const skx_texts *texts;
    int64_t n_blocks;
    const skx_ngram_params *params;
    const skx_terms *terms;           /* one for each block */
    skx_terms *learnt;                /* the same, or NULL: unknown n-grams are passed over */
    skx_column_use *uses;             /* where n-grams are learnt */
    const skx_ngram_weights *weights; /* where they are not */
    int64_t capacity, *indptr;        /* the matrix; see skx_ngrams_learn */
    int32_t *indices;
    float *data;
    int64_t n_rows; /* that are done */
    int64_t first;  /* column of the block's term 0 */
    int64_t from;   /* entries of the row that are of the blocks before */
    int dense;      /* whether what waits is counted in sums[]; see list_long_text */
    double *sums;   /* of each term of the block, zeros between blocks; sums_capacity of them */
    int64_t sums_capacity;
    skx_ngram_progress *progress;
    pieces pieces;
    row row;
    int64_t n_waiting;
    ngram waiting[WAITING];
} counting;

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

static int end_row(counting *c)
{
    int status = store(&c->row, c->n_rows, c->capacity, c->indptr, c->indices, c->data);
    if (status) {
        c->progress->entries = c->row.n;
        return status;
    }
    c->n_rows++;
    c->row.n = c->first = c->from = 0;
    return SKX_OK;
}

static inline double weight_of(const skx_ngram_params *params, uint32_t position)
{
    return params->occurrence == SKX_COUNT_BY_POSITION ? 1.0 / (1.0 + position) : 1.0;
}

/* What is added where an n-gram occurs again. */
static inline double weight_again(const skx_ngram_params *params, uint32_t position)
{
    return params->occurrence == SKX_COUNT_FIRST ? 0.0 : weight_of(params, position);
}

static const uint8_t *bytes_of(const counting *c, const ngram *g) { return c->pieces.bytes + g->start; }

/* ---- learning: an n-gram remembers where its entry is, and the entry, whose it is ---- */

static int learn_ngram(counting *c, ngram *g)
{
    skx_terms *terms = c->learnt + g->block;
    int64_t slot = 0;
    g->term = terms_find(terms, bytes_of(c, g), g->length, g->hash, &slot);
    if (g->term < 0) {
        int status = terms_insert(terms, bytes_of(c, g), g->length, g->hash, slot);
        if (status) {
            c->progress->block = g->block;
            c->progress->bytes = g->length;
            return status;
        }
        g->term = (int32_t)terms->n_terms - 1;
    }
    __builtin_prefetch(c->uses + g->term * c->n_blocks + g->block, 1);
    return SKX_OK;
}

static inline void add_learnt(counting *c, const ngram *g)
{
    row *r = &c->row;
    int64_t column = g->term * c->n_blocks + g->block;
    uint64_t key = (uint64_t)column << 32;
    skx_column_use *use = c->uses + column;
    if (use->place < r->n && r->keys[use->place] == key) {
        r->values[use->place] += weight_again(c->params + g->block, g->position);
        return;
    }
    use->place = (uint32_t)r->n;
    r->keys[r->n] = key;
    r->values[r->n++] = weight_of(c->params + g->block, g->position);
}

static int end_learnt_block(counting *c, int32_t block)
{
    int64_t n = c->row.n;
    if (block < c->n_blocks - 1) return SKX_OK;
    int status = end_row(c);
    for (int64_t e = 0; e < n && status == SKX_OK; e++) c->uses[column_of(c->row.keys[e])].n_texts++;
    return status;
}

/* ---- known n-grams: entries are sorted, and equal ones merged ---- */

static int find_ngram(const counting *c, ngram *g)
{
    int64_t slot;
    g->term = terms_find(c->terms + g->block, bytes_of(c, g), g->length, g->hash, &slot);
    return SKX_OK;
}

static inline void add_known(counting *c, const ngram *g)
{
    if (c->dense && g->term >= 0) {
        const skx_ngram_params *params = c->params + g->block;
        double *sum = c->sums + g->term;
        *sum += *sum > 0.0 ? weight_again(params, g->position) : weight_of(params, g->position);
    }
    if (c->dense) return;
    c->row.unsorted[c->row.n] = (uint64_t)(c->first + g->term) << 32 | g->position;
    c->row.n += g->term >= 0;
}

/* Entries of equal columns become one: their number, or the sum of their weights. Those before `from` are done. */
static void merge_equal(const skx_ngram_params *params, row *r, int64_t from)
{
    int64_t n = from;
    for (int64_t i = from; i < r->n; i++) {
        uint32_t position = (uint32_t)r->keys[i];
        if (n > from && column_of(r->keys[n - 1]) == column_of(r->keys[i])) {
            r->values[n - 1] += weight_again(params, position);
        } else {
            r->keys[n] = r->keys[i];
            r->values[n++] = weight_of(params, position);
        }
    }
    for (int64_t i = from; i < n; i++) r->values[i] = (float)r->values[i]; /* as the matrix of counts has them */
    r->n = n;
}

/* Make entries of the sums that are not 0, in the order of their columns, and set these back. */
static int take_sums(counting *c, int64_t n_terms)
{
    row *r = &c->row;
    int64_t n = 0;
    for (int64_t t = 0; t < n_terms; t++) n += c->sums[t] > 0.0;
    int status = row_reserve(r, r->n + n);
    if (status) return status;
    for (int64_t t = 0; t < n_terms; t++) {
        if (c->sums[t] <= 0.0) continue;
        r->keys[r->n] = (uint64_t)(c->first + t) << 32;
        r->values[r->n++] = (float)c->sums[t];
        c->sums[t] = 0.0;
    }
    return SKX_OK;
}

static int end_known_block(counting *c, int32_t block)
{
    row *r = &c->row;
    if (c->dense) {
        int status = take_sums(c, c->terms[block].n_terms);
        if (status) return status;
    } else {
        sort_by_column(r->unsorted + c->from, r->keys + c->from, r->n - c->from);
        merge_equal(c->params + block, r, c->from);
    }
    weigh_block(c->weights, c->from, r);
    c->from = r->n;
    c->first += c->terms[block].n_terms;
    if (block < c->n_blocks - 1) return SKX_OK;
    normalise(r->values, r->n, c->weights->norm);
    return end_row(c);
}

/* ---- both ---- */

static int find(counting *c, ngram *g)
{
    if (g->length == 0) return SKX_OK;
    return c->learnt ? learn_ngram(c, g) : find_ngram(c, g);
}

static inline int add(counting *c, const ngram *g)
{
    if (g->length == 0) return c->learnt ? end_learnt_block(c, g->block) : end_known_block(c, g->block);
    if (c->learnt) add_learnt(c, g);
    else add_known(c, g);
    return SKX_OK;
}

/* Look up all that wait and bring them into their rows; in order, so that rows are whole up to where room is lacking. */
static int look_up(counting *c)
{
    int64_t n = c->n_waiting, n_found = 0;
    int found = SKX_OK, added = row_reserve(&c->row, c->row.n + n);
    c->n_waiting = 0;
    if (skx_cancelled(c->progress->cancel)) return SKX_ECANCELLED;
    for (int64_t i = 0; i < n; i++)
        terms_prefetch(c->terms + c->waiting[i].block, c->waiting[i].hash, c->waiting[i].length);
    while (n_found < n && (found = find(c, c->waiting + n_found)) == SKX_OK) n_found++;
    for (int64_t i = 0; i < n_found && added == SKX_OK; i++) added = add(c, c->waiting + i);
    return added ? added : found;
}

static inline int wait_for(counting *c, ngram g)
{
    int status = c->n_waiting == WAITING ? look_up(c) : SKX_OK;
    c->waiting[c->n_waiting++] = g;
    return status;
}

/* The n-grams of one length, where a group that is too short may give itself. *position counts them. */
static int list_group(counting *c, int32_t block, int64_t group, int64_t n, int whole, uint32_t *position)
{
    const pieces *p = &c->pieces;
    int64_t first = p->group[group], length = p->group[group + 1] - first;
    if (length < n && (!whole || length == 0)) return SKX_OK;
    int64_t width = length < n ? length : n;
    const uint32_t *start = p->start + first, *end = start + width;
    int status = SKX_OK;
    for (int64_t i = 0; i + width <= length && status == SKX_OK; i++) {
        uint32_t bytes = end[i] - start[i] - (uint32_t)p->gap;
        uint64_t hash = terms_hash(p->bytes + start[i], bytes);
        terms_prefetch_slot(c->terms + block, hash);
        status = wait_for(c, (ngram){hash, start[i], bytes, (*position)++, block, -1});
    }
    return status;
}

/* One block's n-grams of a text. */
static int list_text(counting *c, int32_t block, int64_t text)
{
    const skx_ngram_params *params = c->params + block;
    pieces *p = &c->pieces;
    int64_t begin = c->texts->ptr[text], n = c->texts->ptr[text + 1] - begin, least = params->min_n;
    int words = params->analyzer == SKX_CHAR_WB || params->analyzer == SKX_CHAR_END, status = SKX_OK;
    if (!pieces_fits(p, n)) {
        status = look_up(c);
        if (status) return status;
        p->n_bytes = 0;
    }
    pieces_cut(params, c->texts->bytes + begin, n, c->texts->n_bytes - begin, p);
    for (int64_t size = least; size <= params->max_n && (size <= p->longest || size == least); size++) {
        uint32_t position = 0;
        for (int64_t g = 0; g < p->n_groups && status == SKX_OK; g++)
            status = list_group(c, block, g, size, words && size == least, &position);
    }
    return status ? status : wait_for(c, (ngram){.block = block});
}

enum { LONG_TEXT = 1 << 16, TERMS_PER_BYTE = 8 };

/* Whether a text has so many n-grams that a sum for each known one takes less memory, and time, than the n-grams in a row. */
static int is_long(const counting *c, int32_t block, int64_t text)
{
    int64_t n = c->texts->ptr[text + 1] - c->texts->ptr[text];
    return !c->learnt && n >= LONG_TEXT && c->terms[block].n_terms / TERMS_PER_BYTE <= n;
}

static int reserve_sums(counting *c, int64_t n)
{
    if (n <= c->sums_capacity) return SKX_OK;
    free(c->sums);
    c->sums = calloc((size_t)n, sizeof *c->sums);
    c->sums_capacity = c->sums ? n : 0;
    return c->sums ? SKX_OK : SKX_ENOMEM;
}

static int list_long_text(counting *c, int32_t block, int64_t text)
{
    int status = look_up(c);
    if (status == SKX_OK) status = reserve_sums(c, c->terms[block].n_terms);
    if (status) return status;
    c->dense = 1;
    status = list_text(c, block, text);
    if (status == SKX_OK) status = look_up(c);
    c->dense = 0;
    return status;
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
    return pieces_init(p, longest, hi > lo ? texts->ptr[hi] - texts->ptr[lo] : 0);
}

/* Count the texts lo <= i < hi as far as there is room. */
static int count(counting *c, int64_t lo, int64_t hi)
{
    c->indptr[0] = c->progress->entries = c->progress->block = c->progress->bytes = 0;
    int status = start(c->texts, lo, hi, &c->pieces);
    for (int64_t i = lo; i < hi && status == SKX_OK; i++)
        for (int32_t b = 0; b < c->n_blocks && status == SKX_OK; b++)
            status = is_long(c, b, i) ? list_long_text(c, b, i) : list_text(c, b, i);
    if (status == SKX_OK) status = look_up(c);
    c->progress->done = lo + c->n_rows;
    row_free(&c->row);
    free(c->sums);
    pieces_free(&c->pieces);
    return status;
}

int skx_ngrams_learn(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, int64_t lo, int64_t hi,
                     int64_t capacity, skx_terms *terms, skx_column_use *uses, skx_ngram_progress *progress, int64_t *indptr,
                     int32_t *indices, float *data)
{
    counting c = {.texts = texts, .n_blocks = n_blocks, .params = params, .terms = terms, .learnt = terms, .uses = uses,
                  .progress = progress, .capacity = capacity, .indptr = indptr, .indices = indices, .data = data};
    return count(&c, lo, hi);
}

int skx_ngrams_transform(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, const skx_terms *terms,
                         const skx_ngram_weights *weights, int64_t lo, int64_t hi, int64_t capacity,
                         skx_ngram_progress *progress, int64_t *indptr, int32_t *indices, float *data)
{
    counting c = {.texts = texts, .n_blocks = n_blocks, .params = params, .terms = terms, .weights = weights,
                  .progress = progress, .capacity = capacity, .indptr = indptr, .indices = indices, .data = data};
    return count(&c, lo, hi);
}

/* ---- from counts to weights ---- */

/* Give a row of counts its final columns, without entries that have none. */
static void renumber(const int32_t *indices, const float *data, int64_t n, const int32_t *column, row *r)
{
    r->n = 0;
    for (int64_t e = 0; e < n; e++) {
        r->unsorted[r->n] = (uint64_t)column[indices[e]] << 32 | (uint64_t)e;
        r->n += column[indices[e]] >= 0;
    }
    sort_by_column(r->unsorted, r->keys, r->n);
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
                     const skx_ngram_weights *weights, const int32_t *cancel, int64_t *indptr, int32_t *indices,
                     float *data)
{
    row r = {0};
    int status = SKX_OK;
    int64_t begin = indptr[0];
    for (int64_t i = 0; i < n_rows && status == SKX_OK; i++) {
        int64_t n = indptr[i + 1] - begin;
        r.n = 0;
        status = skx_cancelled(cancel) ? SKX_ECANCELLED : row_reserve(&r, n + 1);
        if (status) break;
        renumber(indices + begin, data + begin, n, column, &r);
        weigh_row(n_blocks, block_end, weights, &r);
        begin = indptr[i + 1];
        status = store(&r, i, begin, indptr, indices, data);
    }
    row_free(&r);
    return status;
}
