/* span/kept.h - mappings of large blocks that were freed, for those that come: what span/large.c has beside its blocks.
 *
 *   freed --> kept, oldest first: | 3 MiB | 40 MiB | 2 MiB | ...   --> the one that fits best --> a block, its ends kept again
 *                  \ too many, too old --> outgoing --> the system, without the lock; of a thread in haste: deferred, for others to do
 *
 * At most LARGE_KEPT_MOST: an eighth of what is live, the largest block freed so far, of up to 32 MiB, and what experience adds
 * (span/reserve.h). Within that the oldest goes first; neighbours become one. O(LARGE_KEPT_MOST) for each call.
 *
 *   sum of the lengths kept = reserve_dirty;   deferred_bytes = sum of those deferred
 *
 * large_mutex is for all of it and for the records; who calls has it, where nothing else is said.
 */
#ifndef SPAN_KEPT_H
#define SPAN_KEPT_H

#include "os/lock.h"
#include "span/large.h"

extern struct os_lock large_mutex;
extern size_t large_live; /* bytes of blocks */

/* Records of blocks, and of what was deferred. NULL with memory out. */
struct large *large_new_record(void);
void large_drop_record(struct large *l);

static inline void *large_at(const struct large *l) { return (void *)~l->hidden_at; }

/* Mappings on their way back to the system: unmapping gigabytes takes a while, and is done without the lock. */
struct kept_outgoing {
    struct large_kept mapping[LARGE_KEPT_MOST + 1];
    size_t count;
};

/* Sends them back, without the lock, or leaves that to another thread. */
void kept_send_back(const struct kept_outgoing *out);

/* A block so long has been freed. */
void kept_learn(size_t length);
/* Keeps a mapping, or sends it back, or those that it takes the place of. */
void kept_keep(struct large_kept k, struct kept_outgoing *out);
/* An end of a mapping, without the lock. */
void kept_rest(char *from, char *to, enum pages pages);

/* All of these: of no length when there is none. The one that fits best; for a thread in haste one that is long enough, and not twice
 * as long, as it is, so that nothing is cut off, and what such threads leave they find again; and one of explicit huge pages that fits,
 * where `whole` will be mapped else. */
struct large_kept kept_take(size_t length);
struct large_kept kept_take_whole(size_t length, size_t align);
struct large_kept kept_take_hugetlb(size_t length, size_t whole, size_t align);

/* Whether a mapping of explicit huge pages serves as it is. */
static inline bool kept_fits(size_t length, size_t wanted) { return length >= wanted && length - wanted <= wanted / 8; }

/* Kept and deferred, without waiting for anybody: true at some moment. */
size_t kept_bytes(void);
void kept_check(void);

#endif
