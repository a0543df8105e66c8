/* Texts of any bytes: learning n-grams with small capacities, step by step, gives the same rows as a transform with the learned
 * vocabulary; and a vocabulary of any content is safe to search. */
#include "input.h"

enum { MAX_BLOCKS = 2, MAX_TEXTS = 6, MAX_BYTES = 160 };

/* The kinds of ASCII as in Unicode; other code points have all kinds in turn. */
static const uint8_t *kinds(void)
{
    static uint8_t table[SKX_CODE_POINTS];
    if (table['a']) return table;
    for (int c = 0; c < 128; c++) {
        int word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        table[c] = (uint8_t)(word | (c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f) ? SKX_SPACE : 0));
    }
    for (int c = 128; c < SKX_CODE_POINTS; c++) table[c] = (uint8_t)(c % 3);
    return table;
}

/* Bytes that often repeat, with few different letters. */
static void take_text(input *in, uint8_t *out, int64_t n)
{
    static const uint8_t usual[] = "ab c  d\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\xa0\x80_A\t";
    for (int64_t i = 0; i < n; i++) {
        uint8_t v = take_byte(in);
        if (v < 128)
            out[i] = usual[v % (sizeof usual - 1)];
        else if (v < 160)
            out[i] = 'a';
        else if (v < 190)
            out[i] = ' ';
        else
            out[i] = take_byte(in);
    }
}

static skx_texts take_texts(input *in)
{
    int64_t n = take_between(in, 0, MAX_TEXTS), *ptr = own(in, (size_t)(n + 1) * sizeof *ptr);
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + take_between(in, 0, i % 3 ? 24 : MAX_BYTES);
    uint8_t *bytes = own(in, (size_t)ptr[n]);
    take_text(in, bytes, ptr[n]);
    return (skx_texts){n, ptr[n], ptr, bytes};
}

/* A table of distinct strings with capacity for more. */
typedef struct {
    skx_terms terms;
    int64_t *ptr;
    uint8_t *bytes;
    skx_term_slot *slots;
} table;

static void table_make(table *t, int64_t term_capacity, int64_t byte_capacity)
{
    int64_t n_slots = 2;
    while (n_slots < 2 * term_capacity) n_slots *= 2;
    t->ptr = calloc((size_t)term_capacity + 1, sizeof *t->ptr);
    t->bytes = calloc((size_t)byte_capacity + SKX_SLACK, 1);
    t->slots = calloc((size_t)n_slots, sizeof *t->slots);
    CLAIM(t->ptr && t->bytes && t->slots);
    t->terms = (skx_terms){0, 0, term_capacity, byte_capacity, n_slots, t->ptr, t->bytes, t->slots};
}

static void table_free(table *t)
{
    free(t->ptr);
    free(t->bytes);
    free(t->slots);
}

/* Double the capacity. */
static void table_extend(table *t)
{
    table more;
    table_make(&more, 2 * t->terms.term_capacity, 2 * t->terms.byte_capacity + 8);
    memcpy(more.ptr, t->ptr, (size_t)(t->terms.n_terms + 1) * sizeof *t->ptr);
    memcpy(more.bytes, t->bytes, (size_t)t->terms.n_bytes);
    CLAIM(skx_terms_index(t->terms.n_terms, more.ptr, more.bytes, more.terms.n_slots, more.slots) == SKX_OK);
    more.terms.n_terms = t->terms.n_terms;
    more.terms.n_bytes = t->terms.n_bytes;
    table_free(t);
    *t = more;
}

typedef struct {
    table table[MAX_BLOCKS];
    skx_column_use *uses;
    skx_csr_buffers rows;
} learned;

static void learned_free(learned *l, int64_t n_blocks)
{
    for (int64_t b = 0; b < n_blocks; b++) table_free(&l->table[b]);
    free(l->uses);
    free(l->rows.indptr);
    free(l->rows.indices);
    free(l->rows.data);
}

