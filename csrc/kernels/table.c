#include "kernels/table.h"

#define SKX_TEXT_(x) #x
#define SKX_TEXT(x) SKX_TEXT_(x)

extern const skx_kernels SKX_NAME(skx_kernels);
const skx_kernels SKX_NAME(skx_kernels) = {
    .name = SKX_TEXT(SKX_ISA),
    .solve_squared_hinge = SKX_NAME(skx_solve_squared_hinge),
    .solve_log_loss = SKX_NAME(skx_solve_log_loss),
    .count_weights = SKX_NAME(skx_count_weights),
    .emit_weights = SKX_NAME(skx_emit_weights),
    .dot_matrix = SKX_NAME(skx_dot_matrix),
    .dot_vector = SKX_NAME(skx_dot_vector),
    .dot_bytes = SKX_NAME(skx_dot_bytes),
    .accumulate = SKX_NAME(skx_accumulate),
    .accumulate_dense = SKX_NAME(skx_accumulate_dense),
    .post_process = SKX_NAME(skx_post_process),
    .survivors = SKX_NAME(skx_survivors),
};
