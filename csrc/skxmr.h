/* skxmr: the C core of extreme multi-label ranking.
 *
 * In order of use:
 *     skx_kernels_find(NULL, &kernels);              the hot loops for this processor
 *   Check input from outside, once:
 *     skx_csr_check(&x, nnz, &row);                  a matrix: canonical and finite
 *   Train, node by node:
 *     skx_kmeans_balanced(kernels, &z, ...);         cluster label embeddings into a tree
 *     skx_train_node(kernels, &x, &node, ...);       the weights of the children of a node
 *   Write the children of each node as chunks of at most SKX_CHUNK_WIDTH:
 *     skx_chunk_size(&weights, ..., &n_slots, &n_bytes);
 *     skx_chunk_write(&weights, ..., index, payload);
 *   Join the chunks of a level into a skx_layer, the layers into a skx_model. Check layers from outside:
 *     skx_layer_check(&layer, n_features, ...);
 *   Rank, in any number of threads at once:
 *     skx_rank(kernels, &model, &x, ...);            a range of checked rows
 *     skx_rank_row(kernels, &model, ...);            one row that was not checked
 *     skx_find_neighbors(&rows, &x, ...);            nearest training rows
 *     skx_find_similar(kernels, &rows, &x, ...);     those with the most similar embeddings
 *     skx_combine(&neighbors, 1, ...);               combine the ranking with their labels
 *
 * The rules that hold for every function here:
 *   - The library is stateless: no globals, no threads, no I/O. Everything is passed in, inputs first and const, outputs last.
 *   - Memory belongs to the caller. Functions allocate scratch only and free it before they return.
 *   - A function that can fail returns an enum skx_status. Outputs are undefined unless it is SKX_OK or documented otherwise.
 *   - Functions that may take long return SKX_ECANCELLED soon after *cancel of their params becomes nonzero. Another thread may
 *     set it at any time; it is read atomically. cancel may be NULL.
 *   - Row pointers and sizes are int64, indices int32, values float32. Ranges are half open: begin <= i < end.
 *   - Functions that take a kernel table (skx_kernels) give the same result for every table up to rounding, and exactly the
 *     same result for the same table however the work is divided into ranges.
 *   - Input matrices must have passed skx_csr_check, and models skx_layer_check; nothing else is assumed of them. The search
 *     relies on the pointers of a model only: any content of index, payload, bias and slot_label gives some ranking.
 *
 * cffi parses this file, so preprocessor lines are one line long and constants are enums.
 */
#ifndef SKXMR_H
#define SKXMR_H
#include <stdint.h>

/* ---- status codes ---------------------------------------------------------------------------------------------- */

enum skx_status {
    SKX_OK = 0,
    SKX_ENOMEM = 1,     /* out of memory */
    SKX_EARG = 2,       /* an argument is outside its documented range */
    SKX_EISA = 3,       /* unknown instruction set, or one this processor lacks */
    SKX_EPOINTER = 4,   /* row pointers do not start at 0, fall, or end beyond the arrays */
    SKX_EINDEX = 5,     /* a column index is out of range */
    SKX_EORDER = 6,     /* the column indices of a row are not strictly increasing */
    SKX_EFINITE = 7,    /* a value is NaN or infinite */
    SKX_ECAPACITY = 8,  /* an output array is too small, or a limit of a format is exceeded */
    SKX_EMODEL = 9,     /* a compiled layer is malformed */
    SKX_ECANCELLED = 10 /* the caller set *cancel */
};

/* @return the name of a status, such as "SKX_ENOMEM"; "unknown" for any other number. */
const char *skx_status_name(int status);

/* ---- instruction sets ------------------------------------------------------------------------------------------- */

/* A table of the hot loops, compiled for one instruction set. Lives as long as the library. */
typedef struct skx_kernels skx_kernels;

/* Find the table called "baseline", "avx2" or "avx512"; or, if name is NULL or empty, the best one that this processor can run.
 * @return SKX_OK; or SKX_EISA if there is no such table or the processor cannot run it. */
int skx_kernels_find(const char *name, const skx_kernels **out);

/* @return the name of a table. */
const char *skx_kernels_name(const skx_kernels *kernels);

/* ---- hashes ----------------------------------------------------------------------------------------------------------- */

enum skx_hash_limits { SKX_COMPRESSED_BLOCK = 1024 /* bytes */ };

/* Compress each block of SKX_COMPRESSED_BLOCK bytes of data, the last one padded by zeros, to two words of out. key has a word for
 * each 8 bytes of a block. For words drawn at random, the probability that two different blocks are compressed to the same
 * words is at most 2^-64, whatever the blocks are.
 * @return SKX_OK. */
int skx_compress(const uint8_t *data, int64_t n_bytes, const uint64_t *key, uint64_t *out);

/* ---- sparse matrices ---------------------------------------------------------------------------------------------- */

/* Compressed sparse rows: row i holds indices[indptr[i] .. indptr[i+1]). */
typedef struct {
    int64_t n_rows;
    int64_t n_cols;
    const int64_t *indptr;
    const int32_t *indices;
    const float *data;
    int mapped; /* whether indices and data are mapped from files, and only read. Functions that read many rows then drop their
                 * pages from the memory of the process again and again; the system keeps them as long as it has memory. */
} skx_csr;

/* Memory that is mapped, shared, from a file of its own: for rows that would take more memory than a process may. Pages are
 * dropped as those of mapped matrices are. */
typedef struct {
    uint8_t *at; /* a multiple of 64 */
    int64_t n_bytes;
} skx_scratch;

/* Arrays of the caller that rows are written to. */
typedef struct {
    int64_t capacity; /* length of indices and of data */
    int64_t *indptr;  /* one more than there are rows; from 0 */
    int32_t *indices;
    float *data;
} skx_csr_buffers;

/* Check an untrusted matrix whose indices and data hold nnz elements each, in one pass. data may be NULL.
 * *row is the row of the first fault; -1 if there is none, or if the row pointers do not start at 0.
 * @return SKX_OK; or the first fault: SKX_EPOINTER, SKX_EINDEX, SKX_EORDER or SKX_EFINITE. */
int skx_csr_check(const skx_csr *a, int64_t nnz, int64_t *row);

/* Transpose: indptr has n_cols + 1 elements, indices and data a's number of nonzeros; rows come out sorted. data (and
 * a->data) may be NULL: then only the pattern is transposed.
 * @return SKX_OK, or SKX_ENOMEM. */
int skx_csr_transpose(const skx_csr *a, int64_t *indptr, int32_t *indices, float *data);

/* Row g - begin of the output is the sum of weight[e] * x[member[e]] over group_ptr[g] <= e < group_ptr[g+1], for
 * begin <= g < end; divided by its Euclidean norm if normalize is set. The sum of the lengths of the members is always a
 * sufficient capacity. Members must lie in [0, x->n_rows).
 * @return SKX_OK; SKX_ENOMEM; SKX_EARG if begin < 0 or begin > end; SKX_ECAPACITY if the capacity is too small; or SKX_EFINITE if
 *         a sum overflows. */
int skx_csr_group_sum(const skx_csr *x, const int64_t *group_ptr, const int32_t *member, const float *weight, int64_t begin,
                      int64_t end, int normalize, skx_csr_buffers *out);

