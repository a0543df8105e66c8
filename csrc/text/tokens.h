/* Tokenization: texts as the words or characters that n-grams consist of. */
#ifndef SKX_TOKENS_H
#define SKX_TOKENS_H
#include "skxmr.h"

#include <stdbool.h>

/* An n-gram is n consecutive tokens of one group: the bytes from the start of the first one to the end of the last one. Tokens
 * are words, followed by one blank each, or characters. Groups are the whole text, or its words. */
typedef struct {
    int64_t n_tokens;
    int64_t n_groups;
    int64_t longest;  /* tokens of the longest group */
    int64_t gap;      /* bytes between the end of a token and the start of the next one */
    int64_t n_bytes;  /* used bytes, including those of texts that were tokenized before */
    int64_t capacity; /* of bytes, without the SKX_SLACK bytes that follow */
    uint8_t *bytes;
    uint32_t *start; /* of each token in bytes, and of the token after the last one */
    uint32_t *group; /* first token of each group, and the end of the last group */
    uint64_t *bits;  /* scratch: one bit per byte of the text, and one more */
    uint32_t *edge;  /* scratch: where words begin and end */
    int64_t n_edges;
} skx_tokens;

/* Allocate memory for texts of up to `longest` bytes, at most SKX_MAX_TEXT_BYTES, and `total` bytes together. Release with
 * skx_tokens_free.
 * @return SKX_OK, or SKX_ENOMEM. */
int skx_tokens_init(skx_tokens *out, int64_t longest, int64_t total);
void skx_tokens_free(skx_tokens *tokens);

/* @return whether the bytes of a text of n bytes fit behind those in use. If not, set n_bytes to 0 first. */
bool skx_tokens_fit(const skx_tokens *tokens, int64_t n);

/* Tokenize a text of n bytes, of any content; `readable` >= n bytes may be read from it. Replaces the tokens and groups, and
 * appends to the bytes. Bytes that are not UTF-8 are characters that are neither word characters nor spaces. */
void skx_tokenize(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t readable, skx_tokens *out);

#endif
