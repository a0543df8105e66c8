/* A universal hash of long arrays. */
#include "skxmr.h"

#include <string.h>

enum { BLOCK_WORDS = SKX_COMPRESSED_BLOCK / 8 };

__extension__ typedef unsigned __int128 wide;

static inline uint64_t load_word(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* The NH hash of Black, Halevi, Krawczyk, Krovetz and Rogaway (1999), with words of 64 bits. */
static void compress_block(const uint8_t *block, const uint64_t *key, uint64_t *out)
{
    wide sum = 0;
    for (int64_t i = 0; i < BLOCK_WORDS; i += 2) {
        uint64_t left = load_word(block + 8 * i) + key[i], right = load_word(block + 8 * i + 8) + key[i + 1];
        sum += (wide)left * right;
    }
    out[0] = (uint64_t)sum;
    out[1] = (uint64_t)(sum >> 64);
}

int skx_compress(const uint8_t *data, int64_t n_bytes, const uint64_t *key, uint64_t *out)
{
    int64_t n_whole = n_bytes / SKX_COMPRESSED_BLOCK, left = n_bytes % SKX_COMPRESSED_BLOCK;
    for (int64_t b = 0; b < n_whole; b++) compress_block(data + b * SKX_COMPRESSED_BLOCK, key, out + 2 * b);
    if (left) {
        uint8_t last[SKX_COMPRESSED_BLOCK] = {0};
        memcpy(last, data + n_bytes - left, (size_t)left);
        compress_block(last, key, out + 2 * n_whole);
    }
    return SKX_OK;
}