/* at[i] is the position of the first entry of row i in column first or a later one. Unless norm is NULL, norm[i] is the Euclidean
 * norm of the row from there on.
 * @return SKX_OK. */
int skx_csr_split(const skx_csr *a, int64_t first, int64_t *at, double *norm);

/* hash[i] is a hash of the entries of row i, combined with seed[i] unless seed is NULL. Equal rows have equal hashes.
 * @return SKX_OK. */
int skx_csr_hash_rows(const skx_csr *a, const uint64_t *seed, uint64_t *hash);

/* equal[e] is 1 if the rows left[e] and right[e] have the same entries, otherwise 0. Rows must lie in range.
 * @return SKX_OK. */
int skx_csr_compare_rows(const skx_csr *a, const int32_t *left, const int32_t *right, int64_t n, uint8_t *equal);

/* Take the k stored entries of each row with the highest values, best first, ties by lower column. Rows with fewer entries are
 * padded with label -1 and score -inf. NaN ranks as -inf. labels and scores are (n_rows, k), row-major.
 * @return SKX_OK; SKX_ENOMEM; or SKX_EARG if k < 1. */
int skx_csr_top_k(const skx_csr *a, int64_t k, int32_t *labels, float *scores);

/* ---- clustering --------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t n_clusters; /* at least 1, at most n_rows */
    int max_iter;       /* at least 1 */
    int spherical;      /* divide centers by their norm (then rows should have norm 1) */
    uint64_t seed;
    const int32_t *cancel;
    skx_scratch scratch; /* used for the rows if it has 8 bytes for each of their nonzeros */
} skx_kmeans_params;

/* Cluster the rows z[rows[0]], ..., z[rows[n-1]] into params->n_clusters clusters whose sizes differ by at most one, by
 * recursive bisection: balanced 2-means whose cut is found by selection. cluster[i] is the cluster of rows[i]; *n_iter is the
 * largest number of iterations of any bisection.
 * @return SKX_OK; SKX_ENOMEM; SKX_EARG if params are out of range; or SKX_ECANCELLED. */
int skx_kmeans_balanced(const skx_kernels *kernels, const skx_csr *z, const int32_t *rows, int64_t n,
                        const skx_kmeans_params *params, int32_t *cluster, int32_t *n_iter);

/* Cluster the rows z[rows[0]], ..., z[rows[n-1]] by Lloyd's iterations from k-means++ seeds. Clusters have any size, and some may
 * be empty. cluster and *n_iter are as above.
 * @return as skx_kmeans_balanced. */
int skx_kmeans_lloyd(const skx_kernels *kernels, const skx_csr *z, const int32_t *rows, int64_t n,
                     const skx_kmeans_params *params, int32_t *cluster, int32_t *n_iter);

/* ---- texts --------------------------------------------------------------------------------------------------------- */

/* Text i has the code points points[ptr[i] .. ptr[i+1]). Surrogates are code points like others. */
typedef struct {
    int64_t n_texts;
    const int64_t *ptr;
    const uint32_t *points;
} skx_points;

/* Sort texts by their code points. A text comes before those that begin with it, and equal texts are in the order of their
 * numbers. order[i] is the text at sorted position i; common[i] is the length of the prefix that it shares with the text at
 * i - 1, in code points (common[0] is 0). Both have n_texts elements.
 * @return SKX_OK; SKX_ENOMEM; SKX_EARG if ptr does not increase from 0, or for a code point above 0x10ffff; or SKX_ECANCELLED. */
int skx_texts_sort(const skx_points *texts, const int32_t *cancel, int32_t *order, int64_t *common);

/* Text i is bytes[ptr[i] .. ptr[i + 1]), in UTF-8. Any bytes are safe. */
typedef struct {
    int64_t n_texts;
    int64_t n_bytes;
    const int64_t *ptr;
    const uint8_t *bytes;
} skx_texts;

/* Find the texts that begin with each of the prefixes, among texts sorted by their bytes: [range[2 * i], range[2 * i + 1]) for
 * prefix i. Pointers of the texts may be any numbers.
 * @return SKX_OK, or SKX_EPOINTER if pointers of the prefixes lead outside. */
int skx_texts_find_prefixes(const skx_texts *sorted, const skx_texts *prefixes, int64_t *range);

/* Entries of texts that are sorted by their bytes: entry i is text text[i] from its byte offset[i] on. The entries are sorted by
 * their bytes, too. If text and offset are NULL, the entries are the whole texts. head[i] are the first eight bytes of entry i as
 * a number, the first byte the most significant, with zeros after the end. best is a binary tree over the entries with
 * 2 * n_entries numbers: best[n_entries + i] is the rank of the text of entry i by popularity, from 0, and best[p] is the smaller
 * one of best[2 * p] and best[2 * p + 1] for 1 <= p < n_entries. Any content of the arrays is safe. */
typedef struct {
    const skx_texts *texts;
    int64_t n_entries; /* at most 2^30 - 1 */
    const int32_t *text;
    const int32_t *offset;
    const uint64_t *head;
    const int32_t *best;
} skx_text_index;

typedef struct {
    int64_t k;                    /* maximum number of texts */
    int64_t n_exact;              /* without errors in the first n_exact characters */
    int n_errors;                 /* 0 or 1: typing errors */
    int64_t skip_begin, skip_end; /* texts that are left out: skip_begin <= t < skip_end */
    int64_t n_skipped;
    const int32_t *skipped; /* more texts that are left out */
} skx_match_params;

/* Find the k most popular texts with an entry that begins with the typed text, or with a text that differs from it by one typing
 * error: a character that is missing, superfluous or wrong, or two adjacent ones that are exchanged. Characters are those of
 * UTF-8. found has k elements, most popular first, each text once.
 * @return SKX_OK; SKX_ENOMEM; or SKX_EARG if a number is out of range. */
int skx_matches_find(const skx_text_index *index, const uint8_t *typed, int64_t n_typed, const skx_match_params *params,
                     int32_t *found, int64_t *n_found);

/* Find the k most popular texts with an entry in one of the ranges [range[2 * i], range[2 * i + 1]). n_errors and n_exact are not
 * used. Otherwise as skx_matches_find.
 * @return SKX_OK; SKX_ENOMEM; or SKX_EARG if a range leads outside. */
int skx_matches_of_ranges(const skx_text_index *index, const int64_t *range, int64_t n_ranges, const skx_match_params *params,
                          int32_t *found, int64_t *n_found);

/* ---- training -------------------------------------------------------------------------------------------------------- */

enum skx_loss { SKX_SQUARED_HINGE = 0, SKX_LOG_LOSS = 1 };

typedef struct {
    int loss;        /* enum skx_loss */
    int max_iter;    /* at least 1: passes over the rows of a node */
    float C;         /* positive: weight of the loss relative to the regularizer */
    float bias;      /* value of the constant feature; 0 for none. Its weight is regularized like the others. */
    float tol;       /* positive: see kernels/squared_hinge.c and kernels/log_loss.c for the stopping rules */
    float threshold; /* weights with |w| < threshold are dropped, as are zeros */
    uint64_t seed;
    const int32_t *cancel;
    int64_t n_dense;     /* number of last columns of x whose weights are written to the dense ones; 0 for none */
    skx_scratch scratch; /* used for the examples of the node if they fit: see skx_train_bytes */
} skx_train_params;

