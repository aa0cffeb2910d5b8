/* stack.c - see stack.h. The struct differs from version to version, so what is in it is known by what it says: two words that are
 * a mapping around it. Where one may end is tried: at a mapping's end; where a heap begins, which may be one mapping with it; as far
 * from a mapping's beginning as stacks are long; below and above another stack. */
#include <elf.h>

#include "core/range.h"
#include "core/stack.h"

enum { STACK_LEAST = 16384, STACK_USUAL = 8 << 20, LOCAL_MOST = 1 << 20, STRUCT_LEAST = 0x700, STRUCT_ALIGN = 64 };

/* Whether the two words there are the mapping around an address. */
static bool is_around(const struct core *core, uint64_t at, uint64_t address, struct core_stack *out)
{
    const uint64_t page = core->file.page;
    uint64_t from = core_word(core, at), bytes = core_word(core, at + 8);
    *out = (struct core_stack){from, from + bytes};
    return from >= page && from % page == 0 && from < address && bytes >= STACK_LEAST && bytes % page == 0 &&
           out->to > address;
}

bool core_stack_of(const struct core *core, uint64_t local, struct core_stack *out)
{
    const bool x86 = core->file.machine == EM_X86_64;
    const uint64_t page = core->file.page, first = local - (x86 ? 0 : THREAD_STRUCT),
                   beyond = x86 ? THREAD_STRUCT : LOCAL_MOST;
    if (local % 8 != 0 || local < THREAD_STRUCT) {
        return false;
    }
    for (uint64_t at = first; at < first + THREAD_STRUCT; at += 8) {
        if (is_around(core, at, local, out) && out->to - local <= beyond + page) {
            return true;
        }
    }
    return false;
}

/* The struct is in the stack's upper end, and on arm64 the pointer to the table of thread-local memory right behind it. */
uint64_t core_local_of(const struct core *core, const struct core_thread *thread)
{
    const struct core_segment *s = core_segment_of(&core->file, thread->stack);
    uint64_t first = s && s->to - s->from > LOCAL_MOST ? s->to - LOCAL_MOST : s ? s->from : 0;
    struct core_stack stack;
    for (uint64_t at = first; s && core->file.machine != EM_X86_64 && at < s->to; at += 8) {
        if (!is_around(core, at, thread->stack, &stack) || at < stack.from || at >= stack.to) {
            continue;
        }
        for (uint64_t local = (at + 15) & ~15ull; local < at + THREAD_STRUCT; local += 16) {
            if (core_is_dtv(core, core_word(core, local))) {
                return local;
            }
        }
    }
    return 0;
}

static bool is_live(const struct core *core, const struct core_stack *s)
{
    for (size_t i = 0; i < core->file.threads; i++) {
        uint64_t own = core->file.thread[i].local, sp = core->file.thread[i].stack;
        if ((own >= s->from && own < s->to) || (sp >= s->from && sp < s->to)) {
            return true;
        }
    }
    return false;
}

/* The stack that ends there, of a thread that is no more, and where that keeps its table of thread-local memory. */
static bool is_kept(const struct core *core, uint64_t end, struct core_stack *out, uint64_t *dtv)
{
    for (uint64_t at = end - STRUCT_LEAST; end > STACK_LEAST && at > end - STACK_LEAST; at -= STRUCT_ALIGN) {
        if (core_word(core, at) == at && core_word(core, at + 16) == at && core_stack_of(core, at, out) &&
            out->to == end) {
            *dtv = core_word(core, at + 8);
            return !is_live(core, out);
        }
    }
    return false;
}

/* The table waits with it for the next thread. */
static bool paint(struct core *core, const struct core_stack *s, uint64_t dtv)
{
    return core_hold_dtv(core, dtv) &&
           core_paint(core, CORE_LAYER_DEAD, (struct core_paint){s->from, s->to, (enum image_kind)CORE_DEAD, 0, NULL});
}

static bool paint_below(struct core *core, uint64_t end)
{
    struct core_stack kept;
    uint64_t dtv;
    bool fine = true;
    for (; fine && is_kept(core, end, &kept, &dtv); end = kept.from) {
        fine = paint(core, &kept, dtv);
    }
    return fine;
}

/* Those above are looked for where the next one of the same size ends. */
static bool paint_above(struct core *core, const struct core_stack *stack)
{
    const uint64_t bytes = stack->to - stack->from;
    struct core_stack kept;
    uint64_t dtv;
    bool fine = true;
    for (uint64_t end = stack->to + bytes; fine && is_kept(core, end, &kept, &dtv); end += bytes) {
        fine = paint(core, &kept, dtv);
    }
    return fine;
}

/* In a mapping that was nobody's file: at its end, or within it. */
static bool paint_in(struct core *core, const struct core_segment *s)
{
    const uint64_t page = core->file.page, usual = s->from - page + STACK_USUAL; /* its guard is another mapping */
    const struct core_paints *heap = &core->layer[CORE_LAYER_HEAP];
    bool fine = paint_below(core, s->to) && (usual >= s->to || paint_below(core, usual));
    for (size_t i = 0; fine && i < heap->count; i++) {
        uint64_t from = heap->paint[i].from;
        fine = from <= s->from || from >= s->to || from % page != 0 || paint_below(core, from);
    }
    return fine;
}

bool core_stacks_kept(struct core *core)
{
    struct core_stack stack;
    bool fine = true;
    if (core->file.machine != EM_X86_64) {
        return true;
    }
    for (size_t i = 0; i < core->file.segments && fine; i++) {
        const struct core_segment *s = &core->file.segment[i];
        if (s->flags & PF_W && !core_mapping_of(&core->file, s->from) && s->bytes >= STACK_LEAST) {
            fine = paint_in(core, s);
        }
    }
    for (size_t i = 0; i < core->file.threads && fine; i++) {
        if (core_stack_of(core, core->file.thread[i].local, &stack)) {
            fine = paint_below(core, stack.from) && paint_above(core, &stack);
        }
    }
    return fine;
}
