/* Pages of mapped files. */
#ifndef SKX_PAGES_H
#define SKX_PAGES_H
#include <stddef.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

/* Drop the pages of n bytes that are mapped from a file, shared, from the memory of the process. Their content stays in the file
 * and in the cache of the system, and is mapped again when it is used. The first page may begin before the bytes. */
static inline void skx_pages_drop(const void *begin, size_t n)
{
#if defined(__linux__)
    size_t before = (uintptr_t)begin % (size_t)sysconf(_SC_PAGESIZE);
    if (n) (void)madvise((void *)((uintptr_t)begin - before), n + before, MADV_DONTNEED);
#else
    (void)begin;
    (void)n;
#endif
}

#endif
