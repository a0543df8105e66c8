/* Preloaded into a process: counts the allocations of the code between two addresses, and lets one of them fail. */
#include <stddef.h>
#include <stdint.h>

static uintptr_t from, to;
static long made, alive, at;

enum { MOST = 1 << 14 };
static void *held[MOST]; /* what is not freed */

/* Watch the code in [begin, end) and let its allocation number n from now on fail; 0: none. */
void shim_arm(uintptr_t begin, uintptr_t end, long n)
{
    from = begin;
    to = end;
    at = n;
    __atomic_store_n(&made, 0, __ATOMIC_SEQ_CST);
}

long shim_made(void) { return __atomic_load_n(&made, __ATOMIC_SEQ_CST); }

long shim_alive(void) { return __atomic_load_n(&alive, __ATOMIC_SEQ_CST); }

static int watched(const void *caller) { return (uintptr_t)caller >= from && (uintptr_t)caller < to; }

static int fails(void) { return __atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST) == at; }

/* Replace one address by another wherever it is held, from the place on where it belongs. Returns whether it was there. */
static int swap(void *old, void *new)
{
    const void *address = old ? old : new;
    size_t place = (uintptr_t)address / 16 * 2654435761u % MOST;
    for (size_t i = place, tried = 0; tried < MOST; i = (i + 1) % MOST, tried++) {
        void *expected = old;
        if (__atomic_compare_exchange_n(&held[i], &expected, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return 1;
    }
    return 0;
}

static void *note(void *p)
{
    if (p && swap(NULL, p)) __atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    return p;
}

static void forget(void *p)
{
    if (p && swap(p, NULL)) __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
}

/* glibc's own names, which need no look-up. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
    if (!watched(__builtin_return_address(0))) return __libc_malloc(n);
    return fails() ? NULL : note(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
    if (!watched(__builtin_return_address(0))) return __libc_calloc(n, size);
    return fails() ? NULL : note(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
    if (!watched(__builtin_return_address(0))) return __libc_realloc(p, n);
    if (fails()) return NULL;
    void *moved = __libc_realloc(p, n);
    if (moved) forget(p);
    return note(moved);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    if (!watched(__builtin_return_address(0))) return __libc_memalign(alignment, n);
    return fails() ? NULL : note(__libc_memalign(alignment, n));
}

void free(void *p)
{
    if (watched(__builtin_return_address(0))) forget(p);
    __libc_free(p);
}
