/* probe/walk.h - a walk from inner to outer frames, a step at a time: what stacks are taken by (probe/stack.h, probe/calls.h).
 *
 *   place       where a walk is: of the registers only pc, stack pointer and frame pointer
 *   rules       a table: address -> rule, of what call frame information said before
 *   window      what of the stack is known to be mapped
 *
 * Upwards: each frame begins above the one before, but where a signal's handler runs on a stack of its own. It ends where call
 * frame information says so, or with a frame that makes no sense. No memory of its own but the tables, no lock, for any
 * thread and any handler of a signal.
 */
#ifndef PROBE_WALK_H
#define PROBE_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "probe/object.h"
#include "probe/rule.h"

enum { WORD = sizeof(uintptr_t), WALK_PAGE = 4096 }; /* the smallest page there is: what is readable is asked by it */

/* The pc is exact where the thread is, or was interrupted; else it is what a call returns to, which lies behind the call. On
 * arm64 the return address of a frame with an exact pc may still be in its register. */
struct place {
    uintptr_t pc, sp, fp, link;
    bool exact;
};

enum { WALK_OBJECTS = 4 };
struct walk {
    uintptr_t low, high; /* the window: [low, high) can be read; it moves page by page as the walk goes */
    struct object objects[WALK_OBJECTS]; /* seen by this walk; they stay as long as their frames */
    unsigned known, next;                /* how many of them, and which is the next to be replaced */
    const struct object *here;           /* of the last rule: NULL for one that stays, walk_nowhere for none */
};

extern const struct object walk_nowhere;

/* Begins at a stack pointer: `of_thread` is whether it is the calling thread's own at this moment. True when the window is that of the
 * stack that the thread was made with: all of it stays mapped as long as the thread is. */
bool walk_begin(struct walk *walk, uintptr_t sp, bool of_thread);

/* Other functions' frames: what sanitizers say of them does not matter. (No function is put inline that has the attribute.) */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ANY_WORD __attribute__((no_sanitize("address", "thread")))
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ANY_WORD __attribute__((no_sanitize("address", "thread")))
#endif
#endif
#ifndef ANY_WORD
#define ANY_WORD inline __attribute__((always_inline))
#endif

/* To where a word lies that is not in the window. False when it cannot be read, or is none. */
bool walk_move(struct walk *walk, uintptr_t address);

__attribute__((unused)) ANY_WORD static bool walk_load(struct walk *walk, uintptr_t address, uintptr_t *word)
{
    if (unlikely(address - walk->low >= walk->high - walk->low || address % WORD != 0) && !walk_move(walk, address)) {
        return false;
    }
    *word = *(const uintptr_t *)address;
    return true;
}

/* The address of an instruction, of which arm64 may have signed the upper bits. */
static inline uintptr_t walk_strip(uintptr_t pc)
{
#if defined(__aarch64__)
    register uintptr_t signed_pc __asm__("x30") = pc;
    __asm__("hint #7" : "+r"(signed_pc)); /* xpaclri, and nothing on machines that do not sign */
    return signed_pc;
#else
    return pc;
#endif
}

/* Whether a call may return there: addresses have 48 bits, and 0 is none. */
enum { WALK_PC_BITS = 48 };
static inline bool walk_may_return(uintptr_t pc) { return pc - 1 < ((uintptr_t)1 << WALK_PC_BITS) - 1; }

/* False when no object lies there. */
bool walk_object(struct walk *walk, uintptr_t address, struct object *object);

/* What call frame information says; false when there is none. Where only what lies behind a return address has some, that is a
 * function's first instruction: no call was before it, so somebody made that address for a stack of his own, as makecontext
 * does. It has no caller, whatever the function's own information says. */
bool walk_row(const struct object *object, uintptr_t pc, bool exact, struct cfi_image *image, struct cfi_row *row);

/* Signals: whether a handler returns to here; and the registers that the kernel left, given the stack pointer then. */
bool walk_is_signal_return(uintptr_t pc);
uintptr_t walk_context_after(uintptr_t sp);
bool walk_load_context(struct walk *walk, uintptr_t context, uintptr_t registers[CFI_REGISTERS]);