static int64_t max_terms(const learned *l, int64_t n_blocks)
{
    int64_t most = 0;
    for (int64_t b = 0; b < n_blocks; b++)
        if (l->table[b].terms.term_capacity > most) most = l->table[b].terms.term_capacity;
    return most;
}

static void extend(learned *l, int64_t n_blocks)
{
    int64_t before = max_terms(l, n_blocks) * n_blocks, capacity = 2 * l->rows.capacity + 4;
    for (int64_t b = 0; b < n_blocks; b++) table_extend(&l->table[b]);
    int64_t n = max_terms(l, n_blocks) * n_blocks;
    skx_column_use *uses = calloc((size_t)n, sizeof *uses);
    CLAIM(uses != NULL);
    memcpy(uses, l->uses, (size_t)before * sizeof *uses);
    free(l->uses);
    l->uses = uses;
    l->rows.indices = realloc(l->rows.indices, (size_t)capacity * sizeof *l->rows.indices);
    l->rows.data = realloc(l->rows.data, (size_t)capacity * sizeof *l->rows.data);
    CLAIM(l->rows.indices && l->rows.data);
    l->rows.capacity = capacity;
}

/* Learn all texts in steps, and extend the capacities between them. @return 0 if memory is short. */
static int learn(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, learned *l)
{
    int64_t begin = 0, *step = malloc((size_t)(texts->n_texts + 1) * sizeof *step);
    l->rows.indptr = calloc((size_t)texts->n_texts + 1, sizeof *l->rows.indptr);
    CLAIM(step && l->rows.indptr);
    int status = SKX_ECAPACITY;
    skx_ngram_progress progress = {0};
    for (int tries = 0; status == SKX_ECAPACITY && tries < 64; tries++) {
        int64_t used = l->rows.indptr[begin];
        skx_csr_buffers rows = {l->rows.capacity - used, step, l->rows.indices + used, l->rows.data + used};
        skx_terms terms[MAX_BLOCKS];
        for (int64_t b = 0; b < n_blocks; b++) terms[b] = l->table[b].terms;
        status = skx_ngrams_learn(texts, n_blocks, params, begin, texts->n_texts, terms, l->uses, &progress, &rows);
        if (status != SKX_ECAPACITY && !succeeded(status)) break;
        int64_t done = progress.done;
        CLAIM(done >= begin && done <= texts->n_texts);
        CLAIM(status != SKX_ECAPACITY || progress.entries > 0 || progress.bytes > 0);
        CLAIM(progress.block >= 0 && progress.block < n_blocks);
        for (int64_t i = begin; i <= done; i++) l->rows.indptr[i] = used + step[i - begin];
        for (int64_t b = 0; b < n_blocks; b++) l->table[b].terms = terms[b];
        begin = done;
        if (status == SKX_ECAPACITY) extend(l, n_blocks);
    }
    free(step);
    CLAIM(status != SKX_OK || begin == texts->n_texts);
    return succeeded(status);
}

/* Replace each table by a sorted one without spare capacity; column has the new columns of the old ones. */
static int sort_terms(learned *l, int64_t n_blocks, int32_t *column, int64_t *block_end)
{
    int64_t end = 0;
    for (int64_t b = 0; b < n_blocks; b++) {
        const skx_terms *t = &l->table[b].terms;
        table sorted;
        int32_t *terms = malloc((size_t)(t->n_terms + 1) * sizeof *terms);
        CLAIM(terms != NULL);
        for (int64_t i = 0; i < t->n_terms; i++) terms[i] = (int32_t)i;
        int ok = succeeded(skx_terms_sort(t->ptr, t->bytes, t->n_terms, NULL, terms));
        if (ok) {
            table_make(&sorted, t->n_terms ? t->n_terms : 1, t->n_bytes);
            CLAIM(skx_terms_take(t->ptr, t->bytes, terms, t->n_terms, sorted.ptr, sorted.bytes) == SKX_OK);
            CLAIM(skx_terms_index(t->n_terms, sorted.ptr, sorted.bytes, sorted.terms.n_slots, sorted.slots) == SKX_OK);
            sorted.terms.n_terms = t->n_terms;
            sorted.terms.n_bytes = t->n_bytes;
            for (int64_t i = 0; i < t->n_terms; i++) column[terms[i] * n_blocks + b] = (int32_t)(end + i);
            end += t->n_terms;
            table_free(&l->table[b]);
            l->table[b] = sorted;
        }
        free(terms);
        if (!ok) return 0;
        block_end[b] = end;
    }
    return 1;
}