/* Which children learn from an example. */
enum skx_role {
    SKX_FOR_ALL = 0,
    SKX_FOR_POSITIVES = 1, /* children that it is a positive of */
    SKX_FOR_OTHERS = 2     /* children that it is not a positive of */
};

/* The training examples of one tree node, in increasing order, and the positives of each child c,
 * positive[positive_ptr[c] .. positive_ptr[c+1]), a subset in increasing order. */
typedef struct {
    int64_t n_examples;
    int64_t n_children;
    const int32_t *examples;
    const int64_t *positive_ptr;
    const int32_t *positive;
    const int32_t *source; /* example i has the features of row source[i] of x; NULL: of row i */
    const float *weight;   /* factor of C for example i; NULL: 1 */
    const uint8_t *role;   /* enum skx_role of the example examples[i]; NULL: all SKX_FOR_ALL */
} skx_node;

/* The weights of some children of one node, one column per child. */
typedef struct {
    int64_t width;           /* children, 1 .. SKX_CHUNK_WIDTH */
    int64_t n_local;         /* length of features */
    const int32_t *features; /* strictly increasing, in [0, n_features) */
    const int64_t *col_ptr;  /* width + 1 */
    const int32_t *entries;  /* positions in features, strictly increasing within a column */
    const float *values;     /* finite, none zero */
} skx_sibling_weights;

/* Arrays of the caller that such weights are written to. */
typedef struct {
    int64_t feature_capacity; /* length of features */
    int64_t weight_capacity;  /* length of entries and of values */
    int32_t *features;        /* sorted; n_features of them used */
    int64_t *col_ptr;         /* one more than there are children; from 0 */
    int32_t *entries;
    float *values;
    float *bias;        /* one per child: its bias weight times the constant feature */
    int64_t n_features; /* set by the call */
    float *dense;       /* (children, n_dense), row-major: the weights of the dense columns, small ones included */
} skx_weight_buffers;

/* @return the bytes of the copy that skx_train_node makes of the examples of a node. */
int64_t skx_train_bytes(const skx_csr *x, const skx_node *node, int64_t n_dense);

/* Train one linear ranker per child in begin <= c < node->n_children, all on the same examples, by dual coordinate descent on
 * 16 children at a time. Stops before a block of 16 that may exceed the capacity: *done is the next child, and out holds the
 * weights of the children begin <= c < *done. *n_iter is the largest number of passes of any block.
 * @return SKX_OK; SKX_ENOMEM; SKX_EARG if params or begin are out of range, C times a weight is not positive, or a positive
 *         is not an example; SKX_EFINITE if the squared norm of a row or a weight overflows; SKX_ECANCELLED; or SKX_ECAPACITY
 *         if feature_capacity is too small, the capacity is too small for the first block (16 * the number of features is
 *         always enough), or the examples together take 2^38 bytes. */
int skx_train_node(const skx_kernels *kernels, const skx_csr *x, const skx_node *node, const skx_train_params *params,
                   int64_t begin, skx_weight_buffers *out, int64_t *done, int32_t *n_iter);

/* ---- compiled layers --------------------------------------------------------------------------------------------------- */

/* The weights of a node's children are compiled into chunks of at most SKX_CHUNK_WIDTH children, searched feature by
 * feature. Features are numbered in blocks of 64. A chunk's index has one slot per block: all blocks of the feature space
 * in order ("direct"), or an open-addressed hash table of the blocks that occur, whose size is a power of two below the
 * direct size. A slot says which of its 64 features have a row, and where in the payload they lie:
 *     uint16 start[rows + 1]    byte offsets from the block's beginning, rows in order of their features
 *     per row, by the chunk's width:
 *     up to 16                  a mask, uint16, of the children that have a weight, then their values, rising
 *     more, dense               one value per child, padded by zeros to a multiple of 4; or
 *     more, pairs               n values, then their n child numbers, uint8, rising
 * A row of a wide chunk is dense if and only if it has the dense length. Values are float32 or float16 throughout a layer.
 * Blocks begin at multiples of 4 bytes.
 *
 * The last n_dense features of a model may be dense: then the functions for chunks get the number of the other features, and the
 * weights of the dense features are stored apart, in panels of SKX_PANEL children, and the rest in the last one. A panel has
 * one row per dense feature, with one value per child, padded to a multiple of 4. */
enum skx_layout { SKX_CHUNK_WIDTH = 240, SKX_BLOCK = 64, SKX_PANEL = 16 };

enum skx_value_bytes { SKX_FLOAT16 = 2, SKX_FLOAT32 = 4 };

typedef struct {
    uint64_t bits; /* bit j: feature 64 * key + j has a row */
    uint32_t base; /* where the block begins in the chunk's payload, in units of 4 bytes */
    uint32_t key;  /* the block's number; in a hash table, an unused slot has bits == 0 */
} skx_slot;

/* Compute the number of slots and of payload bytes of the compiled chunk, with values of value_bytes each.
 * @return SKX_OK; SKX_ENOMEM; SKX_EARG if width or value_bytes are out of range; SKX_EFINITE if a value exceeds the type; or
 *         SKX_ECAPACITY if the chunk exceeds the 32-bit offsets. */
int skx_chunk_size(const skx_sibling_weights *weights, int64_t n_features, int64_t value_bytes, int64_t *n_slots,
                   int64_t *n_bytes);

/* Compile into index[n_slots] and payload[n_bytes], with the sizes from skx_chunk_size. float16 values are rounded to the
 * nearest, but none to zero.
 * @return SKX_OK, or SKX_ENOMEM. */
int skx_chunk_write(const skx_sibling_weights *weights, int64_t n_features, int64_t value_bytes, int64_t n_slots, int64_t n_bytes,
                    skx_slot *index, uint8_t *payload);

typedef struct {
    int64_t n_slots;
    int64_t n_bytes;
    int64_t width;
    int64_t value_bytes; /* enum skx_value_bytes */
    const skx_slot *index;
    const uint8_t *payload;
} skx_chunk;

/* Check that a chunk has the format, and count its weights and its rows.
 * @return SKX_OK, or SKX_EMODEL. */
int skx_chunk_check(const skx_chunk *chunk, int64_t n_features, int64_t *n_weights, int64_t *n_rows);

/* Undo skx_chunk_write, without weights with |w| < threshold. The chunk must have passed skx_chunk_check, and out must hold the
 * rows (features) and weights that this counted. Features without weights are left out. A chunk has no biases: out->bias and the
 * capacities are ignored.
 * @return SKX_OK. */
int skx_chunk_read(const skx_chunk *chunk, int64_t n_features, float threshold, skx_weight_buffers *out);

/* Write the chunk without weights with |w| < threshold: the result equals that of skx_chunk_read and skx_chunk_write. The chunk
 * must have passed skx_chunk_check. index and payload have as many elements as those of the chunk; *n_slots and *n_bytes of them
 * are used.
 * @return SKX_OK; SKX_ENOMEM; or SKX_ECAPACITY if these are too small, because blocks overlap. */
int skx_chunk_prune(const skx_chunk *chunk, int64_t n_features, float threshold, int64_t *n_slots, int64_t *n_bytes,
                    skx_slot *index, uint8_t *payload);

/* ---- beam search ---------------------------------------------------------------------------------------------------- */

