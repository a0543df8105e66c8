/* Included before everything else when the library is compiled for tests: its allocations are counted, and one of them may
 * be made to fail. */
#ifndef FUZZ_FAILING_H
#define FUZZ_FAILING_H
#include <stddef.h>
#include <stdlib.h>

void *failing_malloc(size_t n);
void *failing_calloc(size_t n, size_t size);
void *failing_realloc(void *p, size_t n);
void *failing_aligned_alloc(size_t alignment, size_t n);
void failing_free(void *p);

#ifndef FUZZ_FAILING_C
#define malloc failing_malloc
#define calloc failing_calloc
#define realloc failing_realloc
#define aligned_alloc failing_aligned_alloc
#define free failing_free
#endif
#endif