/* Without call frame information. */
bool walk_bare(struct walk *walk, struct place *place);

/* The table of rules: any thread reads and writes, without a lock. An entry is taken only where both its words were written
 * together, for this address of this object: one that was loaded later has other marks (probe/object.h), and for one that
 * stays nobody asks. Two places for each address. */
enum { RULE_BITS = 14, RULE_WAYS = 2 };
struct rule_entry {
    _Atomic uint64_t check; /* rule ^ tag */
    _Atomic uint64_t rule;
};
extern struct rule_entry walk_rules[1 << RULE_BITS][RULE_WAYS];

uint64_t walk_other_rule(struct walk *walk, uintptr_t pc, uintptr_t at);

static inline struct rule_entry *walk_rules_of(uintptr_t at)
{
    return walk_rules[at * 0x9e3779b97f4a7c15u >> (64 - RULE_BITS)];
}

/* No tag is 0, as what was never written has. */
static inline uint64_t walk_tag(uintptr_t at, uint64_t mark) { return ~(at ^ mark); }

static inline bool walk_entry_is(struct rule_entry *entry, uint64_t tag, uint64_t *rule)
{
    *rule = atomic_load_explicit(&entry->rule, memory_order_relaxed);
    return (atomic_load_explicit(&entry->check, memory_order_relaxed) ^ *rule) == tag;
}

static inline uint64_t walk_rule(struct walk *walk, uintptr_t pc, bool exact)
{
    uintptr_t at = pc - !exact;
    uint64_t tag = walk_tag(at, 0), rule;
    struct rule_entry *entry = walk_rules_of(at);
    walk->here = NULL;
    if (likely(walk_entry_is(&entry[0], tag, &rule)) || walk_entry_is(&entry[1], tag, &rule)) {
        return rule;
    }
    return walk_other_rule(walk, pc, at);
}

/* Whether the next frame may begin there. One that has called nobody yet may have no frame of its own on arm64. */
static inline bool walk_above(uintptr_t cfa, uintptr_t sp, bool exact)
{
    return cfa % WORD == 0 && (cfa > sp || (exact && cfa == sp));
}

/* What a step read: where on the stack it found the return address and, where it did, the frame pointer; the return address
 * as it lies there. Meant for steps of frames of the kinds FROM_SP and FROM_FP whose pc is not exact. */
struct walk_read {
    uintptr_t pc_at, fp_at, word;
};

enum walk_result { WALK_ON, WALK_END, WALK_HARD };

enum walk_result walk_step_otherwise(struct walk *walk, struct place *place, enum rule_kind kind);

/* To the caller's frame, by the rule of this one. */
static inline __attribute__((always_inline)) enum walk_result walk_step(struct walk *walk, struct place *place,
                                                                        uint64_t rule, struct walk_read *read)
{
    enum rule_kind kind = kind_of(rule);
    uintptr_t cfa = (kind == FROM_SP ? place->sp : place->fp) + (uintptr_t)rule_cfa(rule), fp = place->fp;
    read->pc_at = read->fp_at = 0;
    if (unlikely(kind > FROM_FP)) {
        if (kind != AT_FP) {
            enum walk_result result = walk_step_otherwise(walk, place, kind);
            read->word = place->pc;
            return result;
        }
        if (!walk_load(walk, cfa, &cfa) || !walk_load(walk, fp, &fp)) {
            return WALK_END;
        }
    }
    if (unlikely(!walk_above(cfa, place->sp, place->exact))) {
        return WALK_END;
    }
    uintptr_t pc = place->link;
    read->pc_at = cfa + (uintptr_t)rule_return(rule);
    if (rule_return(rule) ? !walk_load(walk, read->pc_at, &pc) : !place->exact) {
        return WALK_END;
    }
    if (rule_fp(rule)) {
        read->fp_at = cfa + (uintptr_t)rule_fp(rule);
        if (!walk_load(walk, read->fp_at, &fp)) {
            return WALK_END;
        }
    }
    read->word = pc;
    place->pc = walk_strip(pc);
    place->sp = cfa;
    place->fp = fp;
    place->exact = false;
    return likely(walk_may_return(place->pc)) ? WALK_ON : WALK_END;
}

#endif
