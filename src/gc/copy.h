/* gc/copy.h - the copying collector's part of a heap: generations of units, and what moves between them.
 *
 *   mutators' holes --> | young | young | young |            blocks one after the other; in a collection all of them are FROM
 *                           |  what lives is copied once
 *                           v
 *                       | old | old | old | to --> |         each with a mark bit for every 16 bytes, zero between collections
 *                           |                ^
 *                           `-- sparse ones -'               evacuated, by a whole collection or one by one
 *
 *   unit:   | 8 | header, object | header, object | 0 type, length: a gap | header, object |  end
 *   moved:  | new address << 16 | MOVED | its old bytes ...                 length: that of the new one
 *
 *   collection of the young   roots and remembered objects -> copies, scanned where they lie (Cheney 1970): no stack. What it wants of
 *                             memory it need not get: an object that finds no room stays where it is, and its unit turns old
 *   whole collection          the world stands: the young and the sparse units are FROM, the others are marked in place; one trace
 *   cycle of steps            MARKING in place, of old units, while the program runs; references into the units that the last sweep found
 *                             sparse are noted as they are met. SWEEPING: dead units go, gaps are marked as such. EVACUATING: a few
 *                             sparse units at a time, by way of what was noted, with the roots and an empty nursery
 *
 * Each old object has WATCHED, unless it is among the remembered: so the young are collected by what has been written to. (Ungar 1984;
 * remembering objects: as Oberon's and OCaml's; evacuation by recorded slots: Detlefs et al., "Garbage-First", 2004.)
 */
#ifndef GC_COPY_H
#define GC_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/gc.h>

#include "gc/table.h"
#include "gc/worklist.h"
#include "span/segment.h"

struct gc;
struct mutator;
struct copy_slots;

/* What references to objects of a unit are to a collection; COPY_FROM of young ones also between collections. */
enum copy_is {
    COPY_NONE, /* spare, or nobody may touch it */
    COPY_OLD,
    COPY_STAYS, /* would have moved, but a word that may mean an object of it says no, or there was no room: what is left of it is
                   marked in place, and at the end it is an old unit */
    COPY_FROM, /* what is reached goes elsewhere */
};

struct copy_unit {
    struct unit unit;
    struct copy_unit *next, *prev; /* in the list of the young, or of the old; of spare ones by next */
    char *end;                     /* blocks lie from data + 8 to here, or to a header that is 0 */
    char *scan;                    /* of copies: those before have been looked at */
    union {
        struct copy_unit *next_to; /* a unit that is copied to: the next one */
        struct copy_slots *slots;  /* a `wanted` one, in a cycle: references into it */
    };
    uint16_t live16;  /* bytes / 16 of what lived as it was last looked through */
    uint16_t objects; /* as many; COPY_UNKNOWN: it has not been */
    uint16_t
        serial; /* another one each time that a unit is taken for old objects: so a slot that was noted is known to be one still */
    uint16_t noted; /* slots */
    uint8_t is;
    bool black; /* all that lies here counts as marked: it has been copied here, or made, in this collection */
    bool again; /* marked objects may not have been looked at */
    bool
        pinned; /* a word that may mean an object of it, of a root or an object of type MAYBE, was seen in this collection */
    bool tabled;    /* finishable, weak or ephemeron objects are here: tables refer to it, so no step moves it */
    bool maybe;     /* objects of type MAYBE, which never move: all of them lie in such units */
    uint8_t wanted; /* the cycle in which it is to be evacuated; 0: none */
};
_Static_assert(sizeof(struct copy_unit) == HEADER_SIZE, "a unit's header is one line");

#define COPY_UNKNOWN 0xffffu

/* A unit that is being filled: all NULL when there is none. */
struct copy_bump {
    struct copy_unit *unit;
    char *at, *end;
    /* Of copies: the first unit with some that have not been looked at, by next_to up to `unit`; and where this collection's begin. */
    struct copy_unit *scanning;
    char *from;
};

