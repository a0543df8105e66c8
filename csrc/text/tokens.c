#include "text/tokens.h"

#include "text/terms.h" /* stop words */

#include <stdlib.h>

enum { SHARED_BYTES = 1 << 15 }; /* largest buffer for several texts */

/* The worst case is a text whose every other byte is a word: each gets two blanks, or a mark of four bytes. */
static int64_t max_token_bytes(int64_t n) { return 3 * n + 8; }

int skx_tokens_init(skx_tokens *out, int64_t longest, int64_t total)
{
    int64_t one = max_token_bytes(longest), all = max_token_bytes(total);
    if (all > SHARED_BYTES) all = SHARED_BYTES;
    size_t words = (size_t)longest / 64 + 1, tokens = (size_t)(2 * longest + 4), groups = (size_t)(longest + 3);
    size_t numbers = 2 * groups + tokens;
    memset(out, 0, sizeof *out);
    out->capacity = one > all ? one : all;
    out->bits = malloc(words * sizeof *out->bits + numbers * sizeof *out->start + (size_t)out->capacity + SKX_SLACK);
    if (!out->bits) return SKX_ENOMEM;
    out->start = (uint32_t *)(out->bits + words);
    out->group = out->start + tokens;
    out->edge = out->group + groups;
    out->bytes = (uint8_t *)(out->edge + groups);
    return SKX_OK;
}

void skx_tokens_free(skx_tokens *tokens) { free(tokens->bits); }

bool skx_tokens_fit(const skx_tokens *tokens, int64_t n) { return max_token_bytes(n) <= tokens->capacity - tokens->n_bytes; }

static bool is_continuation_byte(const uint8_t *text, int64_t n, int64_t at) { return at < n && (text[at] & 0xc0) == 0x80; }

/* @return how many continuation bytes a first byte is followed by; 0 for bytes that no character of several bytes begins with. */
static int n_continuation_bytes(uint8_t first)
{
    if (first < 0xc0 || first >= 0xf8) return 0;
    if (first < 0xe0) return 1;
    return first < 0xf0 ? 2 : 3;
}

/* Decode the character at the beginning of a text of n > 0 bytes, which is not ASCII. *code is SKX_CODE_POINTS if it is not
 * UTF-8. @return its length in bytes. */
static int utf8_decode(const uint8_t *text, int64_t n, uint32_t *code)
{
    int more = n_continuation_bytes(text[0]);
    uint32_t value = text[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if (!is_continuation_byte(text, n, i))
            more = 0;
        else
            value = value << 6 | (text[i] & 0x3fu);
    }
    *code = more && value < SKX_CODE_POINTS ? value : SKX_CODE_POINTS;
    return 1 + more;
}

/* @return the enum skx_character_kind flags of the first character of a text of n > 0 bytes; *length is its length in bytes. */
static inline int kind_of(const uint8_t *kinds, const uint8_t *text, int64_t n, int *length)
{
    uint32_t code = text[0];
    *length = code < 0x80 ? 1 : utf8_decode(text, n, &code);
    return code < SKX_CODE_POINTS ? kinds[code] : 0;
}

static inline void add_token(skx_tokens *out, const uint8_t *s, int length)
{
    for (int i = 0; i < length; i++) out->bytes[out->n_bytes++] = s[i];
    out->start[++out->n_tokens] = (uint32_t)out->n_bytes;
}

static inline void add_blank(skx_tokens *out) { add_token(out, (const uint8_t *)" ", 1); }

static void end_group(skx_tokens *out)
{
    int64_t length = out->n_tokens - out->group[out->n_groups];
    if (length > out->longest) out->longest = length;
    out->group[++out->n_groups] = (uint32_t)out->n_tokens;
}

