/* The index of neighbor rows: for each label, the entries of its members by feature. See skx_neighbor_rows. */
#ifndef SKX_NEIGHBOR_INDEX_H
#define SKX_NEIGHBOR_INDEX_H
#include "skxmr.h"

enum { SKX_OFFSET_SHIFT = 6, SKX_TAG_BITS = 16 };

/* The part of a label. Member j has scale[j] and row[j]. The entries of a bucket b are entry[offset[b] .. offset[b + 1]). An entry is
 * 65536 * a tag + 256 * a member + 128 + the value / scale. */
typedef struct {
    const uint32_t *scale; /* floats */
    const uint32_t *row;   /* SKX_NO_ROW if there is none */
    const uint32_t *offset;
    const uint32_t *entry;
    int tag_bits;
} skx_label_index;

#define SKX_NO_ROW UINT32_MAX

/* @return a one-to-one mapping of the features below 2^bits. Its high bits are the bucket, the others the tag. */
static inline uint32_t skx_feature_hash(uint32_t feature, int bits)
{
    return (feature * 0x9e3779b1u) & (uint32_t)((UINT64_C(1) << bits) - 1);
}

/* @return the part of a label with that many members. */
static inline skx_label_index skx_label_index_of(const skx_neighbor_rows *rows, int32_t label, int64_t n_members)
{
    int64_t packed = rows->index_ptr[label];
    int bucket_bits = (int)(packed & ((1 << SKX_OFFSET_SHIFT) - 1));
    const uint32_t *scale = rows->index + (packed >> SKX_OFFSET_SHIFT), *offset = scale + 2 * n_members;
    return (skx_label_index){scale, scale + n_members, offset, offset + (1 << bucket_bits) + 1, rows->feature_bits - bucket_bits};
}

#endif
