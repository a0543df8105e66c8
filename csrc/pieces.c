#include "pieces.h"

#include <stdlib.h>
#include <string.h>

int pieces_init(pieces *out, int64_t n)
{
    /* Every other byte a word of its own is the worst case: two characters, or a mark of four bytes, more for each. */
    size_t bytes = (size_t)(3 * n + 8) + SKX_SLACK, units = (size_t)(2 * n + 3), groups = (size_t)(n + 3);
    size_t words = (size_t)n / 64 + 1;
    memset(out, 0, sizeof *out);
    out->bits = malloc(words * sizeof *out->bits + (2 * units + groups) * sizeof *out->start + bytes);
    if (!out->bits) return SKX_ENOMEM;
    out->start = (uint32_t *)(out->bits + words);
    out->end = out->start + units;
    out->group = out->end + units;
    out->bytes = (uint8_t *)(out->group + groups);
    return SKX_OK;
}

void pieces_free(pieces *p) { free(p->bits); }

static int is_tail(const uint8_t *text, int64_t n, int64_t at) { return at < n && (text[at] & 0xc0) == 0x80; }

/* The bytes of the character of several bytes at the beginning of a text of n > 0 bytes, and its code point. */
static int decode_long(const uint8_t *text, int64_t n, uint32_t *code)
{
    int tails = text[0] < 0xc0 || text[0] >= 0xf8 ? 0 : text[0] < 0xe0 ? 1 : text[0] < 0xf0 ? 2 : 3;
    uint32_t value = text[0] & (0x3fu >> tails);
    for (int i = 1; i <= tails; i++) {
        if (!is_tail(text, n, i)) tails = 0;
        else value = value << 6 | (text[i] & 0x3fu);
    }
    *code = tails && value < SKX_CODE_POINTS ? value : SKX_CODE_POINTS;
    return 1 + tails;
}

/* What kind of character a text of n > 0 bytes begins with, and its length in bytes. */
static inline int kind_of(const uint8_t *kinds, const uint8_t *text, int64_t n, int *length)
{
    uint32_t code = text[0];
    *length = code < 0x80 ? 1 : decode_long(text, n, &code);
    return code < SKX_CODE_POINTS ? kinds[code] : 0;
}

static inline void add_unit(pieces *out, uint32_t *used, const uint8_t *s, int length)
{
    out->start[out->n_units] = *used;
    out->bytes[(*used)++] = s[0];
    for (int i = 1; i < length; i++) out->bytes[(*used)++] = s[i];
    out->end[out->n_units++] = *used;
}

static void end_group(pieces *out)
{
    int64_t length = out->n_units - out->group[out->n_groups];
    if (length > out->longest) out->longest = length;
    out->group[++out->n_groups] = (uint32_t)out->n_units;
}

/* Copy n bytes, of a text that has `left`; a few more are written, where there is room for them. */
static inline void copy(uint8_t *to, const uint8_t *from, int64_t n, int64_t left)
{
    if (n <= SKX_SLACK && left >= SKX_SLACK) memcpy(to, from, SKX_SLACK);
    else memcpy(to, from, (size_t)n);
}

/* Set the bits of the bytes of word characters, and only those. Whether all bytes are ASCII. A bit at a time would be decided
 * by branches that nothing foretells. */
static int mark_words(const uint8_t *kinds, const uint8_t *text, int64_t n, uint64_t *bits)
{
    int length, all = 0;
    for (int64_t at = 0; at <= n; at += 64) {
        uint64_t word = 0;
        int64_t m = n - at < 64 ? n - at : 64;
        for (int64_t i = 0; i < m; i++) {
            word |= (uint64_t)(kinds[text[at + i]] & SKX_WORD_CHARACTER) << i;
            all |= text[at + i];
        }
        bits[at >> 6] = word;
    }
    if (all < 0x80) return 1;
    memset(bits, 0, (size_t)(n / 64 + 1) * sizeof *bits);
    for (int64_t at = 0; at < n; at += length) {
        uint64_t kind = (uint64_t)(kind_of(kinds, text + at, n - at, &length) & SKX_WORD_CHARACTER);
        for (int64_t i = at; i < at + length; i++) bits[i >> 6] |= kind << (i & 63);
    }
    return 0;
}

