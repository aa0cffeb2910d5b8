/* sites.c - a program to be recorded: sites EVENTS. Two thousand stacks allocate and free in a live set of 200,000 blocks, a hundredth of them
 * large: what a page's intervals, series and map are measured on. */
#include <stdint.h>
#include <stdlib.h>

enum { LIVE = 200000, DEEPEST = 8 };

static void *slot[LIVE];
static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

#define ALLOCATOR(n)                                                 \
    static __attribute__((noinline)) void *allocate_##n(size_t size) \
    {                                                                \
        void *p = malloc(size);                                      \
        __asm__ volatile("" : : "r"(p) : "memory");                  \
        return p;                                                    \
    }
ALLOCATOR(0)
ALLOCATOR(1)
ALLOCATOR(2)
ALLOCATOR(3)
static void *(*const allocate[])(size_t) = {allocate_0, allocate_1, allocate_2, allocate_3};

/* By one of two calls at each depth: as many stacks as there are ways down. */
static __attribute__((noinline)) void *down(unsigned depth, size_t size)
{
    void *p;
    if (depth == 0) {
        p = allocate[next() % 4](size);
    } else if (next() & 1) {
        p = down(depth - 1, size);
        __asm__ volatile("nop" : "+r"(p));
    } else {
        p = down(depth - 1, size);
    }
    __asm__ volatile("" : "+r"(p));
    return p;
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) / 2 : 0;
    for (long i = 0; i < rounds; i++) {
        size_t size = 16 + next() % (next() % 100 ? 400 : 20000);
        void **at = &slot[next() % LIVE];
        free(*at);
        *at = down((unsigned)(next() % DEEPEST), size);
    }
    return 0;
}
