/* base/bits.h - arithmetic on words, addresses and sizes. No state, no system. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

static inline bool is_power_of_2(size_t x) { return x != 0 && (x & (x - 1)) == 0; }

/* `align` is a power of two; the result wraps when x is within align of the top. */
static inline size_t align_up(size_t x, size_t align) { return (x + align - 1) & ~(align - 1); }

static inline size_t align_down(size_t x, size_t align) { return x & ~(align - 1); }

/* floor(log2 x), x > 0. */
static inline unsigned log2_floor(size_t x) { return 63 - (unsigned)__builtin_clzll(x); }

static inline unsigned lowest_bit(uint64_t x) { return (unsigned)__builtin_ctzll(x); }

/* Side by side in the word, as not every x86-64 has an instruction for it and the compiler calls a function then. (Warren,
 * Hacker's Delight, 5-1.) */
static inline unsigned count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(x * 0x0101010101010101u >> 56);
}

static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }

/* Bitmaps: bit i is bit i % 64 of word i / 64. */
static inline bool bitmap_test(const uint64_t *map, size_t i) { return map[i / 64] >> (i % 64) & 1; }

static inline void bitmap_set(uint64_t *map, size_t i) { map[i / 64] |= (uint64_t)1 << (i % 64); }

static inline void bitmap_clear(uint64_t *map, size_t i) { map[i / 64] &= ~((uint64_t)1 << (i % 64)); }

/* The bits [from, to) of word `w` of a bitmap, as a mask of that word. */
static inline uint64_t bitmap_word_mask(size_t w, size_t from, size_t to)
{
    size_t base = w * 64;
    if (to <= base || from >= base + 64) {
        return 0;
    }
    uint64_t mask = ~(uint64_t)0;
    if (from > base) {
        mask &= ~(uint64_t)0 << (from - base);
    }
    if (to < base + 64) {
        mask &= ~(uint64_t)0 >> (base + 64 - to);
    }
    return mask;
}

static inline void bitmap_set_range(uint64_t *map, size_t from, size_t to)
{
    for (size_t w = from / 64; w * 64 < to; w++) {
        map[w] |= bitmap_word_mask(w, from, to);
    }
}

static inline void bitmap_clear_range(uint64_t *map, size_t from, size_t to)
{
    for (size_t w = from / 64; w * 64 < to; w++) {
        map[w] &= ~bitmap_word_mask(w, from, to);
    }
}

static inline bool bitmap_any(const uint64_t *map, size_t from, size_t to)
{
    for (size_t w = from / 64; w * 64 < to; w++) {
        if (map[w] & bitmap_word_mask(w, from, to)) {
            return true;
        }
    }
    return false;
}

static inline bool bitmap_all(const uint64_t *map, size_t from, size_t to)
{
    for (size_t w = from / 64; w * 64 < to; w++) {
        uint64_t mask = bitmap_word_mask(w, from, to);
        if ((map[w] & mask) != mask) {
            return false;
        }
    }
    return true;
}

/* The first bit at or after `from` and below `end` that is set (clear); `end` when there is none. */
static inline size_t bitmap_next(const uint64_t *map, size_t from, size_t end, uint64_t invert)
{
    if (from >= end) {
        return end;
    }
    size_t w = from / 64;
    uint64_t bits = (map[w] ^ invert) & ~(uint64_t)0 << (from % 64);
    while (!bits) {
        if (++w * 64 >= end) {
            return end;
        }
        bits = map[w] ^ invert;
    }
    return size_min(w * 64 + lowest_bit(bits), end);
}

static inline size_t bitmap_next_set(const uint64_t *map, size_t from, size_t end)
{
    return bitmap_next(map, from, end, 0);
}

static inline size_t bitmap_next_clear(const uint64_t *map, size_t from, size_t end)
{
    return bitmap_next(map, from, end, ~(uint64_t)0);
}

#endif
