/* Texts that match what is typed, compared with a slow implementation; and arrays of any content. */
#include "input.h"

static const uint8_t LETTERS[] = {'a', 'b', 0};

static int begins(const uint8_t *text, int64_t n, const uint8_t *typed, int64_t m)
{
    return n >= m && !memcmp(text, typed, (size_t)m);
}

/* Whether a text begins with what is typed, up to one error in character i. All characters are bytes. */
static int begins_with_error(const uint8_t *text, int64_t n, const uint8_t *typed, int64_t m, int64_t i)
{
    if (!begins(text, n, typed, i)) return 0;
    const uint8_t *rest = text + i;
    int64_t left = n - i;
    if (begins(rest, left, typed + i + 1, m - i - 1)) return 1;                     /* superfluous */
    if (left > 0 && begins(rest + 1, left - 1, typed + i, m - i)) return 1;         /* missing */
    if (left > 0 && begins(rest + 1, left - 1, typed + i + 1, m - i - 1)) return 1; /* wrong */
    if (i + 1 >= m || left < 2 || rest[0] != typed[i + 1] || rest[1] != typed[i]) return 0;
    return begins(rest + 2, left - 2, typed + i + 2, m - i - 2); /* exchanged */
}

static int matches(const uint8_t *text, int64_t n, const uint8_t *typed, int64_t m, const skx_match_params *params)
{
    if (params->n_errors == 0) return begins(text, n, typed, m);
    for (int64_t i = params->n_exact; i < m; i++)
        if (begins_with_error(text, n, typed, m, i)) return 1;
    return 0;
}

static int is_skipped(const skx_match_params *params, int64_t text)
{
    for (int64_t i = 0; i < params->n_skipped; i++)
        if (params->skipped[i] == text) return 1;
    return text >= params->skip_begin && text < params->skip_end;
}

static uint64_t *heads_of(input *in, const skx_texts *texts)
{
    uint64_t *head = own(in, (size_t)texts->n_texts * sizeof *head);
    for (int64_t t = 0; t < texts->n_texts; t++) {
        head[t] = 0;
        for (int64_t i = 0; i < 8 && texts->ptr[t] + i < texts->ptr[t + 1]; i++)
            head[t] |= (uint64_t)texts->bytes[texts->ptr[t] + i] << (56 - 8 * i);
    }
    return head;
}

static int32_t *tree_of(input *in, const int32_t *rank, int64_t n)
{
    int32_t *best = own(in, (size_t)(2 * n) * sizeof *best);
    for (int64_t i = 0; i < n; i++) best[n + i] = rank[i];
    if (n > 0) best[0] = 0;
    for (int64_t p = n - 1; p > 0; p--) best[p] = best[2 * p] < best[2 * p + 1] ? best[2 * p] : best[2 * p + 1];
    return best;
}

