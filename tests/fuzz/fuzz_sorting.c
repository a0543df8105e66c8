/* Texts sorted for tries, and ranges of texts that begin with a prefix, compared with a slow implementation. */
#include "input.h"

static int compare_points(const skx_points *t, int32_t a, int32_t b, int64_t *common)
{
    int64_t n = t->ptr[a + 1] - t->ptr[a], m = t->ptr[b + 1] - t->ptr[b], i = 0;
    const uint32_t *p = t->points + t->ptr[a], *q = t->points + t->ptr[b];
    while (i < n && i < m && p[i] == q[i]) i++;
    *common = i;
    if (i < n && i < m) return p[i] < q[i] ? -1 : 1;
    return (n > m) - (n < m);
}

static void sort_points(input *in)
{
    int64_t n = take_between(in, 0, 60), common, *ptr = own(in, (size_t)(n + 1) * sizeof *ptr);
    ptr[0] = take_byte(in) == 255;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + (take_byte(in) == 255 ? -1 : take_byte(in) % 9);
    int64_t all = 0;
    for (int64_t i = 0; i <= n; i++) all = ptr[i] > all ? ptr[i] : all;
    uint32_t *points = own(in, (size_t)all * sizeof *points);
    for (int64_t i = 0; i < all; i++) {
        uint8_t v = take_byte(in);
        if (v < 250)
            points[i] = v % 3;
        else
            points[i] = v < 254 ? 0x10ffff - v % 2 : 0x110000u * (v % 2);
    }
    skx_points texts = {n, ptr, points};
    int32_t *order = own(in, (size_t)n * sizeof *order), cancel = take_byte(in) == 255;
    int64_t *lengths = own(in, (size_t)n * sizeof *lengths);
    int status = skx_texts_sort(&texts, &cancel, order, lengths);
    if (status == SKX_EARG || status == SKX_ECANCELLED || !succeeded(status)) return;
    for (int64_t i = 1; i < n; i++) {
        int sign = compare_points(&texts, order[i - 1], order[i], &common);
        CLAIM(sign < 0 || (sign == 0 && order[i - 1] < order[i]));
        CLAIM(common == lengths[i]);
    }
}

static int begins(const uint8_t *text, int64_t n, const uint8_t *prefix, int64_t m)
{
    return n >= m && !memcmp(text, prefix, (size_t)m);
}

/* Distinct strings, sorted by skx_terms_sort. */
static void find_in_sorted(input *in)
{
    int64_t n = take_between(in, 0, 40), *ptr = own(in, (size_t)(n + 1) * sizeof *ptr),
            *sorted_ptr = own(in, (size_t)(n + 1) * 8);
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + take_byte(in) % 12;
    uint8_t *bytes = own(in, (size_t)ptr[n]), *sorted = own(in, (size_t)ptr[n]), prefix[4];
    for (int64_t i = 0; i < ptr[n]; i++) bytes[i] = take_byte(in) % 3 ? 'a' : take_byte(in);
    int32_t *terms = own(in, (size_t)n * sizeof *terms);
    for (int64_t i = 0; i < n; i++) terms[i] = (int32_t)i;
    if (!succeeded(skx_terms_sort(ptr, bytes, n, NULL, terms))) return;
    CLAIM(skx_terms_take(ptr, bytes, terms, n, sorted_ptr, sorted) == SKX_OK);
    skx_texts texts = {n, ptr[n], sorted_ptr, sorted};
    for (int i = 0; i < 4; i++) prefix[i] = take_byte(in) % 2 ? 'a' : take_byte(in);
    int64_t of_prefix[2] = {0, take_byte(in) % 5}, range[2];
    skx_texts prefixes = {1, 4, of_prefix, prefix};
    CLAIM(skx_texts_find_prefixes(&texts, &prefixes, range) == SKX_OK);
    CLAIM(range[0] >= 0 && range[0] <= range[1] && range[1] <= n);
    for (int64_t i = 0; i < n; i++) {
        int found = begins(sorted + sorted_ptr[i], sorted_ptr[i + 1] - sorted_ptr[i], prefix, of_prefix[1]);
        CLAIM(found == (i >= range[0] && i < range[1]));
    }
}

static int64_t *wild_pointers(input *in, int64_t n)
{
    if (take_byte(in) & 1) return take_array(in, n + 1, sizeof(int64_t));
    int64_t *ptr = own(in, (size_t)(n + 1) * sizeof *ptr);
    for (int64_t i = 0; i <= n; i++) ptr[i] = (int8_t)take_byte(in);
    return ptr;
}

/* Pointers and bytes of any content. */
static void find_anything(input *in)
{
    int64_t n = take_between(in, 0, 20), m = take_between(in, 0, 6), n_bytes = take_between(in, 0, 100),
            p_bytes = take_between(in, 0, 20);
    skx_texts texts = {n, n_bytes, wild_pointers(in, n), take_array(in, n_bytes, 1)};
    skx_texts prefixes = {m, p_bytes, wild_pointers(in, m), take_array(in, p_bytes, 1)};
    int64_t *range = own(in, (size_t)(2 * m) * sizeof *range);
    int status = skx_texts_find_prefixes(&texts, &prefixes, range);
    CLAIM(status == SKX_OK || status == SKX_EPOINTER);
    for (int64_t i = 0; status == SKX_OK && i < 2 * m; i++) CLAIM(range[i] >= 0 && range[i] <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    sort_points(&in);
    find_in_sorted(&in);
    find_anything(&in);
    return input_free(&in);
}
