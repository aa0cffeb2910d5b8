/* main.c - the model from a seed, or from a file that a fuzzer has found.
 *
 *     model [threads] [heaps]              rounds of random operations, each from a seed of its own
 *     model [threads] [heaps] seed=N       that round alone
 *     model [threads] [heaps] file=F       the bytes of a file
 */
#include "model.h"

#include "../common/check.h"
#include "../common/family.h"

enum { ROUNDS = 10, BYTES_MOST = 32 << 10 };

static uint8_t data[BYTES_MOST];

static void play_seed(uint64_t seed, unsigned flags)
{
    snprintf(check_run, sizeof check_run, "seed=%llu", (unsigned long long)seed);
    uint64_t state = seed;
    size_t size = 1 + random_below(&state, BYTES_MOST);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(random_next(&state) >> 32);
    model_run(data, size, flags);
}

static void play_file(const char *name, unsigned flags)
{
    snprintf(check_run, sizeof check_run, "file=%s", name);
    FILE *file = fopen(name, "rb");
    CHECK(file);
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    model_run(data, size, flags);
}

int main(int argc, char **argv)
{
    unsigned flags = 0;
    const char *seed = NULL, *file = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "threads") == 0)
            flags |= MODEL_THREADS;
        else if (strcmp(argv[i], "heaps") == 0)
            flags |= MODEL_HEAPS;
        else if (strncmp(argv[i], "seed=", 5) == 0)
            seed = argv[i] + 5;
        else if (strncmp(argv[i], "file=", 5) == 0)
            file = argv[i] + 5;
        else
            return 2;
    }
    toolkit_find();
    check_watch_aborts();
#ifdef ALLOT_NAMES
    flags |= MODEL_EXACT;
#else
    /* Threads make libc allocate for them. */
    if (!(flags & MODEL_THREADS))
        flags |= MODEL_EXACT;
#endif
    if (file)
        play_file(file, flags);
    else if (seed)
        play_seed(strtoull(seed, NULL, 10), flags);
    else
        for (unsigned round = 0; round < ROUNDS * test_scale(); round++)
            play_seed(round, flags);
    return 0;
}