/* Copy n bytes. Copies SKX_SLACK bytes if that many are readable, since a constant number is faster. */
static inline void copy(uint8_t *to, const uint8_t *from, int64_t n, int64_t readable)
{
    if (n <= SKX_SLACK && readable >= SKX_SLACK)
        memcpy(to, from, SKX_SLACK);
    else
        memcpy(to, from, (size_t)n);
}

/* Flag the 64 bytes that are ASCII characters of a kind. The kinds of ASCII characters are fixed, and compilers turn this into
 * vector instructions. */
static void flag_ascii(int kind, const uint8_t *block, uint8_t *flags)
{
    if (kind == SKX_SPACE)
        for (int i = 0; i < 64; i++)
            flags[i] = (block[i] == ' ') | ((uint8_t)(block[i] - '\t') < 5) | ((uint8_t)(block[i] - 0x1c) < 4);
    else
        for (int i = 0; i < 64; i++)
            flags[i] = ((uint8_t)((block[i] | 0x20) - 'a') < 26) | ((uint8_t)(block[i] - '0') < 10) | (block[i] == '_');
}

/* @return a word whose bit i is flags[i], which must be 0 or 1. */
static uint64_t pack_flags(const uint8_t *flags)
{
    uint64_t bits = 0;
    for (int i = 0; i < 64; i += 8) {
        uint64_t eight = 0;
        for (int j = 0; j < 8; j++) eight |= (uint64_t)flags[i + j] << 8 * j;
        bits |= (eight * UINT64_C(0x0102040810204080) >> 56) << i;
    }
    return bits;
}

static bool is_ascii(const uint8_t *block)
{
    uint8_t all = 0;
    for (int i = 0; i < 64; i++) all |= block[i];
    return all < 0x80;
}

/* Set the bits of the bytes that belong to words, and clear the others. Works on 64 bytes at once, because branches per byte
 * would be mispredicted. @return whether the text is ASCII. */
static bool mark_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t readable, uint64_t *bits)
{
    bool ascii = true;
    int length, kind = params->analyzer == SKX_WORD ? SKX_WORD_CHARACTER : SKX_SPACE;
    uint64_t inverted = kind == SKX_SPACE ? UINT64_MAX : 0; /* words consist of all characters but spaces */
    uint8_t flags[64], rest[64];
    for (int64_t at = 0; at <= n; at += 64) {
        const uint8_t *block = text + at;
        if (readable - at < 64) {
            memset(rest, 0, sizeof rest);
            memcpy(rest, block, (size_t)(n - at < 64 ? n - at : 64));
            block = rest;
        }
        flag_ascii(kind, block, flags);
        ascii &= is_ascii(block);
        bits[at >> 6] = pack_flags(flags) ^ inverted;
    }
    bits[n >> 6] &= (UINT64_C(1) << (n & 63)) - 1;
    if (ascii) return true;
    memset(bits, 0, (size_t)(n / 64 + 1) * sizeof *bits);
    for (int64_t at = 0; at < n; at += length) {
        uint64_t in_word = ((kind_of(params->kinds, text + at, n - at, &length) & kind) != 0) ^ (inverted & 1);
        for (int64_t i = at; i < at + length; i++) bits[i >> 6] |= in_word << (i & 63);
    }
    return false;
}

/* Find where words begin and end: edge[0] is the beginning of the first word, edge[1] its end, and so on.
 * @return whether the text is ASCII. */
static bool find_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t readable, skx_tokens *out)
{
    bool ascii = mark_words(params, text, n, readable, out->bits);
    uint64_t before = 0;
    out->n_edges = 0;
    for (int64_t w = 0; w <= n >> 6; w++) {
        uint64_t word = out->bits[w], changes = word ^ (word << 1 | before);
        before = word >> 63;
        for (; changes; changes &= changes - 1) out->edge[out->n_edges++] = (uint32_t)(64 * w + __builtin_ctzll(changes));
    }
    return ascii;
}

static int64_t count_characters(const uint8_t *text, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += (text[i] & 0xc0) != 0x80;
    return count;
}

