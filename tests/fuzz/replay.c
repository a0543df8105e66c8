/* Runs a fuzzer on the inputs in a file, each after its length in two bytes: first as they are, then once for each allocation
 * of the library with that one failing. */
#include "input.h"

extern long failing_made, failing_alive, failing_at;

enum { MOST_FAILURES = 64 }; /* per input */

static void run(const uint8_t *data, size_t size, long at)
{
    failing_made = failing_alive = 0;
    failing_at = at;
    LLVMFuzzerTestOneInput(data, size);
    failing_at = 0;
    CLAIM(failing_alive == 0);
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    CLAIM(file != NULL);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*size + 1);
    CLAIM(data && fread(data, 1, *size, file) == *size);
    fclose(file);
    return data;
}

/* Run an input in all ways. Returns how many allocations failed. */
static long try(const uint8_t *content, size_t n)
{
    uint8_t *data = malloc(n ? n : 1); /* of exactly this size */
    CLAIM(data != NULL);
    memcpy(data, content, n);
    run(data, n, 0);
    long made = failing_made < MOST_FAILURES ? failing_made : MOST_FAILURES;
    for (long at = 1; at <= made; at++) run(data, n, at);
    free(data);
    return made;
}

int main(int argc, char **argv)
{
    long failed = 0, inputs = 0;
    size_t size;
    CLAIM(argc == 2);
    uint8_t *whole = read_file(argv[1], &size);
    for (size_t at = 0; at + 2 <= size; inputs++) {
        size_t n = whole[at] + 256u * whole[at + 1];
        CLAIM(n <= size - at - 2);
        failed += try(whole + at + 2, n);
        at += 2 + n;
    }
    free(whole);
    printf("%ld inputs, %ld failed allocations\n", inputs, failed);
    return 0;
}