/* Level l of the label tree with the rankers of its nodes' children. Node p's children are child_ptr[p] .. child_ptr[p+1],
 * its chunks chunk_ptr[p] .. chunk_ptr[p+1], each but the last of SKX_CHUNK_WIDTH children. */
typedef struct {
    int64_t n_nodes;
    int64_t n_chunks;
    int64_t value_bytes; /* enum skx_value_bytes */
    const int64_t *child_ptr;
    const int64_t *chunk_ptr;
    const int64_t *index_ptr;   /* n_chunks + 1, into index */
    const int64_t *payload_ptr; /* n_chunks + 1, into payload, in bytes */
    const skx_slot *index;
    const uint8_t *payload;
    const float *bias;        /* one per child */
    const int64_t *dense_ptr; /* n_chunks + 1, into dense, in bytes; not used without dense features */
    const uint8_t *dense;     /* the panels of each chunk */
} skx_layer;

/* Check a layer whose arrays hold n_slots and n_bytes elements: pointers, then every chunk, then biases. *where is the faulty
 * node, or -1 if the fault is not in a node. The dense features are neither counted nor checked.
 * @return SKX_OK, or SKX_EMODEL. */
int skx_layer_check(const skx_layer *layer, int64_t n_features, int64_t n_slots, int64_t n_bytes, int64_t *where);

typedef struct {
    int64_t n_features;
    int64_t n_layers; /* at least 1; layer 0 has one node, the root */
    const skx_layer *layers;
    const int32_t *slot_label; /* the label of each child of the last layer; slots with labels out of range are skipped */
    int64_t n_labels;
    int64_t max_copies; /* the largest number of slots with the same label, at least 1; if wrong, too few labels may be found */
    int64_t n_dense;    /* number of last features that are dense in all layers, at most n_features */
} skx_model;

/* The score of a child, from its margin v and the score of its parent. The last bit of SKX_LOG_SIGMOID depends on the C library. */
enum skx_post_processor {
    SKX_NOOP = 0,        /* v */
    SKX_SIGMOID = 1,     /* 1 / (1 + exp(-v)), times the score of the parent */
    SKX_LOG_SIGMOID = 2, /* -log(1 + exp(-v)), plus the score of the parent */
    SKX_HINGE = 3,       /* exp(-max(0, 1 - v)^power), times the score of the parent */
    SKX_LOG_HINGE = 4    /* -max(0, 1 - v)^power, plus the score of the parent */
};

typedef struct {
    int64_t beam_width; /* at least 1: nodes kept per level */
    int64_t k;          /* at least 1: labels reported per row */
    int post_processor; /* enum skx_post_processor */
    int power;          /* 1 .. 4, for the hinges */
    float floor;        /* only labels with at least this score are reported; -inf for all */
    float root;         /* score of the root, the parent of the first level; ignored if there is a frontier */
} skx_search_params;

/* Where the search of each row begins: the nodes node[ptr[i] .. ptr[i+1]) of level `level` with their scores. If there are more
 * than the beam width, the best ones are kept. */
typedef struct {
    int64_t level;
    const int64_t *ptr;
    const int32_t *node;
    const float *score;
} skx_frontier;

/* The sorted positions of the labels below each node p of a level, in some order of all labels: position[ptr[p] .. ptr[p+1]), in
 * increasing order. If the nodes are slots, each has one position, and ptr is NULL. Positions may be any numbers. */
typedef struct {
    const int64_t *ptr;
    const int32_t *position;
} skx_sorted_positions;

/* A set of numbers for each row: row i has member[ptr[i] .. ptr[i + 1]), in increasing order, without repetitions. If shared is
 * set, every row has the set of row 0. Members may be any numbers. */
typedef struct {
    int64_t n_members; /* length of member */
    const int64_t *ptr;
    const int32_t *member;
    int shared;
} skx_sets;

/* The restriction of each row. Each part may be NULL. Row i visits only nodes that all given parts permit: nodes with a label
 * whose sorted position lies in [range[2 * i], range[2 * i + 1]); and nodes with a slot in the set among that is not in the set
 * exclude. Without among, a node is not visited if it has slots and all of them are in exclude. */
typedef struct {
    const skx_sorted_positions *positions; /* of each layer's children */
    const int64_t *range;                  /* used with positions only */
    const skx_sets *among;                 /* slots */
    const skx_sets *exclude;               /* slots */
} skx_restriction;

/* Rank labels for the rows begin <= i < end of x. The search begins at the root if frontier is NULL, otherwise at the nodes of
 * the row in the frontier, which must be in range and distinct. At each level the children of the kept nodes are scored and the
 * beam_width best are kept, ties by lower node; at the last level the k best labels are written, best first, ties by lower
 * label, copies of a label merged by maximum. If within is not NULL, only children that it permits are kept, and only those nodes
 * of the frontier that its sets permit. labels and scores are (end - begin, k), padded with -1 and -inf. A NaN score counts as
 * -inf.
 * @return SKX_OK; SKX_ENOMEM; or SKX_EARG if x and the model have different numbers of features, the range lies outside x, params
 *         are out of range, a node of the frontier is not in its level, or a set of within leads outside its members. */
int skx_rank(const skx_kernels *kernels, const skx_model *model, const skx_csr *x, const skx_frontier *frontier,
             const skx_restriction *within, const skx_search_params *params, int64_t begin, int64_t end, int32_t *labels,
             float *scores);

/* Rank labels for a single unchecked row, from the root. indices[n] and data[n] are its nonzeros; if indices is NULL, data[n]
 * is the dense row. labels and scores hold k elements.
 * @return as skx_rank; or SKX_EINDEX, SKX_EORDER or SKX_EFINITE if it is not a valid row of n_features columns. */
int skx_rank_row(const skx_kernels *kernels, const skx_model *model, const int32_t *indices, const float *data, int64_t n,
                 const skx_restriction *within, const skx_search_params *params, int32_t *labels, float *scores);

/* ---- neighbors ----------------------------------------------------------------------------------------------------- */

/* Training rows among which nearest neighbors are found, and their labels. Row r is word[word_ptr[r] .. word_ptr[r + 1]): a
 * scale, which is a float, and one word per nonzero, 256 * the feature + 128 + the value / scale, an integer from -127 to
 * 127. Only the lowest 24 bits of a feature are stored. Row r has the labels label[label_ptr[r] .. label_ptr[r + 1]) and
 * counts weight[r] times, or once if weight is NULL. The postings of label l, which are the rows that have it, are
 * posting[posting_ptr[l] .. posting_ptr[l + 1]). label and posting hold n_entries each. Any content of the arrays is safe.
 *
 * Or, if n_dims is positive, row r is an embedding: vector[r * stride .. r * stride + n_dims), where the stride is n_dims rounded
 * up to a multiple of SKX_EMBEDDING_LINE, and the bytes up to the stride are 0. Its cosine with a vector of norm 1 is their
 * product times scale[r]. There are no words then. */
typedef struct {
    int64_t n_rows;
    int64_t n_words;
    const int64_t *word_ptr;
    const uint32_t *word;
    int64_t n_labels;
    int64_t n_entries;
    const int64_t *label_ptr;
    const int32_t *label;
    const int64_t *posting_ptr;
    const int32_t *posting;
    const float *weight;
    int64_t n_dims;    /* 0, or up to SKX_MAX_DIMS */
    int64_t first_dim; /* the column of the first dimension in matrices of queries */
    const float *scale;
    const int8_t *vector;
} skx_neighbor_rows;