static bool is_in(const skx_terms *words, const uint8_t *s, int64_t n)
{
    int64_t slot;
    return words && terms_find(words, s, n, terms_hash(s, n), &slot) >= 0;
}

/* Tokens are the runs of word characters that are long enough and not stop words. */
static void tokenize_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t readable, skx_tokens *out)
{
    bool ascii = find_words(params, text, n, readable, out);
    for (int64_t e = 0; e < out->n_edges; e += 2) {
        int64_t begin = out->edge[e], length = out->edge[e + 1] - begin;
        if ((ascii ? length : count_characters(text + begin, length)) < params->min_token_length) continue;
        copy(out->bytes + out->n_bytes, text + begin, length, readable - begin);
        if (is_in(params->stop_words, out->bytes + out->n_bytes, length)) continue;
        out->bytes[out->n_bytes + length] = ' ';
        out->n_bytes += length + 1;
        out->start[++out->n_tokens] = (uint32_t)out->n_bytes;
    }
    end_group(out);
}

/* Tokens are characters; several consecutive spaces are one blank. */
static void tokenize_characters(const skx_ngram_params *params, const uint8_t *text, int64_t n, skx_tokens *out)
{
    int length, next;
    for (int64_t at = 0; at < n;) {
        bool space = kind_of(params->kinds, text + at, n - at, &length) & SKX_SPACE;
        int64_t begin = at, n_spaces = space ? 1 : 0;
        for (at += length; space && at < n && kind_of(params->kinds, text + at, n - at, &next) & SKX_SPACE; at += next)
            n_spaces++;
        if (n_spaces > 1)
            add_blank(out);
        else
            add_token(out, text + begin, length);
    }
    end_group(out);
}

static void add_ascii(const uint8_t *s, int64_t n, int64_t readable, skx_tokens *out)
{
    uint32_t *start = out->start + out->n_tokens + 1, used = (uint32_t)out->n_bytes + 1;
    copy(out->bytes + out->n_bytes, s, n, readable);
    for (int64_t i = 0; i < n; i++) start[i] = used + (uint32_t)i;
    out->n_tokens += n;
    out->n_bytes += n;
}

static void add_characters(const uint8_t *s, int64_t n, skx_tokens *out)
{
    int length;
    uint32_t code;
    for (int64_t at = 0; at < n; at += length) {
        length = s[at] < 0x80 ? 1 : utf8_decode(s + at, n - at, &code);
        add_token(out, s + at, length);
    }
}

/* Tokens are characters. Groups are the words, between two blanks or followed by the mark. */
static void tokenize_characters_of_words(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t readable,
                                         skx_tokens *out)
{
    bool blanks = params->analyzer == SKX_CHAR_WB, ascii = find_words(params, text, n, readable, out);
    for (int64_t e = 0; e < out->n_edges; e += 2) {
        int64_t begin = out->edge[e], end = out->edge[e + 1];
        if (blanks) add_blank(out);
        if (ascii)
            add_ascii(text + begin, end - begin, readable - begin, out);
        else
            add_characters(text + begin, end - begin, out);
        if (blanks)
            add_blank(out);
        else
            add_token(out, params->mark, params->mark_length);
        end_group(out);
    }
}

void skx_tokenize(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t readable, skx_tokens *out)
{
    out->n_tokens = 0;
    out->n_groups = 0;
    out->longest = 0;
    out->start[0] = (uint32_t)out->n_bytes;
    out->group[0] = 0;
    out->gap = params->analyzer == SKX_WORD;
    if (params->analyzer == SKX_WORD)
        tokenize_words(params, text, n, readable, out);
    else if (params->analyzer == SKX_CHAR)
        tokenize_characters(params, text, n, out);
    else
        tokenize_characters_of_words(params, text, n, readable, out);
    memset(out->bytes + out->n_bytes, 0, SKX_SLACK);
}
