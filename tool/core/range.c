/* range.c - what each piece of a dead process's memory was: globals by the modules' program headers, stacks by stack pointers,
 * thread-local memory by thread pointers and the table of its blocks (glibc's dtv).
 *
 *   a thread's mapping:  | guard | dead ... | stack ...      | its TLS blocks | thread struct |
 *                                  stack pointer - 128 ^     ^ lowest block by its dtv
 *
 * Of a stack only what lies above its pointer counts: below are calls that have returned. One of a thread that is not in the core is
 * kept for the next thread (stack.h), and holds nothing that counts. What nobody explains may hold a pointer to anything
 * (IMAGE_OTHER).
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/range.h"
#include "core/stack.h"

enum { RED_ZONE = 128, MOST_BLOCKS = 1 << 20 };

/* -- layers -- */

static int compare_paint(const void *a, const void *b)
{
    const struct core_paint *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static bool push(struct core_paints *to, uint64_t from, uint64_t end, const struct core_paint *like)
{
    if (from >= end) {
        return true;
    }
    if (to->count == to->room) {
        size_t more = to->room ? 2 * to->room : 64;
        void *grown = realloc(to->paint, more * sizeof *to->paint);
        if (!grown) {
            return false;
        }
        to->paint = grown;
        to->room = more;
    }
    to->paint[to->count++] = (struct core_paint){from, end, like->kind, like->tid, like->name};
    return true;
}

/* Paints `over` on `base`, where that has memory. `base` is by address and without overlaps, and stays so. */
static bool cover(struct core_paints *base, struct core_paints *over)
{
    struct core_paints out = {0};
    bool fine = true;
    if (over->count == 0) {
        return true;
    }
    qsort(over->paint, over->count, sizeof *over->paint, compare_paint);
    size_t o = 0;
    for (size_t b = 0; b < base->count && fine; b++) {
        const struct core_paint *p = &base->paint[b];
        uint64_t done = p->from;
        for (; o > 0 && over->paint[o - 1].to > done; o--) { /* one may reach over several pieces of memory */
        }
        for (; o < over->count && over->paint[o].from < p->to && fine; o++) {
            const struct core_paint *q = &over->paint[o];
            uint64_t from = q->from > done ? q->from : done, to = q->to < p->to ? q->to : p->to;
            if (from < to) {
                fine = push(&out, done, from, p) && (q->kind == (enum image_kind)CORE_DEAD || push(&out, from, to, q));
                done = to;
            }
        }
        fine = fine && push(&out, done, p->to, p);
    }
    free(base->paint);
    *base = out;
    return fine;
}

/* -- what is where -- */

/* All that was dumped and may hold a pointer: what could be written, and what nobody can have read from a file. And the modules'
 * constants, from the core or from their files. */
static bool memory(const struct core *core, struct core_paints *base)
{
    for (size_t i = 0; i < core->file.segments; i++) {
        const struct core_segment *s = &core->file.segment[i];
        const struct core_mapping *m = core_mapping_of(&core->file, s->from);
        bool writable = s->flags & PF_W, code = s->flags & PF_X;
        struct core_paint paint = {.kind = IMAGE_OTHER, .name = m ? m->path : NULL};
        uint64_t end = s->from + s->bytes;
        if (!writable && m && core_module_of(&core->modules, s->from)) {
            const struct core_extent *e = core_extent_of(core, s->from);
            paint.kind = IMAGE_CONSTANT;
            end = !e ? s->from : e->to < s->to ? e->to : s->to;
        } else if (!writable && (m || code || !(s->flags & PF_R))) {
            continue;
        }
        if (!push(base, s->from, end, &paint)) {
            return false;
        }
    }
    return true;
}

static bool hold(struct core *core, uint64_t word)
{
    if (core->helds == core->held_room) {
        size_t more = core->held_room ? 2 * core->held_room : 64;
        void *grown = realloc(core->held, more * sizeof *core->held);
        if (!grown) {
            return false;
        }
        core->held = grown;
        core->held_room = more;
    }
    core->held[core->helds++] = word;
    return true;
}

/* What was made read-only after the loader had relocated it, and set a few variables of its own that lie there too: those that point
 * to memory that was no module's hold what they point to. */
static bool hold_from(struct core *core, uint64_t from, uint64_t to)
{
    const struct core_extent *e = core_extent_of(core, from);
    to = !e ? from : e->to < to ? e->to : to;
    for (; to - from >= 8 && from < to; from += 8) {
        uint64_t word = core_word(core, from);
        const struct core_segment *s = word >= 4096 ? core_segment_of(&core->file, word) : NULL;
        if (s && s->flags & PF_W && !core_mapping_of(&core->file, word) && !hold(core, word)) {
            return false;
        }
    }
    return true;
}

/* What is no longer writable in the core stays a constant. */
static bool globals(struct core *core)
{
    for (size_t i = 0; i < core->modules.count; i++) {
        const struct core_module *m = &core->modules.module[i];
        for (size_t h = 0; h < m->headers; h++) {
            const Elf64_Phdr *p = &m->header[h];
            uint64_t from = m->bias + p->p_vaddr, to = from + p->p_memsz;
            if (p->p_type != PT_LOAD || !(p->p_flags & PF_W) || to < from || to - from > (uint64_t)1 << 46) {
                continue;
            }
            to = (to + core->file.page - 1) & ~(core->file.page - 1);
            for (const struct core_segment *s; from < to && (s = core_segment_of(&core->file, from)); from = s->to) {
                uint64_t end = s->to < to ? s->to : to;
                if (s->flags & PF_W ? !core_paint(core, CORE_LAYER_GLOBALS,
                                                  (struct core_paint){from, end, IMAGE_GLOBALS, 0, m->path})
                                    : !hold_from(core, (from + 7) & ~7ull, end)) {
                    return false;
                }
            }
        }
    }
    return true;
}

static bool in_layer(const struct core *core, enum core_layer layer, uint64_t address, uint64_t *end)
{
    for (size_t i = 0; i < core->layer[layer].count; i++) {
        const struct core_paint *p = &core->layer[layer].paint[i];
        if (address >= p->from && address < p->to) {
            *end = p->to;
            return true;
        }
    }
    return false;
}

bool core_is_dtv(const struct core *core, uint64_t dtv)
{
    uint64_t blocks = dtv >= 16 ? core_word(core, dtv - 16) : 0;
    return dtv % 8 == 0 && blocks != 0 && blocks <= MOST_BLOCKS && core_at(core, dtv - 16, (blocks + 2) * 16);
}

bool core_hold_dtv(struct core *core, uint64_t dtv) { return !core_is_dtv(core, dtv) || hold(core, dtv); }

/* The lowest byte of a thread's static TLS: of its blocks in `s` the lowest that its dtv names. The dtv is held, as the pointer to
 * it points behind its first entry, and what it names with it. */
static bool local(struct core *core, const struct core_thread *t, const struct core_segment *s, uint64_t *lowest)
{
    bool x86 = core->file.machine == EM_X86_64;
    uint64_t dtv = core_word(core, x86 ? t->local + 8 : t->local);
    uint64_t blocks = dtv >= 16 ? core_word(core, dtv - 16) : 0;
    uint64_t bottom = t->local - (x86 ? 0 : THREAD_STRUCT);
    *lowest = bottom < s->from ? s->from : bottom;
    if (!core_is_dtv(core, dtv)) {
        return true;
    }
    for (uint64_t i = 1; i <= blocks; i++) {
        uint64_t block = core_word(core, dtv + 16 * i);
        if (block >= s->from && block < *lowest && core_word(core, dtv + 16 * i + 8) == 0) {
            *lowest = block;
        }
    }
    return hold(core, dtv);
}

/* [from, to) of a thread's; what lies from `dead` on below it, where that is not 0, are calls that have returned. */
static bool paint_stack(struct core *core, const struct core_thread *t, uint64_t from, uint64_t to, uint64_t dead)
{
    if (dead &&
        !core_paint(core, CORE_LAYER_DEAD, (struct core_paint){dead, from, (enum image_kind)CORE_DEAD, 0, NULL})) {
        return false;
    }
    return core_paint(core, CORE_LAYER_STACK, (struct core_paint){from, to, IMAGE_STACK, t->tid, NULL});
}

/* Bytes of all modules' thread-local variables together: more than lie behind any thread pointer. */
static uint64_t local_bytes(const struct core *core)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < core->modules.count; i++) {
        const struct core_module *m = &core->modules.module[i];
        for (size_t h = 0; h < m->headers; h++) {
            if (m->header[h].p_type == PT_TLS && m->header[h].p_memsz < 1 << 30) {
                bytes += m->header[h].p_memsz + (m->header[h].p_align < 4096 ? m->header[h].p_align : 4096);
            }
        }
    }
    return bytes;
}