enum skx_embedding_limits { SKX_EMBEDDING_LINE = 64, SKX_MAX_DIMS = 65536 };

/* @return the bytes of an embedding of n_dims dimensions. */
int64_t skx_embedding_stride(int64_t n_dims);

/* Round the embeddings of some rows of a matrix, which are its last n_dims columns: vector and scale as in skx_neighbor_rows. The
 * largest value of each row becomes 127. A row of zeros has the scale 0.
 * @return SKX_OK; or SKX_EARG if n_dims is out of range. */
int skx_pack_embeddings(const skx_csr *x, const int32_t *rows, int64_t n, int64_t n_dims, int8_t *vector, float *scale);

typedef struct {
    int64_t n_neighbors;  /* at least 1 */
    int64_t n_candidates; /* at least 1: the largest number of rows that are compared with a query */
} skx_neighbor_params;

/* The results of earlier searches for the same queries among the same rows, so that another search with mostly the same labels
 * compares few rows. Query i - begin has the labels whose rows were all compared with it, padded with -1, and keys of the most
 * similar of these rows, padded with 0. All are padding at first. */
typedef struct {
    int64_t n_labels; /* of each query, at least n_listed */
    int64_t n_keys;   /* of each query, at least n_neighbors */
    int32_t *label;
    uint64_t *key;
} skx_neighbor_memo;

/* Find the rows most similar to each query begin <= i < end among those that have one of its labels
 * labels[(i - begin) * n_listed .. (i - begin + 1) * n_listed); -1 is no label. Each label contributes at most an equal part of
 * n_candidates, taken at equal distances from its postings; the unused parts of earlier labels are divided among later ones.
 * The similarity is the cosine; only rows with a positive one are found. neighbor and similarity are
 * (end - begin, n_neighbors), most similar first, ties by lower row, padded with -1 and 0. memo may be NULL; it is not used for
 * queries whose labels have more than n_candidates rows. It does not change the result.
 * @return SKX_OK; SKX_ENOMEM; or SKX_EARG if params, the range or the sizes of memo are out of range, a size of rows is negative,
 *         or the rows are embeddings. */
int skx_find_neighbors(const skx_neighbor_rows *rows, const skx_csr *queries, const skx_neighbor_params *params, int64_t begin,
                       int64_t end, int64_t n_listed, const int32_t *labels, skx_neighbor_memo *memo, int32_t *neighbor,
                       float *similarity);

/* The same for rows that are embeddings. The embedding of a query is made of its nonzeros from column rows->first_dim on. If labels is NULL, all rows are compared with every query. The result is the same for every kernel table.
 * @return as skx_find_neighbors; SKX_EARG if the rows are not embeddings; or SKX_EINDEX if a query has a
 *         later column. */
int skx_find_similar(const skx_kernels *kernels, const skx_neighbor_rows *rows, const skx_csr *queries,
                     const skx_neighbor_params *params, int64_t begin, int64_t end, int64_t n_listed, const int32_t *labels,
                     int32_t *neighbor, float *similarity);

/* What the rows of a combined ranking are restricted to. Each part may be NULL. Row i has only labels that all given parts
 * permit: labels l whose position[l] lies in [range[2 * i], range[2 * i + 1]); labels in the set among; labels not in the set
 * exclude. */
typedef struct {
    const int32_t *position; /* of each label */
    const int64_t *range;    /* used with position only */
    const skx_sets *among;   /* labels */
    const skx_sets *exclude; /* labels */
} skx_label_restriction;

/* Neighbors of some rows, found among the same rows, and how they count. */
typedef struct {
    const skx_neighbor_rows *rows;
    int64_t n_neighbors;     /* at least 1 */
    float power;             /* a neighbor counts similarity^power times its weight, divided by the sum over the neighbors */
    float weight;            /* weight of all neighbors together in the scores, 0 .. 1 */
    const int32_t *neighbor; /* as skx_find_neighbors and skx_find_similar write them; ignored by skx_combine_row */
    const float *similarity;
    int64_t n_candidates; /* used by skx_combine_row only: as in skx_neighbor_params; 0: all rows, of embeddings */
} skx_neighbor_list;

typedef struct {
    float floor;     /* only labels with at least this score are reported; -inf for all */
    int64_t k;       /* at least 1 */
    int64_t n_lists; /* at least 1: number of rankings of equal length, one after the other */
    int64_t n_head;  /* number of labels of each ranking whose scores are added up */
    int logarithms;  /* scores are logarithms: that of a sum is computed from them */
    const skx_label_restriction
        *within; /* labels that neighbors may contribute to; NULL for all. The rankings are restricted already */
} skx_combine_params;

/* Rankings of some rows: row i has the labels and scores i * n_listed .. (i + 1) * n_listed, best first in each ranking; -1 is no
 * label. */
typedef struct {
    int64_t n_listed;
    const int32_t *labels;
    const float *scores;
} skx_rankings;

/* Combine several rankings of n_rows rows with the labels of the neighbors in n_neighbor_lists lists. The score of a label is the sum of its scores in the rankings that have it among their first n_head, and of the
 * weights of its neighbors. A score from further down in a ranking replaces that sum if it is larger, and is never added. So
 * the k best labels are the same for rankings of any length that is at least k and n_head. They are written best first, ties
 * by lower label, padded with -1 and -inf. The neighbors of a list are counted until their weights add up to n_neighbors.
 * @return SKX_OK; SKX_ENOMEM; or SKX_EARG if params or a list are out of range, n_listed is not a multiple of n_lists, or a set
 *         of params->within leads outside its members. */
int skx_combine(const skx_neighbor_list *neighbors, int64_t n_neighbor_lists, const skx_combine_params *params, int64_t n_rows,
                const skx_rankings *rankings, int32_t *labels, float *scores);

/* Find the neighbors of one row, and combine its rankings with them. indices[n] and data[n] are its nonzeros; its embedding is made
 * of all but the first n_sparse. Neighbors have one of the first n_query_labels labels of the rankings.
 * @return SKX_OK; SKX_ENOMEM; SKX_EARG, as skx_find_neighbors and skx_combine; or, if there are embeddings, SKX_EINDEX, SKX_EORDER
 *         or SKX_EFINITE if that of the row is not valid. */
int skx_combine_row(const skx_kernels *kernels, const skx_neighbor_list *neighbors, int64_t n_neighbor_lists,
                    const skx_combine_params *params, const int32_t *indices, const float *data, int64_t n, int64_t n_sparse,
                    const skx_rankings *rankings, int64_t n_query_labels, int32_t *labels, float *scores);

/* ---- n-grams of text ------------------------------------------------------------------------------------------------ */

enum skx_text_limits {
    SKX_MAX_TEXT_BYTES = 1073741824, /* of one text */
    SKX_CODE_POINTS = 1114112,
    SKX_SLACK = 16,           /* bytes after strings that may be read */
    SKX_TERM_OFFSET_BITS = 40 /* all strings of a hash table together have less than 2^40 bytes */
};

