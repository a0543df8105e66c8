/* Scratch memory that is read in random order. */
#ifndef SKX_HUGE_H
#define SKX_HUGE_H
#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

/* Allocate at least n bytes, aligned for vectors; from large pages if the system has them, because random access to small pages
 * misses the TLB. @return NULL if memory is short. Release with free. */
static inline void *skx_huge_alloc(size_t n)
{
    const size_t line = 64, page = (size_t)1 << 21;
    size_t unit = n < 2 * page ? line : page;
    void *p = aligned_alloc(unit, (n / unit + 1) * unit);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (p && unit == page) (void)madvise(p, (n / unit + 1) * unit, MADV_HUGEPAGE);
#endif
    return p;
}

#endif
