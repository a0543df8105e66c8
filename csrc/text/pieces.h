/* Texts cut into the units that their n-grams consist of. */
#ifndef SKX_PIECES_H
#define SKX_PIECES_H
#include "skxmr.h"

/* An n-gram is n units in a row of one group: the bytes from the first one's start to the last one's end. Units are words,
 * one blank after each, or characters without a gap. Groups are the text as a whole, or its words. */
typedef struct {
    int64_t n_units;
    int64_t n_groups;
    int64_t longest;  /* units of the longest group */
    int64_t gap;      /* bytes between a unit's end and the next one's start */
    int64_t n_bytes;  /* used of bytes, also by texts that were cut before */
    int64_t capacity; /* of bytes, without the SKX_SLACK that follow */
    uint8_t *bytes;
    uint32_t *start; /* of each unit in bytes, and where one more would start */
    uint32_t *group; /* first unit of each group, and the end of the last */
    uint64_t *bits;  /* scratch: one per byte of the text, and one more */
    uint32_t *edge;  /* scratch: where words begin and end */
    int64_t n_edges;
} pieces;

/* Room for texts of up to `longest` bytes, at most SKX_MOST_TEXT, `all` bytes in all. SKX_OK or SKX_ENOMEM; release with
 * pieces_free. */
int pieces_init(pieces *out, int64_t longest, int64_t all);
void pieces_free(pieces *p);

/* Whether there is room for a text of n bytes; if not, n_bytes has to be set back to 0. */
int pieces_fits(const pieces *p, int64_t n);

/* Cut a text, any n bytes, which `left` may be read of. Units and groups take the place of those before, their bytes come after
 * those before. Bytes that are no UTF-8 count as characters that are neither of a word nor space. */
void pieces_cut(const skx_ngram_params *params, const uint8_t *text, int64_t n, int64_t left, pieces *out);

#endif