/* A slot of a hash table of strings. It stores a string of up to 8 bytes itself, or where a longer one begins. */
typedef struct {
    uint64_t word; /* the bytes, padded by zeros; or 2^24 * the beginning + the length, 2^24 - 1 at most */
    uint32_t tag;  /* the length; or a part of the hash, which is larger than any such length. 0: the slot is unused */
    int32_t term;
} skx_term_slot;

/* Distinct strings, numbered from 0, with a hash table: string t is bytes[ptr[t] .. ptr[t + 1]). Arrays of any content are safe
 * to search if they have the stated lengths. */
typedef struct {
    int64_t n_terms;
    int64_t n_bytes;       /* used of bytes */
    int64_t term_capacity; /* ptr holds one more */
    int64_t byte_capacity; /* bytes holds SKX_SLACK more, which may be read */
    int64_t n_slots;       /* a power of two */
    int64_t *ptr;
    uint8_t *bytes;
    skx_term_slot *slots; /* linear probing; at least half of them unused */
} skx_terms;

/* Fill the hash table, all zeros, for n_terms distinct strings, none empty. SKX_SLACK bytes follow the strings.
 * @return SKX_OK; SKX_EARG if n_slots is not a power of two or less than 2 * n_terms; or SKX_ECAPACITY for 2^40 bytes or more. */
int skx_terms_index(int64_t n_terms, const int64_t *ptr, const uint8_t *bytes, int64_t n_slots, skx_term_slot *slots);

/* Sort n numbers of strings by the bytes of the strings, which for UTF-8 is the order of code points.
 * @return SKX_OK; SKX_ENOMEM; or SKX_ECANCELLED. */
int skx_terms_sort(const int64_t *ptr, const uint8_t *bytes, int64_t n, const int32_t *cancel, int32_t *terms);

/* Copy the strings terms[0 .. n), in this order, to out_bytes, which must hold them all; out_ptr has n + 1 elements.
 * @return SKX_OK. */
int skx_terms_take(const int64_t *ptr, const uint8_t *bytes, const int32_t *terms, int64_t n, int64_t *out_ptr,
                   uint8_t *out_bytes);

enum skx_character_kind { SKX_WORD_CHARACTER = 1, SKX_SPACE = 2 };

/* The tokens of n-grams. Words are the longest runs of word characters; for the last two, of all characters but spaces. */
enum skx_analyzer {
    SKX_WORD = 0,    /* n consecutive words, joined by blanks */
    SKX_CHAR = 1,    /* n consecutive characters; several spaces count as one blank */
    SKX_CHAR_WB = 2, /* n consecutive characters of a word between two blanks */
    SKX_CHAR_END = 3 /* n consecutive characters of a word with a mark at its end */
};

/* The value of an occurrence of an n-gram. */
enum skx_occurrence {
    SKX_COUNT_EACH = 0,       /* 1 */
    SKX_COUNT_FIRST = 1,      /* 1 for the first one in a text, 0 for the others */
    SKX_COUNT_BY_POSITION = 2 /* 1 / (1 + its position among the n-grams of its length) */
};

typedef struct {
    int analyzer;                /* enum skx_analyzer; for the last two, a word with less than min_n characters is one n-gram */
    int occurrence;              /* enum skx_occurrence */
    int64_t min_n;               /* at least 1 */
    int64_t max_n;               /* at least min_n */
    int64_t min_token_length;    /* SKX_WORD: words with fewer characters are skipped */
    const skx_terms *stop_words; /* SKX_WORD: words that are skipped, or NULL */
    int32_t mark_length;         /* 1 .. 4 bytes, one character */
    uint8_t mark[4];
    int64_t lead_length;  /* the value of an occurrence is multiplied by lead_weight if its position is below lead_length */
    double lead_weight;   /* above 0 */
    const uint8_t *kinds; /* the enum skx_character_kind of each code point, SKX_CODE_POINTS elements */
} skx_ngram_params;

/* Statistics of a column. */
typedef struct {
    uint32_t n_texts; /* number of texts with the n-gram */
    uint32_t entry;   /* scratch, of any content */
} skx_column_use;

/* The progress of a call. After SKX_ECAPACITY, either entries is above 0 or block and bytes tell which terms have no capacity. */
typedef struct {
    const int32_t *cancel; /* set by the caller */
    int64_t done;          /* the first text that is not counted */
    int64_t entries;       /* number of entries of that text, if the rows have no capacity for it; otherwise 0 */
    int64_t block;         /* block whose terms have no capacity */
    int64_t bytes;         /* length of the term that they have no capacity for */
} skx_ngram_progress;

/* Count the n-grams of the texts begin <= i < end, in one or more blocks, each with params and terms of its own. New n-grams
 * get the next number in the terms of their block. Row i - begin of the output is in no particular order; term t of block b
 * has the column t * n_blocks + b, so term_capacity is at most INT32_MAX / n_blocks. uses has an element per column within
 * the capacity, all zeros at first; the texts are added to them.
 * @return SKX_OK; SKX_ENOMEM; SKX_ECANCELLED; SKX_EPOINTER if ptr falls or leads outside bytes; SKX_EARG if begin and end are
 *         no range of texts or a text has more than SKX_MAX_TEXT_BYTES; or SKX_ECAPACITY if the terms or the rows have no
 *         capacity for the text progress->done: the rows before it are valid, and a call with more capacity continues from
 *         it. */
int skx_ngrams_learn(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, int64_t begin, int64_t end,
                     skx_terms *terms, skx_column_use *uses, skx_ngram_progress *progress, skx_csr_buffers *rows);

enum skx_norm { SKX_NORM_NONE = 0, SKX_NORM_L1 = 1, SKX_NORM_L2 = 2 };

/* How counts become weights, in this order. */
typedef struct {
    int sublinear;     /* count -> 1 + log(count) */
    const double *idf; /* factor of each column, or NULL */
    int block_norm;    /* enum skx_norm: what the entries of each block are divided by */
    int norm;          /* enum skx_norm: what the entries of the row are then divided by */
} skx_ngram_weights;

/* Compute the weights of known n-grams. The columns of a block follow those of the block before. Unknown n-grams are skipped, and
 * terms are not changed.
 * @return as skx_ngrams_learn; SKX_ECAPACITY concerns the rows only. */
int skx_ngrams_transform(const skx_texts *texts, int64_t n_blocks, const skx_ngram_params *params, const skx_terms *terms,
                         const skx_ngram_weights *weights, int64_t begin, int64_t end, skx_ngram_progress *progress,
                         skx_csr_buffers *rows);

/* Convert the n_rows rows of skx_ngrams_learn to those of skx_ngrams_transform, in place. The new column of column c is
 * column[c], or -1 to drop it; the new columns of block b end at block_end[b]. The capacity of the rows is ignored.
 * @return SKX_OK; SKX_ENOMEM; or SKX_ECANCELLED. */
int skx_ngrams_weigh(int64_t n_rows, int64_t n_blocks, const int64_t *block_end, const int32_t *column,
                     const skx_ngram_weights *weights, const int32_t *cancel, skx_csr_buffers *rows);

/* ---- recommendations ------------------------------------------------------------------------------------------------ */

/* How a score is made of N, the number of rows with both items; n, those with the item; m, those with the other item; and R, the
 * number of all rows. Scores other than SKX_CORRECTED are multiplied by N / (N + shrinkage). */
