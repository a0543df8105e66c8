/* Declarations of the kernels of one instruction set, SKX_ISA. */
#ifndef SKX_TABLE_H
#define SKX_TABLE_H
#include "kernels/kernels.h"
#include "kernels/vec.h"

int SKX_NAME(skx_solve_squared_hinge)(const skx_solver_block *block);
int SKX_NAME(skx_solve_log_loss)(const skx_solver_block *block);
void SKX_NAME(skx_count_weights)(const float *w, int64_t n_features, float threshold, int64_t *count);
void SKX_NAME(skx_emit_weights)(const float *w, int64_t n_features, float threshold, int64_t *cursor, int32_t *entries,
                                float *values);
void SKX_NAME(skx_dot_matrix)(const skx_entry *entries, int64_t n, const float *b, int64_t width, float *out);
float SKX_NAME(skx_dot_vector)(const skx_entry *entries, int64_t n, const float *b);
void SKX_NAME(skx_dot_bytes)(const int16_t *query, const int8_t *vectors, int64_t stride, const int32_t *rows, int64_t n,
                             int32_t *out);
void SKX_NAME(skx_accumulate)(const skx_target *targets, int64_t n_targets, int64_t n_features);
void SKX_NAME(skx_accumulate_dense)(const skx_dense_weights *weights, const float *const *x, float *const *scores, int64_t n);
void SKX_NAME(skx_post_process)(float *scores, const float *bias, int64_t n, float parent, int post_processor, int power);
int64_t SKX_NAME(skx_survivors)(const float *scores, int64_t n, float least, uint8_t *out);

#endif
