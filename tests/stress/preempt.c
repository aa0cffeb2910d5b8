/* preempt.c - threads that lose the processor between any two atomic operations of the heap, now and then.
 *
 * A window of a few instructions between two of them is hit once in a million switches of the system's; here each
 * operation may be one. The heap is compiled with -fsanitize=thread, which makes a call of each of them: without a sanitizer
 * to the functions below, which do it; with TSan the linker (--wrap) sends the calls here, from where they go on to it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* One operation in 128 lets another thread go on; one in 8192 lets all others, also those of other cores. */
static void perhaps_switch(void)
{
    static __thread uint32_t random;
    random = random ? random : (uint32_t)(uintptr_t)&random >> 4 | 1;
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    if (random % 128 != 0) {
        return;
    }
    int saved = errno;
    if (random % 8192 != 0) {
        sched_yield();
    } else {
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    errno = saved;
}

#ifdef UNDER_TSAN
#define OPERATION(result, name, parameters, arguments, instead) \
    result __real_##name parameters;                            \
    result __wrap_##name parameters;                            \
    result __wrap_##name parameters                             \
    {                                                           \
        perhaps_switch();                                       \
        return __real_##name arguments;                         \
    }
#else
#define OPERATION(result, name, parameters, arguments, instead) \
    result name parameters;                                     \
    result name parameters                                      \
    {                                                           \
        (void)order;                                            \
        perhaps_switch();                                       \
        instead;                                                \
    }
#endif

#define LOAD(word, name)                                                     \
    OPERATION(word, name, (const volatile void *at, int order), (at, order), \
              return __atomic_load_n((const volatile word *)at, __ATOMIC_SEQ_CST))

#define STORE(word, name)                                                                 \
    OPERATION(void, name, (volatile void *at, word value, int order), (at, value, order), \
              __atomic_store_n((volatile word *)at, value, __ATOMIC_SEQ_CST))

#define MODIFY(word, name, builtin)                                                       \
    OPERATION(word, name, (volatile void *at, word value, int order), (at, value, order), \
              return builtin((volatile word *)at, value, __ATOMIC_SEQ_CST))

#define COMPARE(word, name)                                                                                         \
    OPERATION(int, name, (volatile void *at, void *expected, word value, int order, int on_failure),                \
              (at, expected, value, order, on_failure), (void)on_failure;                                           \
              return __atomic_compare_exchange_n((volatile word *)at, (word *)expected, value, 0, __ATOMIC_SEQ_CST, \
                                                 __ATOMIC_SEQ_CST))

#define COMPARE_VALUE(word, name)                                                                                  \
    OPERATION(                                                                                                     \
        word, name, (volatile void *at, word expected, word value, int order, int on_failure),                     \
        (at, expected, value, order, on_failure), (void)on_failure;                                                \
        __atomic_compare_exchange_n((volatile word *)at, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        return expected)

#define OPERATIONS(word, prefix)                         \
    LOAD(word, prefix##_load)                            \
    STORE(word, prefix##_store)                          \
    MODIFY(word, prefix##_exchange, __atomic_exchange_n) \
    MODIFY(word, prefix##_fetch_add, __atomic_fetch_add) \
    MODIFY(word, prefix##_fetch_sub, __atomic_fetch_sub) \
    MODIFY(word, prefix##_fetch_and, __atomic_fetch_and) \
    MODIFY(word, prefix##_fetch_or, __atomic_fetch_or)   \
    COMPARE(word, prefix##_compare_exchange_strong)      \
    COMPARE(word, prefix##_compare_exchange_weak)        \
    COMPARE_VALUE(word, prefix##_compare_exchange_val)

OPERATIONS(uint8_t, __tsan_atomic8)
OPERATIONS(uint16_t, __tsan_atomic16)
OPERATIONS(uint32_t, __tsan_atomic32)
OPERATIONS(uint64_t, __tsan_atomic64)

#ifndef UNDER_TSAN
/* What else the compiler calls: each access to memory, for which there is nothing to do. */
#define NOTHING(name)    \
    void name(void *at); \
    void name(void *at) { (void)at; }

NOTHING(__tsan_func_entry)
NOTHING(__tsan_read1)
NOTHING(__tsan_read2)
NOTHING(__tsan_read4)
NOTHING(__tsan_read8)
NOTHING(__tsan_read16)
NOTHING(__tsan_write1)
NOTHING(__tsan_write2)
NOTHING(__tsan_write4)
NOTHING(__tsan_write8)
NOTHING(__tsan_write16)
NOTHING(__tsan_unaligned_read2)
NOTHING(__tsan_unaligned_read4)
NOTHING(__tsan_unaligned_read8)
NOTHING(__tsan_unaligned_read16)
NOTHING(__tsan_unaligned_write2)
NOTHING(__tsan_unaligned_write4)
NOTHING(__tsan_unaligned_write8)
NOTHING(__tsan_unaligned_write16)

void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}
void __tsan_read_range(void *at, size_t bytes);
void __tsan_read_range(void *at, size_t bytes) { (void)at, (void)bytes; }
void __tsan_write_range(void *at, size_t bytes);
void __tsan_write_range(void *at, size_t bytes) { (void)at, (void)bytes; }
#endif