enum skx_relatedness {
    SKX_CORRECTED = 0,      /* (N - E) / sqrt(E + shrinkage), with E as of skx_expected */
    SKX_DIFFERENCE = 1,     /* N / n - m / R */
    SKX_COSINE = 2,         /* N / sqrt(n * m) */
    SKX_JACCARD = 3,        /* N / (n + m - N) */
    SKX_LIFT = 4,           /* N * R / (n * m) */
    SKX_LOG_LIKELIHOOD = 5, /* the G^2 statistic if N > n * m / R, otherwise 0 */
    SKX_COUNT = 6,          /* N */
    SKX_WEIGHTED = 7        /* factor[item] * factor[other] * the sum of the weights of the rows with both */
};

/* Rows of users that counts are made from. An item of row u of the histories is followed by the items of row u of targets, which
 * may be the same matrix; then an item does not follow itself. The targets have positions instead of items, in the order of
 * decreasing n_followers: most counts stay in the cache, and the rarest items are compared first. */
typedef struct {
    int64_t n_rows;
    int64_t n_items;
    const int64_t *row_ptr; /* of each item, the rows of the histories that have it */
    const int32_t *row;
    const int64_t *target_ptr; /* of each row, the positions of its targets */
    const int32_t *target;
    const int32_t *item_of;     /* of each position */
    const int32_t *position_of; /* of each item */
    const int64_t *n_with;      /* of each item, the number of histories that have it */
    const int64_t *n_followers; /* of each position, the number of rows of targets that have it; not increasing */
    const float *row_weight;    /* SKX_WEIGHTED: of each row */
    const float *factor;        /* SKX_WEIGHTED: of each item */
    const float *other_factor;  /* SKX_WEIGHTED: of each position */
} skx_purchases;

/* Where the share of an item lies among the nodes of an expectation. */
typedef struct {
    int32_t cell;   /* the node below it, from 2 to n_nodes - 4 */
    float fraction; /* its position between the nodes cell and cell + 1 */
} skx_share;

/* Tables for the expected number of rows with both items: the sum over the rows of an item of 1 - (1 - P)^c, where a row has c
 * other items, and P is the share of the other item in all targets. As a function of P it is evaluated at n_nodes nodes, and
 * interpolated by polynomials of degree 5. */
typedef struct {
    int64_t n_nodes;         /* at least 6 */
    int64_t n_sizes;         /* number of distinct values of c */
    const int32_t *row_size; /* of each row, the number of its c */
    const double *table;     /* (n_sizes, n_nodes): 1 - (1 - P)^c, from skx_expectation_fill */
    const skx_share *share;  /* of each position */
    const double *weight;    /* (n_items, 6), of each position: of the nodes cell - 2 .. cell + 3 */
} skx_expectation;

/* Fill the table for the values sizes and the shares nodes, which are in [0, 1).
 * @return SKX_OK. */
int skx_expectation_fill(int64_t n_sizes, const int64_t *sizes, int64_t n_nodes, const double *nodes, double *table);

typedef struct {
    int relatedness; /* enum skx_relatedness */
    double shrinkage;
    int64_t n_related; /* at least 1 */
    int64_t n_least;   /* pairs with fewer rows are left out; at least 1 */
    int same;          /* targets are the histories: an item is not related to itself */
    const int32_t *cancel;
} skx_related_params;

/* Numbers of rows with two of the most frequent items, which are many. */
typedef struct {
    int64_t n_items;
    const int32_t *index; /* of each item, its row and column, or -1 */
    uint32_t *both;       /* (n_items, n_items), symmetric */
} skx_frequent_pairs;

/* What an update needs: all n_related items that were found for each item, of which the output has the first n_needed only. A key
 * orders all pairs of an item with other items: higher scores are first, then lower items. */
typedef struct {
    int64_t n_needed;
    int64_t *ptr;    /* of each listed item, and the end */
    int32_t *other;  /* n * n_related items, */
    uint32_t *both;  /* and the number of rows with both items */
    uint64_t *bound; /* of each listed item: keys of other pairs are not above it; 0 if their scores are not above 0 */
    skx_frequent_pairs *frequent; /* those at the first positions, of which the rows are written; or NULL */
} skx_related_support;

/* Find the n_related items with the highest positive scores for each item that items lists, best first, ties by lower item. They
 * are written to out, whose row i belongs to items[i]; n * n_related is always a sufficient capacity. expectation is used for
 * SKX_CORRECTED only. support may be NULL.
 * @return SKX_OK; SKX_ENOMEM; SKX_ECANCELLED; SKX_ECAPACITY; or SKX_EARG if params are out of range. */
int skx_related(const skx_purchases *purchases, const skx_expectation *expectation, const skx_related_params *params,
                const int32_t *items, int64_t n, skx_csr_buffers *out, skx_related_support *support);

/* Histories with positions instead of items, in the order of decreasing frequency. n_rows + the number of entries is at most
 * INT32_MAX. */
typedef struct {
    int64_t n_rows;
    int64_t n_items;
    const int32_t *item_of; /* of each position */
    int32_t *position;      /* of each row: -1, and then the positions of its items in ascending order */
    int64_t *entry_ptr;     /* of each position, its first entry, and the end */
    int32_t *entry;         /* where position has it, for each row with it */
    int64_t *n_before;      /* of each position: sum over its rows of the number of items at lower positions, */
    int64_t *n_others;      /* and of all other items */
} skx_ordered_histories;

/* Fill out from the pointers of the histories and from the rows of each item. item_of is given.
 * @return SKX_OK, or SKX_ENOMEM. */
int skx_order_histories(int64_t n_rows, const int64_t *history_ptr, const int64_t *row_ptr, const int32_t *row,
                        skx_ordered_histories *out);

/* The keys of the best items of each position, in any order. */
typedef struct {
    const int64_t *ptr; /* of each position, its first key, and the end of its capacity: at least n_others, or above n_related */
    int64_t *n;         /* of each position, the number of its keys */
    uint64_t *keys;
} skx_best_keys;

/* Compare the items at the positions begin <= p < end with those at lower positions, by a measure that is the same in both
 * directions: SKX_COSINE, SKX_JACCARD or SKX_LIFT. The best of these pairs are pushed to the keys of both items.
 * @return SKX_OK; SKX_ENOMEM; SKX_ECANCELLED; or SKX_EARG if params are out of range. */
int skx_relate_symmetric(const skx_ordered_histories *histories, const skx_related_params *params, int64_t begin, int64_t end,
                         skx_best_keys *best);

/* Write the n_related best items of each item, given those of parts of all pairs. The output is that of skx_related.
 * @return SKX_OK, SKX_ENOMEM or SKX_ECAPACITY. */
int skx_join_best(int64_t n_items, const int32_t *position_of, int64_t n_related, int64_t n_parts, const skx_best_keys *parts,
                  skx_csr_buffers *out);

/* Entries of histories that were added. */
typedef struct {
    int64_t n;
    const int32_t *row;
    const int32_t *item;
} skx_new_entries;

/* List the pairs of items that have a row in common since entries were added, and count these rows for pairs of frequent items. The
 * histories are the targets, with the new entries, which are sorted by row. Each pair is listed once, at the lower of its two
 * positions i: other[pair_ptr[i] .. pair_ptr[i + 1]) are the higher ones.
 * @return SKX_OK; SKX_ENOMEM; or SKX_ECAPACITY: pair_ptr[n_items] is then a sufficient capacity of other. */
