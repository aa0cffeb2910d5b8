/* check.h - a check that works anywhere: in any thread, in a forked child, in a destructor, inside a fuzz target.
 *
 * cmocka's assertions jump back to the main thread's runner, so they serve the unit tests; where the code under test runs
 * elsewhere a broken CHECK prints one line, with the contexts that were last set, and aborts. It allocates nothing.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What would be needed to see the failure again: of the whole run, a seed, and of the moment, a step. A broken CHECK
 * prints both. */
extern char check_run[128];
extern char check_context[256];

#define CHECK(condition)                                  \
    do {                                                  \
        if (__builtin_expect(!(condition), 0))            \
            check_failed(__FILE__, __LINE__, #condition); \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *condition);

/* From now on the contexts are printed also when something else aborts: the heap, which has found a crime. */
void check_watch_aborts(void);

/* How much longer than in a quick run to go on: TEST_SCALE in the environment, 1 when it is not set. */
unsigned test_scale(void);

/* Keeps a value from the compiler's eyes, so that it neither warns about an absurd size nor removes an allocation. */
static inline size_t opaque(size_t value)
{
    __asm__ volatile("" : "+r"(value));
    return value;
}

static inline void *opaque_pointer(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

/* splitmix64: a whole generator in one word. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number below `bound`, which is not 0. */
static inline size_t random_below(uint64_t *state, size_t bound) { return (size_t)(random_next(state) % bound); }

#endif