/* The first position from `at` <= n on, of n + 1, whose bit differs from those of `not`; beyond n where there is none. */
static inline int64_t next_bit(const uint64_t *bits, int64_t n, int64_t at, uint64_t not)
{
    int64_t w = at >> 6;
    uint64_t word = (bits[w] ^ not) >> (at & 63) << (at & 63);
    while (!word && ++w <= n >> 6) word = bits[w] ^ not;
    return word ? 64 * w + __builtin_ctzll(word) : n + 1;
}

static int64_t count_characters(const uint8_t *text, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += (text[i] & 0xc0) != 0x80;
    return count;
}

/* Units are the longest runs of word characters, if they are long enough. */
static uint32_t cut_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, pieces *out)
{
    uint32_t used = 0;
    int ascii = mark_words(params->kinds, text, n, out->bits);
    int64_t at = next_bit(out->bits, n, 0, 0);
    while (at < n) {
        int64_t begin = at, end = next_bit(out->bits, n, at, UINT64_MAX), length = end - begin;
        at = next_bit(out->bits, n, end, 0);
        if ((ascii ? length : count_characters(text + begin, length)) < params->min_token_length) continue;
        if (out->n_units) out->bytes[used++] = ' ';
        out->start[out->n_units] = used;
        copy(out->bytes + used, text + begin, length, n - begin);
        used += (uint32_t)length;
        out->end[out->n_units++] = used;
    }
    end_group(out);
    return used;
}

/* Units are characters; two spaces or more are one blank. */
static uint32_t cut_characters(const skx_ngram_params *params, const uint8_t *text, int64_t n, pieces *out)
{
    uint32_t used = 0;
    int length, next;
    for (int64_t at = 0; at < n;) {
        int space = kind_of(params->kinds, text + at, n - at, &length) & SKX_SPACE;
        int64_t first = at, n_spaces = space ? 1 : 0;
        for (at += length; space && at < n && kind_of(params->kinds, text + at, n - at, &next) & SKX_SPACE; at += next)
            n_spaces++;
        if (n_spaces > 1) add_unit(out, &used, (const uint8_t *)" ", 1);
        else add_unit(out, &used, text + first, length);
    }
    end_group(out);
    return used;
}

/* Units are characters, groups what lies between spaces, between two blanks or before the mark. */
static uint32_t cut_characters_of_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, pieces *out)
{
    int blanks = params->analyzer == SKX_CHAR_WB, length;
    uint32_t used = 0;
    for (int64_t at = 0; at < n;) {
        if (kind_of(params->kinds, text + at, n - at, &length) & SKX_SPACE) {
            at += length;
            continue;
        }
        if (blanks) add_unit(out, &used, (const uint8_t *)" ", 1);
        do {
            add_unit(out, &used, text + at, length);
            at += length;
        } while (at < n && !(kind_of(params->kinds, text + at, n - at, &length) & SKX_SPACE));
        if (blanks) add_unit(out, &used, (const uint8_t *)" ", 1);
        else add_unit(out, &used, params->mark, params->mark_length);
        end_group(out);
    }
    return used;
}

void pieces_cut(const skx_ngram_params *params, const uint8_t *text, int64_t n, pieces *out)
{
    out->n_units = out->n_groups = out->longest = 0;
    out->group[0] = 0;
    uint32_t used;
    if (params->analyzer == SKX_WORD) used = cut_words(params, text, n, out);
    else if (params->analyzer == SKX_CHAR) used = cut_characters(params, text, n, out);
    else used = cut_characters_of_words(params, text, n, out);
    memset(out->bytes + used, 0, SKX_SLACK);
}
