#include "terms.h"

#include <stdlib.h>

int terms_insert(skx_terms *t, const uint8_t *s, int64_t n, uint64_t hash, int64_t slot)
{
    int64_t term = t->n_terms;
    if (term >= t->term_capacity || n > t->byte_capacity - t->n_bytes || term >= t->n_slots / 2) return SKX_ECAPACITY;
    memcpy(t->bytes + t->n_bytes, s, (size_t)n);
    t->n_bytes += n;
    t->ptr[term + 1] = t->n_bytes;
    t->slots[slot] = (skx_term_slot){terms_tag(hash), (int32_t)term};
    t->n_terms++;
    return SKX_OK;
}

int skx_terms_index(int64_t n_terms, const int64_t *ptr, const uint8_t *bytes, int64_t n_slots, skx_term_slot *slots)
{
    if (n_slots < 1 || (n_slots & (n_slots - 1)) || n_terms > n_slots / 2) return SKX_EARG;
    for (int64_t i = 0; i < n_slots; i++) slots[i] = (skx_term_slot){0, -1};
    for (int64_t term = 0; term < n_terms; term++) {
        uint64_t hash = terms_hash(bytes + ptr[term], ptr[term + 1] - ptr[term]);
        uint64_t at = hash & (uint64_t)(n_slots - 1);
        while (slots[at].term >= 0) at = (at + 1) & (uint64_t)(n_slots - 1);
        slots[at] = (skx_term_slot){terms_tag(hash), (int32_t)term};
    }
    return SKX_OK;
}

typedef struct {
    uint64_t prefix; /* the first 8 bytes, the first one highest, padded by zeros */
    const uint8_t *bytes;
    int64_t n;
    int32_t term;
} sortable;

static int compare(const void *left, const void *right)
{
    const sortable *a = left, *b = right;
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    int order = memcmp(a->bytes, b->bytes, (size_t)(a->n < b->n ? a->n : b->n));
    return order ? order : (a->n > b->n) - (a->n < b->n);
}

static uint64_t prefix_of(const uint8_t *s, int64_t n)
{
    uint64_t prefix = 0;
    for (int64_t i = 0; i < 8; i++) prefix = prefix << 8 | (i < n ? s[i] : 0);
    return prefix;
}

int skx_terms_sort(const int64_t *ptr, const uint8_t *bytes, int64_t n, int32_t *terms)
{
    sortable *all = malloc((size_t)(n + 1) * sizeof *all);
    if (!all) return SKX_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *s = bytes + ptr[terms[i]];
        int64_t length = ptr[terms[i] + 1] - ptr[terms[i]];
        all[i] = (sortable){prefix_of(s, length), s, length, terms[i]};
    }
    qsort(all, (size_t)n, sizeof *all, compare);
    for (int64_t i = 0; i < n; i++) terms[i] = all[i].term;
    free(all);
    return SKX_OK;
}

int skx_terms_take(const int64_t *ptr, const uint8_t *bytes, const int32_t *terms, int64_t n, int64_t *out_ptr,
                   uint8_t *out_bytes)
{
    out_ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t begin = ptr[terms[i]], length = ptr[terms[i] + 1] - begin;
        memcpy(out_bytes + out_ptr[i], bytes + begin, (size_t)length);
        out_ptr[i + 1] = out_ptr[i] + length;
    }
    return SKX_OK;
}
