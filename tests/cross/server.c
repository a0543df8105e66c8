/* Runs functions of the library for another process, and shares its heap: server FD BEGIN SIZE. Requests come by stdin, and
 * results go to stdout. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "skxmr.h"

typedef struct {
    uint64_t function;
    uint64_t arguments[16];
} request;

typedef struct {
    uint64_t value;
    char text[56]; /* the value, if it is a string */
} result;

static double as_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void set_text(result *out, const char *text) { strncpy(out->text, text, sizeof out->text - 1); }

/* static void call(uint64_t function, const uint64_t *a, result *out): run.py writes it from the declarations in skxmr.h. */
#include "calls.h"

/* Returns whether there were so many bytes. */
static int read_whole(void *out, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t more = read(STDIN_FILENO, (char *)out + done, n - done);
        if (more <= 0) return 0;
        done += (size_t)more;
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    int fd = atoi(argv[1]);
    void *begin = (void *)(uintptr_t)strtoull(argv[2], NULL, 10);
    size_t size = strtoull(argv[3], NULL, 10);
    if (mmap(begin, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) != begin) {
        perror("mmap");
        return 1;
    }
    request in;
    while (read_whole(&in, sizeof in)) {
        result out = {0};
        call(in.function, in.arguments, &out);
        if (write(STDOUT_FILENO, &out, sizeof out) != sizeof out) return 1;
    }
    return 0;
}
