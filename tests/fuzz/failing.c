/* The library's allocator in tests. */
#define FUZZ_FAILING_C
#include "failing.h"

/* Allocations so far, those that are not freed, and the number of the one that fails (0: none). */
long failing_made, failing_alive, failing_at;

static void *counted(void *p)
{
    failing_alive += p != NULL;
    return p;
}

static int fails(void) { return ++failing_made == failing_at; }

void *failing_malloc(size_t n) { return fails() ? NULL : counted(malloc(n)); }

void *failing_calloc(size_t n, size_t size) { return fails() ? NULL : counted(calloc(n, size)); }

void *failing_realloc(void *p, size_t n)
{
    if (fails()) return NULL;
    void *moved = realloc(p, n);
    failing_alive += p == NULL && moved != NULL;
    return moved;
}

void *failing_aligned_alloc(size_t alignment, size_t n) { return fails() ? NULL : counted(aligned_alloc(alignment, n)); }

void failing_free(void *p)
{
    failing_alive -= p != NULL;
    free(p);
}
