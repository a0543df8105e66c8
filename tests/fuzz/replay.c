/* Runs a fuzzer on files, first as they are, then once for each allocation of the library with that one failing. */
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

int main(int argc, char **argv)
{
    long failed = 0;
    for (int i = 1; i < argc; i++) {
        size_t size;
        uint8_t *whole = read_file(argv[i], &size), *data = malloc(size ? size : 1);
        CLAIM(data != NULL);
        memcpy(data, whole, size);
        run(data, size, 0);
        long made = failing_made < MOST_FAILURES ? failing_made : MOST_FAILURES;
        for (long at = 1; at <= made; at++) run(data, size, at);
        failed += made;
        free(whole);
        free(data);
    }
    printf("%d inputs, %ld failed allocations\n", argc - 1, failed);
    return 0;
}
