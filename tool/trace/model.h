/* model.h - what is to be expected of the next event in a frame, from those before: the same for who packs a frame and who unpacks
 * it, so that only what comes differently has to be written.
 *
 *   stack:    the one that followed the stack before, last time           size:  what that stack asked for last time
 *   address:  by size class: the one freed last, or one step further than the last fresh one
 *   a free:   of the newest block, or of a neighbour, by age, of the block freed last
 *
 *   blocks by age, live ones:   [0] <-> oldest <-> ... <-> older <-> (freed last) <-> ... <-> newest <-> [0]
 *
 * A new frame begins with nothing. Addresses are in units of 8 bytes. Memory: 16 bytes an allocation and 16 a stack of the frame,
 * and what classes of sizes come.
 */
#ifndef ALLOT_TRACE_MODEL_H
#define ALLOT_TRACE_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "trace/file.h"

#define MODEL_CLASSES 500
#define MODEL_FREED   16
#define MODEL_NONE    UINT32_MAX

/* The first byte of an event. An allocation: op | flags; a free: op | how << 4. */
enum {
    MODEL_STACK = 16, /* as expected */
    MODEL_SIZE = 32,
    MODEL_ADDRESS_SHIFT = 6,
};
enum model_address {
    MODEL_LAST_FREED, /* of REALLOC_TO: the same as before */
    MODEL_STEP,
    MODEL_FREED_BEFORE, /* by its place in the list of freed ones */
    MODEL_DIFFERENCE,   /* to the last fresh one of its class */
};
enum model_free {
    MODEL_NEWEST, /* 0 to 7: so many newer ones are live */
    MODEL_NEWER = 8,
    MODEL_OLDER,
    MODEL_BY_AGE,     /* so many allocations ago */
    MODEL_BY_ADDRESS, /* allocated before the frame or by another thread; or never */
};

struct model_block {
    uint64_t address;      /* and its class << 48 */
    uint32_t older, newer; /* of the live ones; `newer` MODEL_NONE: it is freed */
};

struct model_class {
    uint64_t last, step; /* of fresh addresses */
    uint32_t top, count; /* the last freed one is freed[top] */
    uint64_t freed[MODEL_FREED];
};

struct model_stack {
    uint32_t id, next; /* index of the one that came after it */
    uint64_t size;     /* that it asked for */
};

struct model {
    struct model_block *block; /* [0]: the list's ends */
    uint32_t blocks, block_room;
    struct model_stack *stack; /* [0]: none */
    uint32_t stacks, stack_room;
    struct model_class *class;
    uint32_t classes, class_room;
    uint32_t before; /* the last allocation's stack, an index */
    uint32_t older;  /* neighbour of the block freed last */
    uint64_t time;
    uint64_t last;               /* fresh address of any class */
    uint64_t freed, freed_class; /* by REALLOC_FROM, address 0: nothing */
    uint64_t freed_far;          /* the last that was freed by address */
    uint64_t node;               /* the last stack that was new to the frame */
    uint64_t size_before;
    uint64_t size_after[256];         /* where there are no stacks: by the size before */
    uint16_t class_at[MODEL_CLASSES]; /* index + 1 */
};

/* Size class: 16 bytes each up to 1 KiB, then eight to a doubling. */
static inline unsigned model_class_of(uint64_t size)
{
    if (size <= 1024) {
        return (unsigned)((size + 15) >> 4);
    }
    unsigned log = log2_floor(size - 1);
    return 64 + (log - 10) * 8 + (unsigned)((size - 1) >> (log - 3) & 7) + 1;
}

/* Room for so many of each; false: no memory. `class` grows by itself. */
static inline bool model_more(void **array, uint32_t *room, uint32_t wanted, size_t each)
{
    if (wanted <= *room) {
        return true;
    }
    uint32_t more = *room ? *room : 32;
    while (more < wanted) {
        more *= 2;
    }
    void *moved = reallocarray(*array, more, each);
    if (!moved) {
        return false;
    }
    *array = moved;
    *room = more;
    return true;
}

