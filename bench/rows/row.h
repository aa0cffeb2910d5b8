/* row.h - what the programs of the rows share: chance that is the same on every run, and blocks used as programs use them.
 *
 * Every program takes the amount of its work as its first argument, does the same work whatever the malloc, and prints one
 * sum of all that it read back from its blocks: equal on every malloc, however threads took turns.
 *
 * A block carries its size in its first word. It is written when it is made and read before it is freed, in every cache
 * line up to 32 KiB and in every page beyond, as a program would that fills a buffer.
 */
#ifndef ROW_H
#define ROW_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noreturn)) static inline void fail(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

/* The argument at `index`, a number. */
static inline uint64_t number(int argc, char **argv, int index)
{
    if (index >= argc)
        fail("an argument is missing: bench/rows.py has them");
    return strtoull(argv[index], NULL, 10);
}

static inline uint64_t chance(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline size_t below(uint64_t *state, size_t limit) { return (size_t)((chance(state) >> 32) * limit >> 32); }

/* A size from `least` to `most`: small ones often, each doubling as probable as the next. */
static inline size_t some_size(uint64_t *state, size_t least, size_t most)
{
    size_t doublings = 1;
    while (least << doublings < most)
        doublings++;
    size_t floor = least << below(state, doublings);
    size_t size = floor + below(state, floor + 1);
    return size > most ? most : size;
}

static inline size_t stride(size_t size) { return size <= 32768 ? 64 : 4096; }

/* Writes the block that malloc or its like has just made, of at least 8 bytes. */
static inline void *written(void *block, size_t size)
{
    if (!block)
        fail("out of memory");
    *(uint64_t *)block = size;
    for (size_t at = stride(size); at + sizeof(uint64_t) <= size; at += stride(size))
        *(uint64_t *)((char *)block + at) = size ^ at;
    return block;
}

static inline void *make(size_t size) { return written(malloc(size), size); }

/* The sum of what was written; of NULL it is 0. */
static inline uint64_t sum_of(const void *block)
{
    if (!block)
        return 0;
    size_t size = *(const uint64_t *)block;
    uint64_t sum = size;
    for (size_t at = stride(size); at + sizeof(uint64_t) <= size; at += stride(size))
        sum += *(const uint64_t *)((const char *)block + at);
    return sum;
}

/* Reads the block, frees it and returns its sum. */
static inline uint64_t finish(void *block)
{
    uint64_t sum = sum_of(block);
    free(block);
    return sum;
}

static inline void print_sum(uint64_t sum) { printf("%016" PRIx64 "\n", sum); }

/* A table of `count` pointers, all NULL. */
static inline void **table(size_t count)
{
    void **slots = (void **)calloc(count, sizeof *slots);
    if (!slots)
        fail("out of memory");
    return slots;
}

static inline uint64_t finish_all(void **slots, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += finish(slots[i]);
    free(slots);
    return sum;
}

#endif