/* Where the blocks of a unit begin, for words that may mean one: a bit for each 16 bytes. */
struct copy_starts {
    struct copy_unit *unit; /* NULL: nothing is known */
    uint64_t bit[UNIT_SIZE / 16 / 64];
};
#define COPY_STARTS 4

enum copy_phase { COPY_IDLE, COPY_MARKING, COPY_SWEEPING, COPY_EVACUATING };

/* The heap's lock guards it, and the world stands but in copy_get.
 *
 *   young_bytes = what was handed out of young units since they were last collected      <= nursery, by a hole or so
 *   used >= bytes of blocks and large objects that are not known to be dead */
struct copy {
    enum copy_phase phase;
    bool whole, of_young; /* such a collection is under way, in this call */
    bool again;           /* some unit, or large object, has `again` */
    bool no_room;         /* memory was out, in this collection: nothing more is tried */
    uint8_t cycle;        /* counts whole collections and cycles, never 0 */
    uint8_t tries;        /* times the end of marking found more to do, in this cycle */
    uint64_t watch;       /* what each old object's header has: WATCHED, in a PLAIN heap 0 */
    struct copy_unit *young, *old;
    struct copy_unit *spare; /* the last used first */
    size_t spares;
    size_t spares_kept;                 /* so many are, until the next whole collection */
    bool is_due, lean;                  /* the program has not asked for this collection; none are kept */
    struct copy_unit *shut, *shut_last; /* STRESS: inaccessible, the oldest first */
    size_t shuts;
    struct copy_bump to[2];         /* where copies go: small blocks, and those above COPY_MEDIUM */
    struct copy_bump medium, maybe; /* where those above COPY_MEDIUM are made, and objects of type MAYBE */
    struct copy_unit *cursor;       /* SWEEPING, EVACUATING: the next one */
    struct worklist work, staying;  /* the latter in collections of the young, of those that stay */
    bool maybes;                    /* objects of type MAYBE have been made */
    size_t copied, survived;        /* bytes, in this collection, or the last of the young */
    size_t nursery, young_bytes;
    size_t nursery_most;
    size_t promoted, due; /* bytes that have become old since the last whole collection; as many ask for the next */
    size_t begun, late;   /* `promoted` when this cycle began, and when its sweep did */
    size_t swept;         /* bytes that lived, of what the sweep has looked at */
    size_t finishables, weak, ephemerons; /* of the heap's tables: so many are of old objects */
    uint16_t serial;                      /* the last one */
    uint32_t taken;                       /* units that got one in this cycle */
    struct copy_slots *unused_slots;
    struct gc_table slot_blocks; /* void *: what slots' chunks are cut from */
    uint64_t visited; /* objects that were looked at, and slots that were followed, so far: the unit of work */
    struct copy_starts starts[COPY_STARTS];
};
struct copy_mutator {
    struct copy_unit *unit; /* of its hole; NULL: none */
};

int copy_init(struct gc *gc);
void copy_done(struct gc *gc);
int copy_attach(struct mutator *me);
void copy_detach(struct mutator *me, bool lost);
void *copy_get(struct mutator *me, const struct allot_gc_type *type, size_t size);
void copy_write(struct mutator *me, void *object, void **slot, void *value);
void copy_collect(struct gc *gc);
bool copy_step(struct gc *gc, uint64_t deadline);
void copy_due(struct mutator *me);
/* What a large object's header has beside its type and that it is one. */
uint64_t copy_fresh_large(struct gc *gc, const struct allot_gc_type *type);
void *copy_object_at(struct gc *gc, uintptr_t word, bool interior);
size_t copy_size(const struct gc *gc, const void *object);
int copy_walk(struct gc *gc, int (*visit)(void *, const struct allot_gc_type *, size_t, void *), void *arg);
void copy_check(struct gc *gc);
bool copy_reached(struct gc *gc, const void *object);
void copy_hold(struct gc *gc, void **slot);
void copy_drain(struct gc *gc);

#endif
