/* heap/seal.h - what stands behind the bytes of a block, and what is in them while nobody has them: how crimes show that
 * free bits cannot tell of (harden=2 and up; redzone, fill).
 *
 *   block:  | size bytes, as asked for | slack ................. | seal |     the last 8 bytes of its slot, run or mapping
 *   free:   | wiped ...................................... | seal |
 *
 * The seal is the size, or that the block is free, masked with a number that depends on the address and a secret of the
 * process: who does not know that cannot write one. Its first byte is zero, so a string that runs into it ends there. A
 * block is found wiped when it is handed out again, and its slack and seal whole when it is freed: else somebody wrote
 * where nothing was his.
 */
#ifndef HEAP_SEAL_H
#define HEAP_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"

#define SEAL_BYTES ((size_t)8)

/* What this process does about crimes; set once, by options, before its first block. All zero: what is free of charge. */
struct hardening {
    unsigned level;    /* harden=0 to 3 */
    size_t redzone;    /* bytes behind each block at least: 0, or SEAL_BYTES and more */
    size_t quarantine; /* bytes that each thread holds back of each class */
    bool unwatched;    /* whoever watches accesses (os/watch.h) is told nothing */
    bool plain;  /* there are seals, free bytes are zero, and nobody watches: nearly every call ends inline, below */
    bool filled; /* new blocks are filled with: */
    unsigned char fill; /* and freed ones with its complement; else these are wiped with zero */
};
extern struct hardening hardening;

static inline bool sealed(void) { return __builtin_expect(hardening.redzone != 0, 0); }

/* Pages that nobody can access stand around what they can (harden=3). */
static inline bool fenced(void) { return __builtin_expect(hardening.level >= 3, 0); }

/* What a level means, at least. */
void harden(size_t level);

/* The masks' secret, once, ahead of all others, and when all options are known. */
void seal_init(void);

/* -- what stands there -- */

extern uint64_t seal_secret[2];

static inline uint64_t *seal_at(const void *p, size_t room) { return (uint64_t *)((char *)p + room - SEAL_BYTES); }

/* The seal of a block there, of so many bytes, or SEAL_FREED; a lowest byte of zero is the first in memory, as both machines are
 * little-endian. The mask depends on every bit of the address, and cannot be told from one seal for another. (Steele and Vigna's
 * mixing of a product with its upper half.) */
#define SEAL_SHIFT 8
#define SEAL_FREED ((uint64_t)1 << 55) /* no size is as large */
static inline uint64_t seal_mask(uintptr_t p, const uint64_t secret[2])
{
    uint64_t x = (p ^ secret[0]) * secret[1];
    return (x ^ x >> 32) * 0xd1342543de82ef95;
}

static inline uint64_t seal_of(const void *p, uint64_t size)
{
    return (size << SEAL_SHIFT ^ seal_mask((uintptr_t)p, seal_secret)) & ~(uint64_t)0xff;
}

/* The size, or SEAL_FREED; anything when somebody wrote there, but no size then, but with the chance of a guess. */
static inline uint64_t seal_read(uint64_t seal, uint64_t mask)
{
    uint64_t said = seal ^ (mask & ~(uint64_t)0xff);
    return said >> SEAL_SHIFT | said << (64 - SEAL_SHIFT);
}

static inline uint64_t seal_says(const void *p, uint64_t seal)
{
    return seal_read(seal, seal_mask((uintptr_t)p, seal_secret));
}

typedef uint64_t seal_pair __attribute__((vector_size(16), may_alias));
typedef uint64_t seal_word __attribute__((aligned(1), may_alias));

/* All words from `at` to `end` are zero; the first is at a multiple of 16, and the last one may be half a pair. */
static inline bool seal_are_zero(const char *at, const char *end)
{
    seal_pair some = {0}, others = {0};
    for (; end - at >= 64; at += 64) {
        const seal_pair *pair = (const seal_pair *)at;
        some |= pair[0] | pair[1];
        others |= pair[2] | pair[3];
    }
    for (; end - at >= 16; at += 16) {
        some |= *(const seal_pair *)at;
    }
    some |= others;
    return (some[0] | some[1] | (at < end ? *(const seal_word *)at : 0)) == 0;
}