static int transform(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, const skx_terms *terms,
                     const skx_ngram_weights *weights, skx_csr_buffers *rows)
{
    skx_ngram_progress progress = {0};
    int status = skx_ngrams_transform(texts, n_blocks, params, terms, weights, 0, texts->n_texts, &progress, rows);
    CLAIM(status == SKX_ECAPACITY || status == SKX_ENOMEM || status == SKX_OK);
    CLAIM(status != SKX_OK || progress.done == texts->n_texts);
    return status == SKX_OK;
}

/* The weights after learning equal those of a transform, to the bit. */
static void compare(input *in, const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, learned *l)
{
    int64_t n_columns = max_terms(l, n_blocks) * n_blocks, nnz = l->rows.indptr[texts->n_texts], block_end[MAX_BLOCKS];
    int32_t *column = own(in, (size_t)n_columns * sizeof *column), *indices = own(in, (size_t)nnz * sizeof *indices);
    int64_t *indptr = own(in, (size_t)(texts->n_texts + 1) * sizeof *indptr);
    float *data = own(in, (size_t)nnz * sizeof *data);
    memset(column, 0xff, (size_t)n_columns * sizeof *column);
    if (!sort_terms(l, n_blocks, column, block_end)) return;
    double *idf = own(in, (size_t)block_end[n_blocks - 1] * sizeof *idf);
    for (int64_t c = 0; c < block_end[n_blocks - 1]; c++) idf[c] = 1.0 + (double)(c % 5);
    skx_ngram_weights weights = {take_byte(in) & 1, take_byte(in) & 1 ? idf : NULL, take_byte(in) % 3, take_byte(in) % 3};
    if (!succeeded(skx_ngrams_weigh(texts->n_texts, n_blocks, block_end, column, &weights, NULL, &l->rows))) return;
    skx_terms terms[MAX_BLOCKS];
    for (int64_t b = 0; b < n_blocks; b++) terms[b] = l->table[b].terms;
    skx_csr_buffers rows = {nnz, indptr, indices, data};
    if (!transform(texts, n_blocks, params, terms, &weights, &rows)) return;
    CLAIM(memcmp(indptr, l->rows.indptr, (size_t)(texts->n_texts + 1) * sizeof *indptr) == 0);
    CLAIM(memcmp(indices, l->rows.indices, (size_t)nnz * sizeof *indices) == 0);
    CLAIM(memcmp(data, l->rows.data, (size_t)nnz * sizeof *data) == 0);
}

/* A vocabulary whose arrays hold anything, or the learned one with some bytes changed. */
static void search_anything(input *in, const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, learned *l)
{
    skx_terms terms[MAX_BLOCKS];
    int64_t n_columns = 0, capacity = take_between(in, 0, 600);
    for (int64_t b = 0; b < n_blocks; b++) {
        skx_terms t = l->table[b].terms;
        uint8_t *arrays[] = {(uint8_t *)t.ptr, t.bytes, (uint8_t *)t.slots};
        int64_t sizes[] = {8 * (t.n_terms + 1), t.n_bytes, (int64_t)sizeof *t.slots * t.n_slots};
        for (int n = take_byte(in) % 32; n > 0; n--) {
            int which = take_byte(in) % 3;
            if (sizes[which] > 0)
                arrays[which][take_between(in, 0, sizes[which] < 60000 ? sizes[which] - 1 : 60000)] = take_byte(in);
        }
        n_columns += t.n_terms;
        terms[b] = t;
    }
    skx_ngram_weights weights = {0, NULL, take_byte(in) % 3, take_byte(in) % 3};
    int64_t *indptr = own(in, (size_t)(texts->n_texts + 1) * sizeof *indptr);
    int32_t *indices = own(in, (size_t)capacity * sizeof *indices);
    float *data = own(in, (size_t)capacity * sizeof *data);
    skx_csr_buffers rows = {capacity, indptr, indices, data};
    if (!transform(texts, n_blocks, params, terms, &weights, &rows)) return;
    for (int64_t p = 0; p < indptr[texts->n_texts]; p++) CLAIM(indices[p] >= 0 && indices[p] < n_columns);
}