/* Whether another thread has its stack or its TLS in a mapping. */
static bool is_shared(const struct core *core, const struct core_segment *s, const struct core_thread *but)
{
    for (size_t i = 0; i < core->file.threads; i++) {
        const struct core_thread *t = &core->file.thread[i];
        if (t != but && ((t->stack >= s->from && t->stack < s->to) || (t->local >= s->from && t->local < s->to))) {
            return true;
        }
    }
    return false;
}

/* A thread's stack, that of its signal handlers where it is in one, and its TLS. */
static bool thread(struct core *core, size_t index)
{
    struct core_thread *t = &core->file.thread[index];
    t->local = t->local ? t->local : core_local_of(core, t);
    const struct core_segment *stack = core_segment_of(&core->file, t->stack);
    const struct core_segment *own = core_segment_of(&core->file, t->local);
    const struct core_segment *first = core_segment_of(&core->file, core->file.random);
    uint64_t from = t->stack >= RED_ZONE ? t->stack - RED_ZONE : 0, lowest = 0, end;
    bool main_thread = t->tid == core->file.pid || core->file.threads == 1;
    struct core_stack mapped;
    bool known = own && core_stack_of(core, t->local, &mapped);

    if (own) {
        if (!local(core, t, own, &lowest)) {
            return false;
        }
        /* No further: blocks that were mapped for themselves may lie right behind, in the same mapping. */
        uint64_t top = t->local + THREAD_STRUCT + (core->file.machine == EM_X86_64 ? 0 : local_bytes(core));
        top = known && top > mapped.to ? mapped.to : top;
        top = top > own->to ? own->to : top;
        if (!core_paint(core, CORE_LAYER_LOCAL, (struct core_paint){lowest, top, IMAGE_TLS, t->tid, NULL})) {
            return false;
        }
    }
    uint64_t bottom = known && mapped.from > own->from ? mapped.from : own ? own->from : 0;
    bool on_own = known ? t->stack >= bottom && t->stack < lowest : stack == own;
    if (stack) {
        uint64_t least = known && on_own ? bottom : stack->from;
        bool shared =
            in_layer(core, CORE_LAYER_HEAP, t->stack, &end) || in_layer(core, CORE_LAYER_GLOBALS, t->stack, &end);
        bool above = stack == own && lowest > t->stack;
        bool clear = !shared && ((known && on_own) || !is_shared(core, stack, t));
        uint64_t to = above ? lowest : shared ? end : stack->to;
        if (!paint_stack(core, t, from < least ? least : from, to, clear ? least : 0)) {
            return false;
        }
    }
    /* On a signal's stack, the one that it interrupted counts whole: where it had got to is not known here. */
    if (own && !on_own && own != first && !main_thread) {
        return paint_stack(core, t, bottom, lowest, 0);
    }
    if (first && first != stack && main_thread) {
        return paint_stack(core, t, first->from, first->to, 0);
    }
    return true;
}

