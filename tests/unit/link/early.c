/* early.c - allocation before main and after it: before any library's constructors (.preinit_array), in constructors and
 * destructors of every priority, in functions registered with atexit, and in those of another thread that still runs.
 */
#include "../../common/check.h"
#include "../../common/pattern.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../../common/family.h"

enum { STAGES = 6, BLOCKS = 200 };

/* Blocks of each stage, to be checked and freed by the next one. */
static void *blocks[BLOCKS];
static unsigned stage;

static size_t size_of(unsigned i) { return (size_t)i * i + (i % 50 == 49 ? 100000 : 0) + (i == 199 ? 5000000 : 0); }

static void next_stage(unsigned number)
{
    snprintf(check_context, sizeof check_context, "stage %u after %u", number, stage);
    CHECK(stage + 1 == number);
    stage = number;
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (number > 1) {
            CHECK(pattern_holds(blocks[i], size_of(i), i, true));
            CHECK(malloc_usable_size(blocks[i]) >= size_of(i));
            free(blocks[i]);
        }
        switch (i % 4) {
        case 0:
            blocks[i] = malloc(size_of(i));
            break;
        case 1:
            blocks[i] = calloc(1, size_of(i));
            CHECK(pattern_zero(blocks[i], size_of(i)));
            break;
        case 2:
            blocks[i] = realloc(malloc(10), size_of(i));
            break;
        default:
            blocks[i] = aligned_alloc(4096, size_of(i));
            CHECK((uintptr_t)blocks[i] % 4096 == 0);
        }
        CHECK(blocks[i]);
        pattern_fill(blocks[i], size_of(i), i);
    }
}

static void before_all(void) { next_stage(1); }

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;

__attribute__((constructor(101))) static void first_constructor(void)
{
#ifndef __GLIBC__ /* musl does not look at .preinit_array */
    before_all();
#endif
    next_stage(2);
}

__attribute__((constructor)) static void last_constructor(void) { next_stage(3); }

static void at_exit(void) { next_stage(5); }

__attribute__((destructor(101))) static void last_destructor(void)
{
    next_stage(6);
    CHECK(stage == STAGES);
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    static const char done[] = "every stage was there\n";
    CHECK(write(STDOUT_FILENO, done, sizeof done - 1) == sizeof done - 1);
}

static atomic_bool started;

static void *allocate_for_ever(void *arg)
{
    for (size_t size = 0;; size = (size + 17) % 5000) {
        free(malloc(size));
        atomic_store(&started, true);
    }
    return arg;
}

int main(void)
{
    next_stage(4);
    CHECK(atexit(at_exit) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, allocate_for_ever, NULL) == 0);
    while (!atomic_load(&started))
        sched_yield();
    return 0;
}
