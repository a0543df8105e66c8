/* Preloaded into a process: its heap is memory that another process can map at the same address, so that pointers into it hold
 * in both. Blocks that were freed are used again for the same size class. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAP_BEGIN ((uintptr_t)0x200000000000)
#define HEAP_SIZE ((size_t)1 << 36) /* pages that are not used take no memory */

enum { ALIGNMENT = 16, N_CLASSES = 256 };

/* Before each block. */
typedef struct {
    size_t size;  /* of the block, from the header of its size class on */
    size_t shift; /* from the beginning of the memory to the block */
} header;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int heap_fd = -1;
static uintptr_t unused;       /* the memory from here on was never used */
static void *freed[N_CLASSES]; /* lists, linked through the first word of the memory */

int shared_heap_fd(void) { return heap_fd; }

uintptr_t shared_heap_begin(void) { return HEAP_BEGIN; }

size_t shared_heap_size(void) { return HEAP_SIZE; }

/* Sizes are rounded up to 4 classes per power of two. Returns the class. */
static int size_class(size_t *size)
{
    size_t n = *size < 64 ? 64 : *size;
    int top = 63 - __builtin_clzll(n - 1); /* 2^top < n <= 2^(top + 1) */
    size_t step = (size_t)1 << (top - 2);
    size_t steps = (n - 1 - ((size_t)1 << top)) / step + 1;
    *size = ((size_t)1 << top) + steps * step;
    return 4 * top + (int)steps - 1;
}

static int open_heap(void)
{
    heap_fd = memfd_create("heap", 0);
    if (heap_fd < 0 || ftruncate(heap_fd, HEAP_SIZE) != 0) return 0;
    void *heap =
        mmap((void *)HEAP_BEGIN, HEAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_NORESERVE, heap_fd, 0);
    unused = HEAP_BEGIN;
    return heap == (void *)HEAP_BEGIN;
}

/* Take memory of a size class. */
static char *take(size_t *size)
{
    int class = size_class(size);
    pthread_mutex_lock(&lock);
    if (heap_fd < 0 && !open_heap()) _exit(111);
    char *memory = freed[class];
    if (memory)
        freed[class] = *(void **)memory;
    else if (*size <= HEAP_BEGIN + HEAP_SIZE - unused) {
        memory = (char *)unused;
        unused += *size;
    }
    pthread_mutex_unlock(&lock);
    return memory;
}

static void *allocate(size_t alignment, size_t n)
{
    if (alignment < ALIGNMENT) alignment = ALIGNMENT;
    if (n > HEAP_SIZE / 2 || alignment > HEAP_SIZE / 4) {
        errno = ENOMEM;
        return NULL;
    }
    size_t size = n + sizeof(header) + alignment;
    char *memory = take(&size);
    if (!memory) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t first = (uintptr_t)memory + sizeof(header);
    char *block = (char *)((first + alignment - 1) / alignment * alignment);
    header *of = (header *)block - 1;
    of->size = size;
    of->shift = (size_t)(block - memory);
    return block;
}

static size_t capacity(const void *block)
{
    const header *of = (const header *)block - 1;
    return of->size - of->shift;
}

void *malloc(size_t n) { return allocate(ALIGNMENT, n); }

void free(void *block)
{
    if (!block) return;
    header of = ((header *)block)[-1];
    void **memory = (void **)((char *)block - of.shift);
    int class = size_class(&of.size);
    pthread_mutex_lock(&lock);
    *memory = freed[class];
    freed[class] = memory;
    pthread_mutex_unlock(&lock);
}

void *calloc(size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = malloc(bytes);
    return block ? memset(block, 0, bytes) : NULL;
}

void *realloc(void *block, size_t n)
{
    if (block && n <= capacity(block) && n >= capacity(block) / 2) return block;
    void *moved = malloc(n);
    if (moved && block) {
        memcpy(moved, block, n < capacity(block) ? n : capacity(block));
        free(block);
    }
    return moved;
}

void *memalign(size_t alignment, size_t n) { return allocate(alignment, n); }

void *aligned_alloc(size_t alignment, size_t n) { return allocate(alignment, n); }

void *valloc(size_t n) { return allocate(4096, n); }

int posix_memalign(void **out, size_t alignment, size_t n)
{
    *out = allocate(alignment, n);
    return *out ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *block) { return block ? capacity(block) : 0; }
