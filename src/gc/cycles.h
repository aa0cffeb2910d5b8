/* gc/cycles.h - circles that nobody refers to, found by trial deletion, piece by piece, while the program runs between the pieces.
 * (Bacon and Rajan, "Concurrent cycle collection in reference counted systems", 2001, the synchronous algorithm; made interruptible.)
 *
 *   MARKING      from the candidates on: all that follows is a member; each member has a trial count of the references to it that come
 *                from members that have been COUNTED
 *   SCANNING     who has more references than that is LIVE, and all that follows
 *   FINISHERS    of the others, who are garbage: weak references to them are cleared; those with finishers are put in order; the
 *                first are due, and what they all refer to is KEPT (cycles_finish.c)
 *   COLLECTING   garbage, but what is KEPT: each one's references are taken from it, and who has none is free
 *   CLEANING     all that was noted is forgotten. The next round has to begin with candidates
 *   ABORTING     memory was out for trial counts: all members become candidates again
 *
 * The trial counts lie beside the objects, a word each, in blocks that a unit has while it has members:
 *
 *   unit --trial--> | entry | entry | entry | ...      entry:  | IN COUNTED LIVE HELD KEPT AGAIN CLEARED | trial count : 25 |
 *                                                      large objects have theirs in their records
 *
 * The objects' own counts are never changed before COLLECTING, so at any moment the program counts as ever, and objects go at once.
 * What it does between two pieces is told to the round (barriers below), such that always
 *
 *   MARKING, SCANNING:   trial count of a member <= references to it from COUNTED members             count_check proves it
 *   SCANNING:            a member that is not LIVE, behind the place where SCANNING is, is referred to by members only
 *
 *   the program stores into a slot of a COUNTED member: what was there has one less of its trial count, and the member is
 *     HELD, which makes it LIVE, as the program has it; the new value is no part of anybody's trial count
 *   an object gets one reference more, while SCANNING: it is LIVE
 *   a member's count comes to 0: it goes, and takes its share of its children's trial counts along; if it is to be finished first, it
 *     is HELD, or LIVE, until it has been
 *
 * So at the end of SCANNING who is not LIVE is referred to by such only, and cannot be reached any more: it stays so. A trial count that
 * is too low makes an object LIVE that is not; that follows a reference that it lost, so it is a candidate of the next round.
 *
 * Termination: a round has at most as many members as there were objects when it began; who would be the next is taken for LIVE and
 * a candidate. A circle that is garbage when a round begins is found by it, however small the pieces; or by the next, after such.
 *
 * Work: a reference visited, an object looked at, 64 slots passed over, 128 bytes of trial counts begun: one each. A piece ends when its
 * work is spent; it is exceeded by at most an object's own 64 references, or those that its `trace` reports. Memory: 4 bytes for each
 * slot of units with members, in units of 64 KiB; the heap's limit keeps room for it.
 *
 * All but the barriers runs while the world stands; the barriers take the lock.
 */
#ifndef GC_CYCLES_H
#define GC_CYCLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gc;
struct count_unit;
struct count_hand;
struct large_object;

enum cycles_phase {
    CYCLES_NONE,
    CYCLES_MARKING,
    CYCLES_SCANNING,
    CYCLES_FINISHERS,
    CYCLES_COLLECTING,
    CYCLES_ABORTING,
    CYCLES_CLEANING,
};

#define TRIAL_IN      ((uint32_t)1 << 31) /* a member */
#define TRIAL_COUNTED ((uint32_t)1 << 30) /* what it refers to has been counted; of `part`, up to there */
#define TRIAL_LIVE    ((uint32_t)1 << 29)
#define TRIAL_HELD    ((uint32_t)1 << 28) /* is to be LIVE */
#define TRIAL_KEPT    ((uint32_t)1 << 27) /* a finishable object wants it */
#define TRIAL_AGAIN   ((uint32_t)1 << 26) /* cycles_finish.c's second pass */
#define TRIAL_CLEARED ((uint32_t)1 << 25) /* refers to nothing any more */
#define TRIAL_COUNT   (TRIAL_CLEARED - 1)

struct trial {
    struct trial *next;       /* of the round's */
    struct trial *queue_next; /* of those with pending members */
    struct count_unit *unit;
    uint16_t pending; /* bits of the unit's pending map: members that are to be visited; may be 0 in the queue */
    uint8_t low;      /* none below this word */
    bool queued;
    uint32_t entry[];
};

/* Where a walk over all members is: large objects by address, then units. */
struct cycles_place {
    uintptr_t large;
    struct trial *trial;
    unsigned slot;
};

enum cycles_pass { PASS_LIST, PASS_SORT, PASS_HEADS, PASS_DUE, PASS_QUEUE, PASS_OVER };

struct cycles {
    enum cycles_phase phase;
    struct count_unit *from; /* MARKING: units with candidates */
    struct count_unit *unit; /* the one that is looked at, from `slot` on, or NULL */
    unsigned slot;
    bool large_from;
    struct trial *trials, *queue;
    size_t large_pending; /* large members that are to be visited: none below `large_low` */
    uintptr_t large_low;
    struct cycles_place place;
    void *part; /* an object of whose tail the words from `word` on are still to be visited */
    size_t word;
    size_t members, live, most;
    bool no_memory;
    size_t extra; /* work that is still to be counted: a unit's trial counts begin at 0 */

    /* FINISHERS: by count_finish.next */
    enum cycles_pass pass;
    void *listed, *sorted, *heads, *due;
    struct {
        void *a, *b, *first, *last;
        unsigned level;
        bool busy;
    } merge;
    void *run[64]; /* of 2^i objects each, sorted */

    struct count_unit *arena; /* units for trials, by next; a block is cut from [at, end) of the first */
    char *at, *end;

    uint64_t rounds, found, visited; /* in all: that were complete; objects that went; references visited */
};

/* Begins a round, if there are candidates. The world stands. */
bool cycles_begin(struct gc *gc);
/* Proceeds by as much work; true: the round is over. */
bool cycles_proceed(struct gc *gc, size_t *work);
/* Begun, or with candidates to begin with. */
bool cycles_wanted(const struct gc *gc);
/* Forgets the round, whatever it found; candidates that it has not looked at are such again. */
void cycles_drop(struct gc *gc);

/* -- barriers, behind count_ops.h's tests; `locked` says that the lock is held -- */

void cycles_note(struct gc *gc, const void *object, uint64_t header);
void cycles_referred_now(struct gc *gc, void *object);
void cycles_held_now(struct gc *gc, void *object);
void cycles_written_now(struct gc *gc, void *object, void **slot, void *old);
void cycles_cut_now(struct gc *gc, void *object, void **slot, void *child);
void cycles_forget(struct gc *gc, void *object);
bool cycles_has_given_up(const struct gc *gc, const void *object);

/* -- among cycles*.c -- */

uint32_t *cycles_entry(const struct gc *gc, const void *object);
uint32_t *cycles_join(struct gc *gc, void *object);
void cycles_pend(struct gc *gc, void *object);
void *cycles_next_pending(struct gc *gc);
void *cycles_next_member(struct gc *gc, struct cycles_place *place, size_t *work, uint32_t **entry);
void cycles_from_start(struct gc *gc, struct cycles_place *place);
bool cycles_give_trials(struct gc *gc, size_t *work);
bool cycles_order_finishers(struct gc *gc, size_t *work);

#endif