/* Distinct strings, sorted by skx_terms_sort. */
static void find_in_sorted(input *in)
{
    int64_t n = take_between(in, 0, 40), *ptr = own(in, (size_t)(n + 1) * sizeof *ptr),
            *sorted_ptr = own(in, (size_t)(n + 1) * 8), n_found, n_expected = 0;
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + take_byte(in) % 12;
    uint8_t *bytes = own(in, (size_t)ptr[n]), *sorted = own(in, (size_t)ptr[n]);
    for (int64_t i = 0; i < ptr[n]; i++) bytes[i] = LETTERS[take_byte(in) % 3];
    int32_t *terms = own(in, (size_t)n * sizeof *terms), *rank = own(in, (size_t)n * sizeof *rank);
    for (int64_t i = 0; i < n; i++) terms[i] = (int32_t)i;
    for (int64_t i = 0; i < n; i++) rank[i] = (int32_t)((i * 17 + 3) % (n % 17 ? n : n + 1));
    if (!succeeded(skx_terms_sort(ptr, bytes, n, NULL, terms))) return;
    CLAIM(skx_terms_take(ptr, bytes, terms, n, sorted_ptr, sorted) == SKX_OK);
    skx_texts texts = {n, ptr[n], sorted_ptr, sorted};
    skx_text_index index = {&texts, n, NULL, NULL, heads_of(in, &texts), tree_of(in, rank, n)};
    int64_t m = take_byte(in) % 12;
    uint8_t *typed = own(in, (size_t)m);
    for (int64_t i = 0; i < m; i++) typed[i] = LETTERS[take_byte(in) % 3];
    int32_t skipped[2] = {take_byte(in) % 40, take_byte(in) % 40};
    skx_match_params params = {take_between(in, 0, n), take_byte(in) % 4, take_byte(in) % 2, take_byte(in) % 40, 0, 2, skipped};
    params.skip_end = params.skip_begin + take_byte(in) % 5;
    int32_t *found = own(in, (size_t)params.k * sizeof *found);
    if (!succeeded(skx_matches_find(&index, typed, m, &params, found, &n_found))) return;
    for (int64_t t = 0; t < n; t++)
        n_expected +=
            !is_skipped(&params, t) && matches(sorted + sorted_ptr[t], sorted_ptr[t + 1] - sorted_ptr[t], typed, m, &params);
    CLAIM(n_found == (n_expected < params.k ? n_expected : params.k));
    for (int64_t i = 0; i < n_found; i++) {
        int32_t t = found[i];
        CLAIM(t >= 0 && t < n && !is_skipped(&params, t));
        CLAIM(matches(sorted + sorted_ptr[t], sorted_ptr[t + 1] - sorted_ptr[t], typed, m, &params));
        CLAIM(i == 0 || rank[found[i - 1]] < rank[t]);
    }
}

/* Arrays of any content. */
static void find_anything(input *in)
{
    int64_t n = take_between(in, 0, 20), n_entries = take_between(in, 0, 30), n_bytes = take_between(in, 0, 100), n_found;
    int64_t *ptr = own(in, (size_t)(n + 1) * sizeof *ptr);
    for (int64_t i = 0; i <= n; i++) ptr[i] = (int8_t)take_byte(in);
    skx_texts texts = {n, n_bytes, ptr, take_array(in, n_bytes, 1)};
    int32_t *text = own(in, (size_t)n_entries * sizeof *text), *offset = own(in, (size_t)n_entries * sizeof *offset);
    for (int64_t i = 0; i < n_entries; i++) {
        text[i] = take_byte(in) % 24 - 2;
        offset[i] = take_byte(in) % 12 - 1;
    }
    const uint64_t *head = take_array(in, n_entries, sizeof *head);
    skx_text_index index = {&texts, n_entries, text, offset, head, take_array(in, 2 * n_entries, sizeof(int32_t))};
    int64_t m = take_between(in, 0, 20), n_skipped = take_byte(in) % 4, range[4];
    const uint8_t *typed = take_array(in, m, 1);
    const int32_t *skipped = take_array(in, n_skipped, sizeof *skipped);
    skx_match_params params = {take_between(in, 0, n),
                               take_byte(in) % 4,
                               take_byte(in) % 3,
                               (int8_t)take_byte(in),
                               (int8_t)take_byte(in),
                               n_skipped,
                               skipped};
    int32_t *found = own(in, (size_t)params.k * sizeof *found);
    int status = skx_matches_find(&index, typed, m, &params, found, &n_found);
    CLAIM(status == SKX_OK || status == SKX_ENOMEM || params.n_errors > 1);
    CLAIM(status != SKX_OK || (n_found >= 0 && n_found <= params.k));
    for (int i = 0; i < 4; i++) range[i] = (int8_t)take_byte(in) / 4;
    status = skx_matches_of_ranges(&index, range, 2, &params, found, &n_found);
    CLAIM(status == SKX_OK || status == SKX_ENOMEM || status == SKX_EARG);
    for (int64_t i = 0; status == SKX_OK && i < n_found; i++) CLAIM(found[i] >= 0 && found[i] < n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    input in = input_of(bytes, size);
    if (size % 2)
        find_in_sorted(&in);
    else
        find_anything(&in);
    return input_free(&in);
}