/* What was painted by an earlier call; the heap's layer is those who walk it. */
static void begin(struct core *core)
{
    for (size_t i = 0; i < CORE_LAYERS; i++) {
        if (i != CORE_LAYER_HEAP) {
            core->layer[i].count = 0;
        }
    }
    free(core->range);
    core->range = NULL;
    core->helds = 0;
}

bool core_ranges_make(struct core *core)
{
    struct core_paints base = {0};
    begin(core);
    bool fine = memory(core, &base) && globals(core) && core_stacks_kept(core);
    for (size_t i = 0; i < core->file.threads && fine; i++) {
        fine = thread(core, i);
    }
    for (size_t i = 0; i < CORE_LAYERS && fine; i++) {
        fine = cover(&base, &core->layer[i]);
    }
    struct image_range *range = fine ? calloc(base.count + core->file.threads + 2, sizeof *range) : NULL;
    if (!range) {
        free(base.paint);
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < core->file.threads; i++) {
        const struct core_thread *t = &core->file.thread[i];
        range[count++] = (struct image_range){0, t->words * 8, t->word, IMAGE_REGISTERS, t->tid, NULL};
    }
    if (core->helds > 0) {
        range[count++] = (struct image_range){0, core->helds * 8, core->held, IMAGE_HELD, 0, NULL};
    }
    for (size_t i = 0; i < base.count; i++) {
        const struct core_paint *p = &base.paint[i];
        const void *bytes = core_at(core, p->from, p->to - p->from);
        if (bytes) {
            range[count++] = (struct image_range){p->from, p->to, bytes, p->kind, p->tid, p->name};
        }
    }
    free(base.paint);
    core->range = range;
    core->image.range = range;
    core->image.ranges = count;
    return true;
}
