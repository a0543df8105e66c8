#include "pieces.h"
#include "terms.h"

#include <stdlib.h>

enum { SEVERAL = 1 << 15 }; /* bytes for which there is room if there are so many */

/* Every other byte a word of its own is the worst case: two characters, or a mark of four bytes, more for each. */
static int64_t most_bytes(int64_t n) { return 3 * n + 8; }

int pieces_init(pieces *out, int64_t longest, int64_t all)
{
    int64_t most = most_bytes(longest), several = most_bytes(all);
    if (several > SEVERAL) several = SEVERAL;
    size_t words = (size_t)longest / 64 + 1, units = (size_t)(2 * longest + 4), groups = (size_t)(longest + 3);
    size_t numbers = 2 * groups + units;
    memset(out, 0, sizeof *out);
    out->capacity = most > several ? most : several;
    out->bits = malloc(words * sizeof *out->bits + numbers * sizeof *out->start + (size_t)out->capacity + SKX_SLACK);
    if (!out->bits) return SKX_ENOMEM;
    out->start = (uint32_t *)(out->bits + words);
    out->group = out->start + units;
    out->edge = out->group + groups;
    out->bytes = (uint8_t *)(out->edge + groups);
    return SKX_OK;
}

void pieces_free(pieces *p) { free(p->bits); }

int pieces_fits(const pieces *p, int64_t n) { return most_bytes(n) <= p->capacity - p->n_bytes; }

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

static inline void add_unit(pieces *out, const uint8_t *s, int length)
{
    for (int i = 0; i < length; i++) out->bytes[out->n_bytes++] = s[i];
    out->start[++out->n_units] = (uint32_t)out->n_bytes;
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

/* In ASCII, what is a word character and what a space is the same to all. Written for compilers to do 16 bytes at a time. */
static void flag_ascii(int kind, const uint8_t *block, uint8_t *flags)
{
    if (kind == SKX_SPACE)
        for (int i = 0; i < 64; i++)
            flags[i] = (block[i] == ' ') | ((uint8_t)(block[i] - '\t') < 5) | ((uint8_t)(block[i] - 0x1c) < 4);
    else
        for (int i = 0; i < 64; i++)
            flags[i] = ((uint8_t)((block[i] | 0x20) - 'a') < 26) | ((uint8_t)(block[i] - '0') < 10) | (block[i] == '_');
}

/* Bit i is the lowest one of flags[i]; the others have to be zero. */
static uint64_t packed(const uint8_t *flags)
{
    uint64_t bits = 0;
    for (int i = 0; i < 64; i += 8) {
        uint64_t eight = 0;
        for (int j = 0; j < 8; j++) eight |= (uint64_t)flags[i + j] << 8 * j;
        bits |= (eight * UINT64_C(0x0102040810204080) >> 56) << i;
    }
    return bits;
}

static int is_ascii(const uint8_t *block)
{
    uint8_t all = 0;
    for (int i = 0; i < 64; i++) all |= block[i];
    return all < 0x80;
}

/* Set the bits of the bytes that words are made of, and only those. Whether it was seen that all bytes are ASCII. A bit at a time
 * would be decided by branches that nothing foretells. */
static int mark(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t left, uint64_t *bits)
{
    int length, ascii = 1, kind = params->analyzer == SKX_WORD ? SKX_WORD_CHARACTER : SKX_SPACE;
    uint64_t others = kind == SKX_SPACE ? UINT64_MAX : 0;
    uint8_t flags[64], rest[64];
    for (int64_t at = 0; at <= n; at += 64) {
        const uint8_t *block = text + at;
        if (left - at < 64) {
            memset(rest, 0, sizeof rest);
            memcpy(rest, block, (size_t)(n - at < 64 ? n - at : 64));
            block = rest;
        }
        flag_ascii(kind, block, flags);
        ascii &= is_ascii(block);
        bits[at >> 6] = packed(flags) ^ others;
    }
    bits[n >> 6] &= (UINT64_C(1) << (n & 63)) - 1;
    if (ascii) return 1;
    memset(bits, 0, (size_t)(n / 64 + 1) * sizeof *bits);
    for (int64_t at = 0; at < n; at += length) {
        uint64_t found = ((kind_of(params->kinds, text + at, n - at, &length) & kind) != 0) ^ (others & 1);
        for (int64_t i = at; i < at + length; i++) bits[i >> 6] |= found << (i & 63);
    }
    return 0;
}

/* Where words begin and end, by turns. Whether all of the text is ASCII. */
static int find_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t left, pieces *out)
{
    int ascii = mark(params, text, n, left, out->bits);
    uint64_t before = 0;
    out->n_edges = 0;
    for (int64_t w = 0; w <= n >> 6; w++) {
        uint64_t word = out->bits[w], changes = word ^ (word << 1 | before);
        before = word >> 63;
        for (; changes; changes &= changes - 1)
            out->edge[out->n_edges++] = (uint32_t)(64 * w + __builtin_ctzll(changes));
    }
    return ascii;
}

