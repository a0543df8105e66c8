/* Cancellation of a call by another thread. */
#ifndef SKX_CANCEL_H
#define SKX_CANCEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SKX_POLL = 1024 }; /* rows, or texts, visited between two reads of the flag */

/* @return whether the flag is set; it may be NULL. Another thread may write it at any time, so it is read atomically. No other
 * memory access is ordered by it. */
static inline bool skx_cancelled(const int32_t *cancel)
{
    return cancel != NULL && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0;
}

#endif
