/* How a caller in another thread ends a call. */
#ifndef SKX_CANCEL_H
#define SKX_CANCEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SKX_POLL = 1024 }; /* rows, or texts, visited between two looks at the flag */

/* Whether the caller has set the flag, which may be NULL. Another thread writes it at any time: it is read atomically, and in no
 * order with anything else. */
static inline bool skx_cancelled(const int32_t *cancel) { return cancel != NULL && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0; }

#endif
