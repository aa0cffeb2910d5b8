/* program.c DEED SIZE - one crime against a block of so many bytes, or none: what valgrind and AddressSanitizer are to see. */
#include <stdint.h>
#include <sys/mman.h>

#include "../common/check.h"

#include "../common/family.h"

static size_t size;

static void overrun(void)
{
    char *p = opaque_pointer(malloc(size));
    p[size] = 1;
    free(p);
}

static void use_after_free(void)
{
    char *p = opaque_pointer(malloc(size));
    p[0] = 1;
    free(p);
    printf("%d\n", *(char *)opaque_pointer(p));
}

static void uninitialised(void)
{
    char *p = opaque_pointer(malloc(size));
    if (p[size / 2] == 7)
        puts("seven");
    free(p);
}

/* What a block has grown by is not initialised either. */
static void uninitialised_growth(void)
{
    char *p = opaque_pointer(calloc(1, size));
    p = opaque_pointer(realloc(p, size + 4));
    if (p[size + 2] == 7)
        puts("seven");
    free(p);
}

static __attribute__((noinline)) void lose(void) { opaque_pointer(malloc(size)); }

static __attribute__((noinline)) void sweep_the_stack(void)
{
    char used[16384];
    memset(opaque_pointer(used), 0, sizeof used);
}

/* Valgrind maps at the lowest address that is free, so that a number which the loader keeps, of the ticks that relocating took, may look
 * like an address in a block of some megabytes. Beyond 4 GiB it does not; what lies below is made nobody's. */
static void fill_low_addresses(void)
{
    char *at;
    do {
        at = mmap(NULL, (size_t)4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK(at != MAP_FAILED);
    } while ((uintptr_t)at < (uintptr_t)1 << 32);
}

static void leak(void)
{
    fill_low_addresses();
    lose();
    sweep_the_stack();
}

#ifdef ALLOT_NAMES
static void overrun_in_heap(void)
{
    struct allot_heap heap;
    CHECK(allot_heap_init(&heap, NULL) == 0);
    char *p = opaque_pointer(allot_heap_alloc(&heap, size));
    p[size] = 1;
    allot_heap_done(&heap);
}

static void use_after_reset(void)
{
    struct allot_heap heap;
    CHECK(allot_heap_init(&heap, NULL) == 0);
    char *p = opaque_pointer(allot_heap_alloc(&heap, size));
    *p = 1;
    allot_heap_reset(&heap);
    printf("%d\n", *p);
    allot_heap_done(&heap);
}
#endif

/* Every way that a block can go, each byte written first and read then, and one that is kept. */
static void nothing(void)
{
    static void *blocks[200];
    static char *volatile kept;
    kept = malloc(size);
    memset(kept, 1, size);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++) {
            size_t bytes = i % 40 ? i * 37 + round : size + i;
            char *p = i % 3 == 0 ? calloc(1, bytes) : i % 3 == 1 ? malloc(bytes) : aligned_alloc(64, bytes);
            CHECK(p);
            for (size_t k = 0; i % 3 == 0 && k < bytes; k++)
                CHECK(p[k] == 0);
            memset(p, (int)i, bytes);
            if (i % 5 == 0) {
                size_t other = i % 2 ? bytes / 2 : bytes * 2;
                p = realloc(p, other);
                CHECK(p);
                memset(p, (int)i, other);
            }
            memset(p, 0, malloc_usable_size(p));
            blocks[i] = p;
        }
        for (size_t i = 0; i < 200; i++)
            free(blocks[(i * 37) % 200]);
    }
#ifdef ALLOT_NAMES
    struct allot_heap heap;
    CHECK(allot_heap_init(&heap, NULL) == 0);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++)
            memset(allot_heap_alloc(&heap, i * 37 + size % 100000), 1, i * 37);
        allot_heap_reset(&heap);
    }
    memset(allot_heap_alloc(&heap, size), 1, size);
    allot_heap_done(&heap);
    CHECK(allot_check());
    allot_trim();
#endif
    sweep_the_stack();
}

static const struct {
    const char *name;
    void (*commit)(void);
} deeds[] = {
    {"overrun", overrun},
    {"use-after-free", use_after_free},
    {"uninitialised", uninitialised},
    {"uninitialised-growth", uninitialised_growth},
    {"leak", leak},
#ifdef ALLOT_NAMES
    {"overrun-in-heap", overrun_in_heap},
    {"use-after-reset", use_after_reset},
#endif
    {"nothing", nothing},
};

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    size = strtoul(argv[2], NULL, 10);
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        if (strcmp(deeds[i].name, argv[1]) == 0) {
            deeds[i].commit();
            return 0;
        }
    }
    return 2;
}