int skx_changed_pairs(const skx_purchases *purchases, const skx_new_entries *added, int64_t *pair_ptr, int64_t capacity,
                      int32_t *other, skx_frequent_pairs *frequent);

/* Count the rows with both items of each pair that is listed at the positions begin <= i < end, or look them up.
 * @return SKX_OK; SKX_ENOMEM; or SKX_ECANCELLED. */
int skx_count_pairs(const skx_purchases *purchases, const int64_t *pair_ptr, const int32_t *other,
                    const skx_frequent_pairs *frequent, const int32_t *cancel, int64_t begin, int64_t end, uint32_t *both);

/* Numbers of rows with both items. */
typedef struct {
    const int64_t *ptr;
    const int32_t *other;
    const uint32_t *both;
} skx_pair_counts;

/* What has changed since the related items of all items were found. Rows and entries were added, and none removed. */
typedef struct {
    const skx_pair_counts *kept;     /* of each item, the items related to it */
    const skx_pair_counts *changed;  /* pairs with new counts, of positions, */
    const skx_pair_counts *mirrored; /* and the same pairs with the positions swapped */
    const uint64_t *bound;           /* of each item, as of skx_related_support */
    int64_t n_rows;                  /* before */
    int64_t most_followers;          /* largest n_followers before */
    int64_t n_groups;                /* SKX_CORRECTED: groups of successive positions */
    const int32_t *group_begin;      /* position of the first item of each */
    const double *group_ratio; /* lowest ratio, at most 1, of the new and the old expected number of rows with any item and one of
                                  the group */
} skx_related_changes;

/* The output of an update. Row i has a capacity of ptr[i + 1] - ptr[i], which is at least the number of kept and changed pairs of
 * item i or n_needed; and likewise that of n_related for the kept ones. */
typedef struct {
    int64_t n_needed; /* at most n_related */
    const int64_t *ptr;
    int64_t *n; /* of each item, the number of related items, */
    int32_t *other;
    float *score;
    const int64_t *kept_ptr;
    int64_t *n_kept; /* and those for the next update, as of skx_related_support */
    int32_t *kept_other;
    uint32_t *kept_both;
    uint64_t *bound;
    uint8_t *is_certain; /* of each item: whether the output is that of skx_related; otherwise, items may be missing */
} skx_updated_related;

/* Find the items related to the items begin <= i < end among those that were kept and those of changed pairs. params->relatedness
 * is SKX_CORRECTED, SKX_DIFFERENCE, SKX_COSINE, SKX_JACCARD or SKX_LIFT.
 * @return SKX_OK; SKX_ENOMEM; SKX_ECANCELLED; or SKX_EARG if params are out of range. */
int skx_update_related(const skx_purchases *purchases, const skx_expectation *expectation, const skx_related_params *params,
                       const skx_related_changes *changes, int64_t begin, int64_t end, skx_updated_related *out);

/* Count the rows with both items, for the items begin <= i < end. Rows of the output are in no particular order.
 * @return SKX_OK; SKX_ENOMEM; SKX_ECANCELLED; or SKX_ECAPACITY: out->indptr is then filled, and tells the capacity. */
int skx_cooccurrences(const skx_purchases *purchases, int same, const int32_t *cancel, int64_t begin, int64_t end,
                      skx_csr_buffers *out);

/* Items related to each item, and scores of items without regard to a history. */
typedef struct {
    int64_t n_items;
    const int64_t *related_ptr;
    const int32_t *related;
    const float *score;
    const float *popular;         /* of each item; for rows without a history */
    const int32_t *popular_order; /* all items by it, best first */
    float popular_weight;         /* of popular in the score of rows with a history; 0 for none */
} skx_item_model;

/* Arrays of the caller that a call works in, for one thread at a time. */
typedef struct {
    float *sum;       /* n_items; all zeros before and after each call */
    uint8_t *state;   /* n_items; the same */
    int32_t *touched; /* n_items + 1, of any content */
} skx_item_scratch;

/* What rows may be recommended. */
typedef struct {
    int64_t k;               /* at least 1 */
    int exclude_stored;      /* without the entries that the row stores, zeros as well */
    const skx_sets *among;   /* the only items, or NULL */
    const skx_sets *exclude; /* without these items, or NULL */
} skx_recommend_params;

/* Rank items for the rows begin <= i < end of x: the score of an item is the sum, over the entries of the row with a positive
 * value, of value * score of the item among those related to it. Rows without such entries are ranked by popular. Only related
 * items are ranked, and all others if popular_weight is above 0. labels and scores are (end - begin, k), padded with -1 and
 * -inf. Entries of x at or beyond n_items are ignored.
 * @return SKX_OK; SKX_ENOMEM; or SKX_EARG if params are out of range or a set leads outside its members. */
int skx_recommend(const skx_item_model *model, const skx_csr *x, const skx_recommend_params *params, int64_t begin, int64_t end,
                  skx_item_scratch *scratch, int32_t *labels, float *scores);

/* Rank items for one row that was not checked, given its n entries.
 * @return as skx_recommend; and SKX_EINDEX, SKX_EORDER or SKX_EFINITE if the entries are not canonical, or SKX_EARG if one is
 *         negative. */
int skx_recommend_row(const skx_item_model *model, const int32_t *indices, const float *data, int64_t n, int64_t k,
                      int exclude_stored, skx_item_scratch *scratch, int32_t *labels, float *scores);

/* Rank the columns of a dense matrix of scores, (n_rows, n_items), row-major. Row i belongs to row begin + i of x, whose entries are
 * excluded if params->exclude_stored. Scores of -inf and NaN are not ranked.
 * @return as skx_recommend. */
int skx_dense_top_k(const float *dense, int64_t n_rows, int64_t n_items, const skx_csr *x, int64_t begin,
                    const skx_recommend_params *params, int32_t *labels, float *scores);

/* Solve the regularized least squares of alternating least squares for the rows begin <= i < end of x: row i of the output, of
 * n_factors values, is the solution of (gram + sum of c * f f' + lambda I) v = sum of (1 + c) * f over the entries of the row,
 * which have the value c and the factors f of their columns. gram is (n_factors, n_factors).
 * @return SKX_OK; SKX_ENOMEM; SKX_ECANCELLED; or SKX_EFINITE if a matrix is not positive definite. */
int skx_als_solve(const skx_csr *x, const float *factors, int64_t n_factors, const float *gram, double lambda,
                  const int32_t *cancel, int64_t begin, int64_t end, float *out);

typedef struct {
    double learning_rate;
    double regularization;
    int64_t n_samples;
    uint64_t seed;
    const int32_t *cancel;
} skx_bpr_params;

/* Run stochastic gradient steps of Bayesian personalized ranking: an entry of x is drawn, and an item that the row does not have.
 * users is (n_rows, n_factors), items is (n_items, n_factors + 1), whose last value is the bias.
 * @return SKX_OK; SKX_ECANCELLED; or SKX_EARG if x has no entries. */
int skx_bpr_epoch(const skx_csr *x, const skx_bpr_params *params, int64_t n_factors, float *users, float *items);

#endif
