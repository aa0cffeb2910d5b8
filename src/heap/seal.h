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

#define SEAL_BYTES ((size_t)8)

/* What this process does about crimes; set once, by options, before its first block. All zero: what is free of charge. */
struct hardening {
    unsigned level;     /* harden=0 to 3 */
    size_t redzone;     /* bytes behind each block at least: 0, or SEAL_BYTES and more */
    size_t quarantine;  /* bytes that each thread holds back of each class */
    bool unwatched;     /* whoever watches accesses (os/watch.h) is told nothing */
    bool filled;        /* new blocks are filled with: */
    unsigned char fill; /* and freed ones with its complement; else these are wiped with zero */
};
extern struct hardening hardening;

static inline bool sealed(void) { return __builtin_expect(hardening.redzone != 0, 0); }

/* Pages that nobody can access stand around what they can (harden=3). */
static inline bool fenced(void) { return __builtin_expect(hardening.level >= 3, 0); }

/* What a level means, at least. */
void harden(size_t level);

/* The masks' secret, once, ahead of all others. */
void seal_init(void);

/* A block of so many bytes begins in `room` wiped bytes, which end with its seal. Faults when something was written there,
 * of which the caller may be sure: then it is not `checked`. `kind`: for the line. */
void seal_begin(void *p, size_t room, size_t size, bool checked, const char *kind);

/* A live block ends, and is wiped: faults when it is none, or something was written behind it. */
void seal_end(void *p, size_t room, const char *kind);

/* The size of a live block; faults, naming the caller's `crime`, when it is none or what stands behind it is not whole. */
size_t seal_size(const void *p, size_t room, const char *crime, const char *kind);

/* The same of a block without a seal, all of whose room that it has not is to be wiped. */
void seal_expect_slack(const void *p, size_t room, size_t size, const char *kind);

/* Takes a free block's seal away: faults when it is none. */
void seal_remove(void *p, size_t room, const char *kind);

/* What stands there may be a seal, of a live block, of a free one, or none yet. Another thread may be changing it. */
bool seal_may_be(const void *p, size_t room);

/* A live block goes with all that is around it, without a look: whoever watches accesses is told. */
void seal_unwatch(const void *p, size_t room);

/* It is free: its seal says so, or it never had one. */
bool seal_says_free(const void *p, size_t room);

/* Makes a live block another size within its room. */
void seal_resize(void *p, size_t room, size_t size, const char *kind);

#endif
