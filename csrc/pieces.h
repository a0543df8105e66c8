/* A text cut into the units that its n-grams consist of. */
#ifndef SKX_PIECES_H
#define SKX_PIECES_H
#include "skxmr.h"

/* An n-gram is n units in a row of one group: the bytes from the first one's start to the last one's end. Units are words,
 * one space apart, or characters without a gap. Groups are the text as a whole, or its words. */
typedef struct {
    int64_t n_units;
    int64_t n_groups;
    int64_t longest; /* units of the longest group */
    uint64_t *bits;  /* scratch: one per byte of the text, and one more */
    uint8_t *bytes;  /* SKX_SLACK zeros follow */
    uint32_t *start; /* of each unit in bytes */
    uint32_t *end;
    uint32_t *group; /* first unit of each group, and the end of the last */
} pieces;

/* Room for texts of up to n bytes, at most SKX_MOST_TEXT. SKX_OK or SKX_ENOMEM; release with pieces_free. */
int pieces_init(pieces *out, int64_t n);
void pieces_free(pieces *p);

/* Cut a text, any n bytes. Bytes that are no UTF-8 count as characters that are neither of a word nor space. */
void pieces_cut(const skx_ngram_params *params, const uint8_t *text, int64_t n, pieces *out);

#endif