/* Ready for a frame that has so many allocations and stacks at most. */
static inline bool model_begin(struct model *m, uint32_t blocks, uint32_t stacks)
{
    struct model kept = *m;

    if (!model_more((void **)&kept.block, &kept.block_room, blocks + 1, sizeof *kept.block) ||
        !model_more((void **)&kept.stack, &kept.stack_room, stacks + 1, sizeof *kept.stack)) {
        m->block = kept.block, m->block_room = kept.block_room;
        return false;
    }
    memset(m, 0, sizeof *m);
    m->block = kept.block, m->block_room = kept.block_room;
    m->stack = kept.stack, m->stack_room = kept.stack_room;
    m->class = kept.class, m->class_room = kept.class_room;
    m->blocks = m->stacks = 1;
    m->block[0] = (struct model_block){0, 0, 0};
    m->stack[0] = (struct model_stack){0, MODEL_NONE, 0};
    return true;
}

static inline void model_done(struct model *m)
{
    free(m->block);
    free(m->stack);
    free(m->class);
    memset(m, 0, sizeof *m);
}

/* NULL: no memory. */
static inline struct model_class *model_class(struct model *m, uint64_t size)
{
    unsigned at = model_class_of(size);

    if (m->class_at[at] == 0) {
        if (!model_more((void **)&m->class, &m->class_room, m->classes + 1, sizeof *m->class)) {
            return NULL;
        }
        m->class[m->classes] = (struct model_class){.last = m->last};
        m->class_at[at] = (uint16_t)++m->classes;
    }
    return &m->class[m->class_at[at] - 1];
}

/* -- stacks and sizes -- */

static inline uint32_t model_expected_stack(const struct model *m) { return m->stack[m->before].next; }

static inline uint64_t *model_expected_size(struct model *m, uint32_t stack)
{
    return stack ? &m->stack[stack].size : &m->size_after[(m->size_before ^ m->size_before >> 8) & 255];
}

static inline uint32_t model_add_stack(struct model *m, uint32_t id)
{
    m->stack[m->stacks] = (struct model_stack){id, MODEL_NONE, 0};
    return m->stacks++;
}

static inline void model_stack_was(struct model *m, uint32_t stack)
{
    m->stack[m->before].next = stack;
    m->before = stack;
}

static inline void model_size_was(struct model *m, uint64_t *expected, uint64_t size)
{
    *expected = size;
    m->size_before = size;
}

/* -- addresses -- */

static inline uint64_t model_freed(const struct model_class *c, uint32_t ago)
{
    return c->freed[(c->top - ago) % MODEL_FREED];
}

static inline void model_push(struct model_class *c, uint64_t address)
{
    c->top = (c->top + 1) % MODEL_FREED;
    c->freed[c->top] = address;
    c->count += c->count < MODEL_FREED;
}

static inline void model_pull(struct model_class *c, uint32_t ago)
{
    for (; ago > 0; ago--) {
        c->freed[(c->top - ago) % MODEL_FREED] = c->freed[(c->top - ago + 1) % MODEL_FREED];
    }
    c->top = (c->top - 1) % MODEL_FREED;
    c->count--;
}

static inline void model_fresh(struct model *m, struct model_class *c, uint64_t address)
{
    c->step = address - c->last;
    c->last = m->last = address;
}

static inline uint32_t model_add_block(struct model *m, uint64_t address, uint64_t size)
{
    uint32_t at = m->blocks++, newest = m->block[0].older;

    m->block[at] = (struct model_block){address | (uint64_t)model_class_of(size) << 48, newest, 0};
    m->block[newest].newer = at;
    m->block[0].older = at;
    return at;
}

static inline uint64_t model_address(const struct model *m, uint32_t block)
{
    return m->block[block].address & (((uint64_t)1 << 48) - 1);
}

static inline bool model_is_live(const struct model *m, uint32_t block) { return m->block[block].newer != MODEL_NONE; }

/* Gives a live block up; a realloc's is not for others to have before it is known where it went. */
static inline void model_remove_block(struct model *m, uint32_t at, bool realloc)
{
    struct model_block *block = &m->block[at];
    uint64_t address = model_address(m, at);
    struct model_class *class = &m->class[m->class_at[block->address >> 48] - 1];

    m->block[block->older].newer = block->newer;
    m->block[block->newer].older = block->older;
    m->older = block->older;
    block->newer = MODEL_NONE;
    if (realloc) {
        m->freed = address;
        m->freed_class = (uint64_t)(class - m->class);
    } else {
        model_push(class, address);
    }
}

/* What REALLOC_FROM gave up goes to the freed ones, unless the block has stayed where it was. */
static inline void model_realloc_moved(struct model *m)
{
    if (m->freed && m->freed_class < m->classes) {
        model_push(&m->class[m->freed_class], m -> freed);
    }
    m->freed = 0;
}

#endif
