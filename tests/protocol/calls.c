/* calls.c - what code that is compiled with -fsanitize=thread calls at each access to memory. The compilers' sanitizer
 * brings functions of these names that look for races in the one execution that happens; these here make executions. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "explore.h"
#include "memory.h"

#define CALLER __builtin_return_address(0)
#define ORDER  0x7fff /* of gcc's orders, the bits that C11 knows */

void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller) { (void)caller; }
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}

#define PLAIN(name, bytes, write) \
    void __tsan_##name(void *at); \
    void __tsan_##name(void *at) { memory_touch(at, bytes, write); }

PLAIN(read1, 1, false)
PLAIN(read2, 2, false)
PLAIN(read4, 4, false)
PLAIN(read8, 8, false)
PLAIN(read16, 16, false)
PLAIN(write1, 1, true)
PLAIN(write2, 2, true)
PLAIN(write4, 4, true)
PLAIN(write8, 8, true)
PLAIN(write16, 16, true)
PLAIN(unaligned_read2, 2, false)
PLAIN(unaligned_read4, 4, false)
PLAIN(unaligned_read8, 8, false)
PLAIN(unaligned_read16, 16, false)
PLAIN(unaligned_write2, 2, true)
PLAIN(unaligned_write4, 4, true)
PLAIN(unaligned_write8, 8, true)
PLAIN(unaligned_write16, 16, true)

/* Slots of collected objects, of which no scenario has any. */
PLAIN(volatile_write8, 8, true)

/* To read what may be another's by now the heap says volatile, and does not rely on it: it gets what there is, unchecked. */
#define VOLATILE(bytes)                         \
    void __tsan_volatile_read##bytes(void *at); \
    void __tsan_volatile_read##bytes(void *at) { (void)at; }

VOLATILE(1)
VOLATILE(4)
VOLATILE(8)

void __tsan_read_range(void *at, size_t bytes);
void __tsan_read_range(void *at, size_t bytes) { memory_touch(at, bytes, false); }
void __tsan_write_range(void *at, size_t bytes);
void __tsan_write_range(void *at, size_t bytes) { memory_touch(at, bytes, true); }

/* The linker sends the calls of all objects here. The checker itself makes none of watched memory. */
void *__real_memset(void *to, int value, size_t bytes);
void *__wrap_memset(void *to, int value, size_t bytes);
void *__wrap_memset(void *to, int value, size_t bytes)
{
    memory_touch(to, bytes, true);
    return __real_memset(to, value, bytes);
}

#define COPY(name)                                                 \
    void *__real_##name(void *to, const void *from, size_t bytes); \
    void *__wrap_##name(void *to, const void *from, size_t bytes); \
    void *__wrap_##name(void *to, const void *from, size_t bytes)  \
    {                                                              \
        memory_touch(from, bytes, false);                          \
        memory_touch(to, bytes, true);                             \
        return __real_##name(to, from, bytes);                     \
    }

COPY(memcpy)
COPY(memmove)

static uint64_t access_atomic(enum op_kind kind, enum modify modify, unsigned size, volatile void *at, uint64_t value,
                              int order, const void *code)
{
    struct op op = {.kind = (uint8_t)kind,
                    .modify = (uint8_t)modify,
                    .size = (uint8_t)size,
                    .at = (void *)at,
                    .operand = value,
                    .order = order & ORDER,
                    .code = code};
    return explore_op(&op);
}

static uint64_t compare(unsigned size, volatile void *at, uint64_t expected, uint64_t value, int order, int on_failure,
                        const void *code)
{
    struct op op = {.kind = OP_COMPARE,
                    .size = (uint8_t)size,
                    .at = (void *)at,
                    .operand = value,
                    .order = order & ORDER,
                    .expected = expected,
                    .on_failure = on_failure & ORDER,
                    .code = code};
    return explore_op(&op);
}

#define LOAD(word, name)                                                                             \
    word name(const volatile void *at, int order);                                                   \
    word name(const volatile void *at, int order)                                                    \
    {                                                                                                \
        return (word)access_atomic(OP_LOAD, 0, sizeof(word), (volatile void *)at, 0, order, CALLER); \
    }

#define STORE(word, name)                                                   \
    void name(volatile void *at, word value, int order);                    \
    void name(volatile void *at, word value, int order)                     \
    {                                                                       \
        access_atomic(OP_STORE, 0, sizeof(word), at, value, order, CALLER); \
    }

#define MODIFY(word, name, modify)                                                             \
    word name(volatile void *at, word value, int order);                                       \
    word name(volatile void *at, word value, int order)                                        \
    {                                                                                          \
        return (word)access_atomic(OP_MODIFY, modify, sizeof(word), at, value, order, CALLER); \
    }

#define COMPARE(word, name)                                                                                  \
    int name(volatile void *at, void *expected, word value, int order, int on_failure);                      \
    int name(volatile void *at, void *expected, word value, int order, int on_failure)                       \
    {                                                                                                        \
        word *was = expected, old = (word)compare(sizeof(word), at, *was, value, order, on_failure, CALLER); \
        int done = old == *was;                                                                              \
        *was = old;                                                                                          \
        return done;                                                                                         \
    }

#define COMPARE_VALUE(word, name)                                                           \
    word name(volatile void *at, word expected, word value, int order, int on_failure);     \
    word name(volatile void *at, word expected, word value, int order, int on_failure)      \
    {                                                                                       \
        return (word)compare(sizeof(word), at, expected, value, order, on_failure, CALLER); \
    }

#define ATOMICS(word, prefix)                       \
    LOAD(word, prefix##_load)                       \
    STORE(word, prefix##_store)                     \
    MODIFY(word, prefix##_exchange, EXCHANGE)       \
    MODIFY(word, prefix##_fetch_add, ADD)           \
    MODIFY(word, prefix##_fetch_sub, SUB)           \
    MODIFY(word, prefix##_fetch_and, AND)           \
    MODIFY(word, prefix##_fetch_or, OR)             \
    MODIFY(word, prefix##_fetch_xor, XOR)           \
    COMPARE(word, prefix##_compare_exchange_strong) \
    COMPARE(word, prefix##_compare_exchange_weak)   \
    COMPARE_VALUE(word, prefix##_compare_exchange_val)

ATOMICS(uint8_t, __tsan_atomic8)
ATOMICS(uint16_t, __tsan_atomic16)
ATOMICS(uint32_t, __tsan_atomic32)
ATOMICS(uint64_t, __tsan_atomic64)