static int64_t count_characters(const uint8_t *text, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += (text[i] & 0xc0) != 0x80;
    return count;
}

static int is_in(const skx_terms *words, const uint8_t *s, int64_t n)
{
    int64_t slot;
    return words && terms_find(words, s, n, terms_hash(s, n), &slot) >= 0;
}

/* Units are the longest runs of word characters, if they are long enough and no stop words. */
static void cut_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t left, pieces *out)
{
    int ascii = find_words(params, text, n, left, out);
    for (int64_t e = 0; e < out->n_edges; e += 2) {
        int64_t begin = out->edge[e], length = out->edge[e + 1] - begin;
        if ((ascii ? length : count_characters(text + begin, length)) < params->min_token_length) continue;
        copy(out->bytes + out->n_bytes, text + begin, length, left - begin);
        if (is_in(params->stop_words, out->bytes + out->n_bytes, length)) continue;
        out->bytes[out->n_bytes + length] = ' ';
        out->n_bytes += length + 1;
        out->start[++out->n_units] = (uint32_t)out->n_bytes;
    }
    end_group(out);
}

/* Units are characters; two spaces or more are one blank. */
static void cut_characters(const skx_ngram_params *params, const uint8_t *text, int64_t n, pieces *out)
{
    int length, next;
    for (int64_t at = 0; at < n;) {
        int space = kind_of(params->kinds, text + at, n - at, &length) & SKX_SPACE;
        int64_t first = at, n_spaces = space ? 1 : 0;
        for (at += length; space && at < n && kind_of(params->kinds, text + at, n - at, &next) & SKX_SPACE; at += next)
            n_spaces++;
        if (n_spaces > 1) add_unit(out, (const uint8_t *)" ", 1);
        else add_unit(out, text + first, length);
    }
    end_group(out);
}

static void add_ascii(const uint8_t *s, int64_t n, int64_t left, pieces *out)
{
    uint32_t *start = out->start + out->n_units + 1, used = (uint32_t)out->n_bytes + 1;
    copy(out->bytes + out->n_bytes, s, n, left);
    for (int64_t i = 0; i < n; i++) start[i] = used + (uint32_t)i;
    out->n_units += n;
    out->n_bytes += n;
}

static void add_characters(const uint8_t *s, int64_t n, pieces *out)
{
    int length;
    uint32_t code;
    for (int64_t at = 0; at < n; at += length) {
        length = s[at] < 0x80 ? 1 : decode_long(s + at, n - at, &code);
        add_unit(out, s + at, length);
    }
}

/* Units are characters, groups what lies between spaces, between two blanks or before the mark. */
static void cut_characters_of_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t left, pieces *out)
{
    int blanks = params->analyzer == SKX_CHAR_WB, ascii = find_words(params, text, n, left, out);
    for (int64_t e = 0; e < out->n_edges; e += 2) {
        int64_t begin = out->edge[e], end = out->edge[e + 1];
        if (blanks) add_unit(out, (const uint8_t *)" ", 1);
        if (ascii) add_ascii(text + begin, end - begin, left - begin, out);
        else add_characters(text + begin, end - begin, out);
        if (blanks) add_unit(out, (const uint8_t *)" ", 1);
        else add_unit(out, params->mark, params->mark_length);
        end_group(out);
    }
}

void pieces_cut(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t left, pieces *out)
{
    out->n_units = out->n_groups = out->longest = 0;
    out->start[0] = (uint32_t)out->n_bytes;
    out->group[0] = 0;
    out->gap = params->analyzer == SKX_WORD;
    if (params->analyzer == SKX_WORD) cut_words(params, text, n, left, out);
    else if (params->analyzer == SKX_CHAR) cut_characters(params, text, n, out);
    else cut_characters_of_words(params, text, n, left, out);
    memset(out->bytes + out->n_bytes, 0, SKX_SLACK);
}