/* Pointers of any content are refused or followed. */
static void follow_pointers(input *in, const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, learned *l)
{
    int64_t n = take_between(in, 0, 4), *ptr = own(in, (size_t)(n + 1) * sizeof *ptr), row[5];
    skx_ngram_progress progress = {0};
    for (int64_t i = 0; i <= n; i++)
        if (take_byte(in) % 4)
            ptr[i] = (int8_t)take_byte(in);
        else
            take_bytes(in, &ptr[i], sizeof ptr[i]);
    skx_texts wild = {n, texts->n_bytes, ptr, texts->bytes};
    skx_ngram_weights weights = {0, NULL, SKX_NORM_NONE, SKX_NORM_NONE};
    skx_terms terms[MAX_BLOCKS];
    int32_t indices[64];
    float data[64];
    for (int64_t b = 0; b < n_blocks; b++) terms[b] = l->table[b].terms;
    skx_csr_buffers rows = {64, row, indices, data};
    int status = skx_ngrams_transform(&wild, n_blocks, params, terms, &weights, 0, n, &progress, &rows);
    CLAIM(status == SKX_EPOINTER || status == SKX_ECAPACITY || status == SKX_OK || status == SKX_ENOMEM || status == SKX_EARG);
}

static skx_ngram_params take_params(input *in, const skx_terms *stop_words)
{
    static const uint8_t marks[2][4] = {{'$'}, {0xf0, 0x9f, 0x98, 0x80}};
    int wide = take_byte(in) & 1;
    skx_ngram_params p = {take_byte(in) % 4,
                          take_byte(in) % 3,
                          take_between(in, 1, 5),
                          0,
                          take_between(in, 0, 3),
                          stop_words,
                          wide ? 4 : 1,
                          {0},
                          take_between(in, 0, 4),
                          1 + take_byte(in) % 3,
                          kinds()};
    p.max_n = p.min_n + take_between(in, 0, 4);
    memcpy(p.mark, marks[wide], 4);
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    static const int64_t stop_ptr[] = {0, 1, 4};
    static const uint8_t stop_bytes[4 + SKX_SLACK] = "ab c";
    skx_term_slot stop_slots[8] = {0};
    CLAIM(skx_terms_index(2, stop_ptr, stop_bytes, 8, stop_slots) == SKX_OK);
    skx_terms stop = {2, 4, 2, 4, 8, (int64_t *)stop_ptr, (uint8_t *)stop_bytes, stop_slots};
    int64_t n_blocks = take_between(&in, 1, MAX_BLOCKS);
    skx_ngram_params params[MAX_BLOCKS];
    learned l = {0};
    for (int64_t b = 0; b < n_blocks; b++) {
        params[b] = take_params(&in, take_byte(&in) & 1 ? &stop : NULL);
        table_make(&l.table[b], 1 + take_byte(&in) % 8, take_byte(&in) % 32);
    }
    l.uses = calloc((size_t)(max_terms(&l, n_blocks) * n_blocks), sizeof *l.uses);
    l.rows.indices = calloc(1, sizeof *l.rows.indices);
    l.rows.data = calloc(1, sizeof *l.rows.data);
    skx_texts texts = take_texts(&in);
    if (learn(&texts, n_blocks, params, &l)) {
        compare(&in, &texts, n_blocks, params, &l);
        follow_pointers(&in, &texts, n_blocks, params, &l);
        search_anything(&in, &texts, n_blocks, params, &l);
    }
    learned_free(&l, n_blocks);
    return input_free(&in);
}