/* -- a block's life -- */

/* A block of so many bytes begins in `room` wiped bytes, which end with its seal. Faults when something was written there,
 * of which the caller may be sure: then it is not `checked`. `kind`: for the line. */
void seal_begin_any(void *p, size_t room, size_t size, bool checked, const char *kind);

static inline void seal_begin(void *p, size_t room, size_t size, const char *kind)
{
    uint64_t *seal = seal_at(p, room), free = seal_of(p, SEAL_FREED);
    if (likely(hardening.plain) && likely(*seal == free || *seal == 0) && likely(seal_are_zero(p, (char *)seal))) {
        *seal = free ^ (SEAL_FREED ^ size) << SEAL_SHIFT;
    } else {
        seal_begin_any(p, room, size, true, kind);
    }
}

/* What the block of so many bytes has not, before its seal, is zero. */
static inline bool seal_slack_is_zero(const char *p, const char *seal, size_t size)
{
    const char *at = p + (size & ~(size_t)7);
    uint64_t some = at < seal ? *(const seal_word *)at >> size % 8 * 8 : 0;
    for (at += 8; at < seal && (uintptr_t)at % 64; at += 8) {
        some |= *(const seal_word *)at;
    }
    return some == 0 && (likely(at >= seal) || seal_are_zero(at, seal));
}

/* Of two threads that both have found a live block's seal one takes it away. */
static inline bool seal_take(uint64_t *seal, uint64_t was, uint64_t free)
{
    return __atomic_compare_exchange_n(seal, &was, free, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* A live block ends, and is wiped: faults when it is none, or something was written behind it. */
void seal_end_any(void *p, size_t room, const char *kind);

static inline void seal_end(void *p, size_t room, const char *kind)
{
    uint64_t *seal = seal_at(p, room), free = seal_of(p, SEAL_FREED);
    uint64_t was = likely(hardening.plain) ? *seal : 0, size = likely(hardening.plain) ? seal_says(p, was) : SIZE_MAX;
    if (likely(size <= room - SEAL_BYTES) && likely(seal_slack_is_zero(p, (char *)seal, size)) &&
        likely(seal_take(seal, was, free))) {
        memset(p, 0, size);
    } else {
        seal_end_any(p, room, kind);
    }
}

/* The size of a live block; faults, naming the caller's `crime`, when it is none or what stands behind it is not whole. */
size_t seal_size_any(const void *p, size_t room, const char *crime, const char *kind);

static inline size_t seal_size(const void *p, size_t room, const char *crime, const char *kind)
{
    const uint64_t *seal = seal_at(p, room);
    uint64_t size = likely(hardening.plain) ? seal_says(p, *seal) : SIZE_MAX;
    bool whole = size <= room - SEAL_BYTES && seal_slack_is_zero(p, (const char *)seal, size);
    return likely(whole) ? size : seal_size_any(p, room, crime, kind);
}

/* The same of a block without a seal, all of whose room that it has not is to be wiped. */
void seal_expect_slack(const void *p, size_t room, size_t size, const char *kind);

/* Takes a free block's seal away: faults when it is none. */
void seal_remove(void *p, size_t room, const char *kind);

/* What stands there may be a seal, of a live block, of a free one, or none yet. Another thread may be changing it. */
__attribute__((no_sanitize_thread)) static inline bool seal_may_be(const void *p, size_t room)
{
    uint64_t seal = *(const volatile uint64_t *)seal_at(p, room), says = seal_says(p, seal);
    return says <= room - SEAL_BYTES || says == SEAL_FREED || seal == 0;
}

/* A live block goes with all that is around it, without a look: whoever watches accesses is told. */
void seal_unwatch(const void *p, size_t room);

/* It is free: its seal says so, or it never had one. */
bool seal_says_free(const void *p, size_t room);

/* Makes a live block another size within its room. */
void seal_resize(void *p, size_t room, size_t size, const char *kind);

#endif
