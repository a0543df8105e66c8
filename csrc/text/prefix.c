/* Texts that begin with a prefix: a range of the sorted texts. */
#include "skxmr.h"

#include <string.h>

/* Compare the first bytes of a text with a prefix. Pointers may be any numbers.
 * @return 0 if the text begins with the prefix, -1 if it comes before such texts, 1 if it comes after them. */
static int compare_beginning(const skx_texts *texts, int64_t i, const uint8_t *prefix, int64_t n)
{
    int64_t begin = texts->ptr[i], end = texts->ptr[i + 1];
    if (begin < 0 || begin > end || end > texts->n_bytes) return 1;
    int64_t length = end - begin;
    int order = memcmp(texts->bytes + begin, prefix, (size_t)(length < n ? length : n));
    if (order == 0) return length < n ? -1 : 0;
    return order < 0 ? -1 : 1;
}

/* @return the first text from `begin` on for which compare_beginning is more than `below`. */
static int64_t bisect(const skx_texts *texts, int64_t begin, const uint8_t *prefix, int64_t n, int below)
{
    int64_t end = texts->n_texts;
    while (begin < end) {
        int64_t middle = begin + (end - begin) / 2;
        if (compare_beginning(texts, middle, prefix, n) <= below)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

int skx_texts_find_prefixes(const skx_texts *sorted, const skx_texts *prefixes, int64_t *range)
{
    for (int64_t i = 0; i < prefixes->n_texts; i++) {
        int64_t begin = prefixes->ptr[i], end = prefixes->ptr[i + 1];
        if (begin < 0 || begin > end || end > prefixes->n_bytes) return SKX_EPOINTER;
        range[2 * i] = bisect(sorted, 0, prefixes->bytes + begin, end - begin, -1);
        range[2 * i + 1] = bisect(sorted, range[2 * i], prefixes->bytes + begin, end - begin, 0);
    }
    return SKX_OK;
}
