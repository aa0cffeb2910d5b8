/* probe/calls_last.h - a thread's last stacks, and whether they still are as they were: for probe/calls.c.
 *
 *   frames:  0 main | 1 load | 2 parse | 3 token | 4 alloc      the outermost first; each with the state of a walk that is there
 *   words:   what a walk from a frame outwards would read: those of 0, of 1, ...
 *
 * A step of a walk is a function of pc, stack pointer, frame pointer and the words that it reads. So where the first three are
 * the same at one frame as they were, and beyond it all the words, the rest of the stack is the same, exactly. The frame
 * pointer counts only where a frame beyond finds its place by it before another one restores it (LIVE).
 *
 * Frames that are not simply stepped over (behind signals' handlers, without call frame information) are stepped over again: in
 * place of their word stands one that never is as it was. Of objects that may go is asked whether they are still there.
 */
#ifndef PROBE_CALLS_LAST_H
#define PROBE_CALLS_LAST_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/calls_tree.h"
#include "probe/walk.h"

/* The word at a place. The pc after a step that has to be made again is said to be at last_never, which is 0. */
struct word {
    const uintptr_t *at;
    uintptr_t is;
};
extern const uintptr_t last_never;

struct frame {
    uintptr_t sp, fp, pc; /* the pc as it lay on the stack */
    uint64_t hash;        /* of the node */
    uintptr_t pc_at;      /* where that was; 0 where the step before was not plain */
    int32_t fp_at;        /* and the frame pointer, in bytes from there; 0: it is what it was in the frame before */
    uint32_t node;        /* of the tree: all that lies beyond, and this */
    uint32_t objects;     /* that may go, from the outermost frame to this: bit i is object i */
    uint32_t words;       /* so many belong to the frames beyond this one */
    uint8_t object;       /* of this frame: one that may go; or NOWHERE; or STAYS */
    uint8_t is;
};
enum {
    EXACT = 1,    /* an interrupted instruction: more than pc, sp and fp belongs to it, so nothing begins there */
    BY_FP = 2,    /* its step uses the frame pointer */
    PLAIN = 4,    /* its step reads a word or two, in this frame */
    BOTTOM = 8,   /* its rule says that there is no caller */
    LIVE = 16,    /* the frame pointer here matters: to its own step, or to one before it is restored */
    CROSSED = 32, /* there is an EXACT one, from the outermost to this: they may lie on several stacks */
};
enum { OBJECTS = 31, NOWHERE = OBJECTS, STAYS };

/* Frames and words lie in one mapping: room for `most`, and twice as many words. */
struct frames {
    uint32_t count, most;
    uint32_t used; /* when it last was, by the thread's clock */
    bool ends;     /* the outermost frame is BOTTOM, and in the window that stays */
    struct frame *frame;
    struct word *word;
};

/* False when memory is out. */
bool frames_grow(struct frames *frames, uint32_t count);
void frames_free(struct frames *frames);

/* Objects that may go, of a thread's stacks. */
struct objects {
    unsigned count;
    uint32_t sound; /* those found to be still there, during a call */
    struct object object[OBJECTS];
    struct module *module[OBJECTS];
    struct calls_staying staying;
};

/* The object of a frame whose rule came from it; false when there is no room, or memory is out. */
bool objects_find(struct objects *objects, const struct object *here, uint8_t *object);
/* Whether those of frame k and beyond are still there, and where there was none there is none; and `more`. */
bool objects_still(struct objects *objects, const struct frames *last, uint32_t k, uint32_t more);

/* Given that frame k is as it was: 0 when all beyond are, else the number of the last that is, + 1. */
uint32_t last_until(struct walk *walk, const struct frames *last, uint32_t k);

/* Adds the frames of `last` from k - 1 to `until`, which are as they were, to those that were walked; a dead frame pointer may be
 * another. Then the place is that of the last of them. False when there is no room. */
bool last_again(struct walk *walk, const struct frames *last, uint32_t k, uint32_t until, struct frames *walked,
                struct place *place);

/* The walked frames become the last stack, upon the first k of it. The number of that, or 0. */
uint32_t last_keep(struct objects *objects, struct frames *last, uint32_t k, const struct frames *walked);

/* The first word, from the ith on outwards, that is not what it was: its number + 1, and 0 when there is none. For words that are known
 * to be mapped. */
__attribute__((unused)) ANY_WORD static uint32_t last_changed(const struct word *words, uint32_t i)
{
    const struct word *word = words + i;
    while (word != words && likely(*word[-1].at == word[-1].is)) {
        word--;
    }
    return (uint32_t)(word - words);
}

static inline uint64_t last_key(const struct objects *objects, const struct frame *frame)
{
    return calls_key(walk_strip(frame->pc), unlikely(frame->object < NOWHERE) ? objects->module[frame->object] : NULL);
}

/* The node of a stack's frame; false when the tree has no room: then *node is all that there will be. */
static inline __attribute__((always_inline)) bool last_child(struct objects *objects, uint64_t hash, uint32_t *node,
                                                             const struct frame *frame)
{
    uint64_t key = last_key(objects, frame);
    uint32_t id = calls_child(hash, *node, key);
    bool cut = false;
    if (unlikely(!id)) {
        struct module *module = frame->object < NOWHERE ? objects->module[frame->object] : NULL;
        uintptr_t at = walk_strip(frame->pc) - !(frame->is & EXACT);
        id = calls_new_child(&objects->staying, hash, *node, key, at, module, &cut);
    }
    *node = id;
    return !cut;
}

#endif
