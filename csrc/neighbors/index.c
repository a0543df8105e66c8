/* Construction of the index of neighbor rows. */
#include "neighbors/index.h"

#include "base/span.h"
#include "neighbors/candidates.h"
#include "skxmr.h"

#include <string.h>

enum { ENTRIES_PER_BUCKET = 3 };

static int64_t members_of(span postings)
{
    int64_t n = postings.end - postings.begin;
    return n < SKX_MAX_MEMBERS ? n : SKX_MAX_MEMBERS;
}

/* @return the words of a member after its scale; none if it has no row. */
static span entries_of(const skx_neighbor_rows *rows, int32_t row)
{
    if (row < 0) return (span){0, 0};
    span s = span_of(rows->word_ptr, row, rows->n_words);
    return s.begin < s.end ? (span){s.begin + 1, s.end} : s;
}

static int bucket_bits(int64_t n_entries, int feature_bits)
{
    int bits = feature_bits > SKX_TAG_BITS ? feature_bits - SKX_TAG_BITS : 0;
    while (bits < feature_bits && ((int64_t)ENTRIES_PER_BUCKET << bits) < n_entries) bits++;
    return bits;
}

static bool arguments_valid(const skx_neighbor_rows *rows, int feature_bits)
{
    bool sizes_valid = rows->n_rows >= 0 && rows->n_labels >= 0 && rows->n_entries >= 0 && rows->n_words >= 0;
    return sizes_valid && rows->n_dims == 0 && feature_bits >= 0 && feature_bits <= SKX_MAX_FEATURE_BITS;
}

int skx_neighbor_index_measure(const skx_neighbor_rows *rows, int feature_bits, int64_t *index_ptr)
{
    if (!arguments_valid(rows, feature_bits)) return SKX_EARG;
    int64_t n_words = 0;
    for (int64_t l = 0; l < rows->n_labels; l++) {
        span postings = skx_postings_of(rows, (int32_t)l);
        int64_t n_members = members_of(postings), n_entries = 0;
        for (int64_t j = 0; j < n_members; j++) {
            span s = entries_of(rows, skx_member(rows, postings, j, n_members));
            n_entries += s.end - s.begin;
        }
        if (n_entries > INT32_MAX) return SKX_ECAPACITY;
        int bits = bucket_bits(n_entries, feature_bits);
        index_ptr[l] = n_words << SKX_OFFSET_SHIFT | bits;
        n_words += n_members ? 2 * n_members + (INT64_C(1) << bits) + 1 + n_entries : 0;
        if (n_words > INT64_MAX >> (SKX_OFFSET_SHIFT + 1)) return SKX_ECAPACITY;
    }
    index_ptr[rows->n_labels] = n_words;
    return SKX_OK;
}

/* Write the scale and the row of a member. */
static void write_member(const skx_neighbor_rows *rows, int32_t row, uint32_t *scale, uint32_t *number)
{
    span s = row < 0 ? (span){0, 0} : span_of(rows->word_ptr, row, rows->n_words);
    *scale = s.begin < s.end ? rows->word[s.begin] : 0;
    *number = row < 0 ? SKX_NO_ROW : (uint32_t)row;
}

/* Write the part of a label: count the entries of each bucket, and distribute them. */
static void write_label(const skx_neighbor_rows *rows, int32_t label, int feature_bits, const int64_t *index_ptr, uint32_t *index)
{
    span postings = skx_postings_of(rows, label);
    int64_t n_members = members_of(postings);
    if (n_members == 0) return;
    int bits = (int)(index_ptr[label] & ((1 << SKX_OFFSET_SHIFT) - 1)), tag_bits = feature_bits - bits;
    uint32_t *scale = index + (index_ptr[label] >> SKX_OFFSET_SHIFT), *number = scale + n_members, *offset = number + n_members;
    uint32_t *entry = offset + (1 << bits) + 1, tags = (uint32_t)((1 << tag_bits) - 1);
    memset(offset, 0, sizeof *offset * (size_t)((1 << bits) + 1));
    for (int64_t j = 0; j < n_members; j++) {
        int32_t row = skx_member(rows, postings, j, n_members);
        span s = entries_of(rows, row);
        write_member(rows, row, scale + j, number + j);
        for (int64_t i = s.begin; i < s.end; i++)
            offset[(skx_feature_hash(rows->word[i] >> 8, feature_bits) >> tag_bits) + 1]++;
    }
    for (int64_t b = 0; b < 1 << bits; b++) offset[b + 1] += offset[b];
    for (int64_t j = 0; j < n_members; j++) {
        span s = entries_of(rows, skx_member(rows, postings, j, n_members));
        for (int64_t i = s.begin; i < s.end; i++) {
            uint32_t hash = skx_feature_hash(rows->word[i] >> 8, feature_bits);
            entry[offset[hash >> tag_bits]++] = (hash & tags) << 16 | (uint32_t)j << 8 | (rows->word[i] & 0xff);
        }
    }
    memmove(offset + 1, offset, sizeof *offset * (size_t)(1 << bits)); /* ends of buckets become begins */
    offset[0] = 0;
}

int skx_neighbor_index_write(const skx_neighbor_rows *rows, int feature_bits, const int64_t *index_ptr, uint32_t *index)
{
    if (!arguments_valid(rows, feature_bits)) return SKX_EARG;
    for (int64_t l = 0; l < rows->n_labels; l++) write_label(rows, (int32_t)l, feature_bits, index_ptr, index);
    return SKX_OK;
}
