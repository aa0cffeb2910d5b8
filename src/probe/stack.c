/* probe/stack.c - see probe/stack.h.
 *
 *   by rules    as probe/walk.h has it
 *   fully       all registers, each frame's information read anew: once a rule does not fit into a word
 */
#include "probe/stack.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/bits.h"
#include "probe/cfi.h"
#include "probe/walk.h"

/* A frame: the registers as they are at its pc; `exact` as in struct place. */
struct frame {
    uintptr_t registers[CFI_REGISTERS];
    bool exact;
};

static struct place place_of(const struct frame *frame)
{
    const uintptr_t *registers = frame->registers;
    return (struct place){registers[CFI_PC], registers[CFI_SP], registers[CFI_FP], registers[CFI_RETURN], frame->exact};
}

static void place_frame(struct frame *frame, const struct place *place)
{
    frame->registers[CFI_PC] = place->pc;
    frame->registers[CFI_SP] = place->sp;
    frame->registers[CFI_FP] = place->fp;
    frame->exact = place->exact;
}

enum { LIBRARY_DEEPEST = 64 };
struct taking {
    struct walk walk;
    unsigned left_out; /* frames in the library itself; LIBRARY_DEEPEST: no more, as what goes round is not it */
    size_t taken, most;
    void **pcs;
};

static bool load_for_expression(void *walk, uintptr_t address, uintptr_t *word)
{
    return walk_load(walk, address, word);
}

/* The library's own code, where it is an object of its own: its start, or NONE_APART. */
enum { NOT_ASKED, NONE_APART };
static _Atomic uintptr_t library_start, library_end; /* the last set is the start */

static uintptr_t find_library(void)
{
    uintptr_t start = atomic_load_explicit(&library_start, memory_order_acquire);
    if (unlikely(start == NOT_ASKED)) {
        struct object object;
        bool apart = object_find((uintptr_t)stack_take, &object) && !object_is_program(&object);
        start = apart ? object.start : NONE_APART;
        atomic_store_explicit(&library_end, apart ? object.end : NONE_APART, memory_order_relaxed);
        atomic_store_explicit(&library_start, start, memory_order_release);
    }
    return start;
}

static bool is_ours(uintptr_t pc)
{
    uintptr_t start = find_library();
    return pc - start < atomic_load_explicit(&library_end, memory_order_relaxed) - start;
}

void stack_library(uintptr_t *start, uintptr_t *end)
{
    *start = find_library();
    *end = atomic_load_explicit(&library_end, memory_order_relaxed);
}

bool stack_library_is_apart(void) { return find_library() != NONE_APART; }

bool stack_in_library(const void *pc) { return is_ours((uintptr_t)pc); }

/* False when no more are wanted. */
static inline bool took(struct taking *taking, uintptr_t pc)
{
    if (unlikely(taking->taken == 0) && taking->left_out < LIBRARY_DEEPEST && is_ours(pc)) {
        taking->left_out++;
        return true;
    }
    taking->pcs[taking->taken++] = (void *)pc;
    return taking->taken < taking->most;
}

static bool apply(struct walk *walk, const struct cfi_image *image, const struct cfi_rule *rule,
                  const struct frame *frame, uintptr_t cfa, unsigned number, uintptr_t *value)
{
    uintptr_t offset = (uintptr_t)(intptr_t)rule->value, at = cfa;
    switch (rule->kind) {
    case CFI_SAME:
        *value = frame->registers[number];
        return true;
    case CFI_AT_OFFSET:
        return walk_load(walk, cfa + offset, value);
    case CFI_IS_OFFSET:
        *value = cfa + offset;
        return true;
    case CFI_IN_REGISTER:
        *value = frame->registers[rule->value];
        return true;
    case CFI_AT_EXPRESSION:
        return cfi_evaluate(image, rule->value, frame->registers, &cfa, load_for_expression, walk, &at) &&
               walk_load(walk, at, value);
    case CFI_IS_EXPRESSION:
        return cfi_evaluate(image, rule->value, frame->registers, &cfa, load_for_expression, walk, value);
    default:
        return false;
    }
}

/* To the caller's frame. */
static bool step_fully(struct walk *walk, struct frame *frame)
{
    uintptr_t *registers = frame->registers, pc = registers[CFI_PC], sp = registers[CFI_SP], at = pc - !frame->exact;
    struct object object;
    struct cfi_image image;
    struct cfi_row row;
    bool found = walk_object(walk, at, &object) && walk_row(&object, pc, frame->exact, &image, &row);
    if ((!found || row.signal) && walk_is_signal_return(pc)) {
        frame->exact = true;
        return walk_load_context(walk, walk_context_after(sp), registers);
    }
    if (!found) {
        struct place place = place_of(frame);
        bool on = walk_bare(walk, &place);
        place_frame(frame, &place);
        return on;
    }
    uintptr_t cfa = registers[row.cfa_register] + (uintptr_t)(intptr_t)row.cfa.value;
    if (row.cfa.kind == CFI_IS_EXPRESSION &&
        !cfi_evaluate(&image, row.cfa.value, registers, NULL, load_for_expression, walk, &cfa)) {
        return false;
    }
    struct frame caller = {.exact = row.signal};
    for (unsigned i = 0; i < CFI_REGISTERS; i++) {
        bool well = apply(walk, &image, &row.registers[i], frame, cfa, i, &caller.registers[i]);
        if (!well && i == row.return_register) {
            return false;
        }
    }
    if (row.registers[CFI_SP].kind == CFI_SAME) {
        caller.registers[CFI_SP] = cfa;
    }
    caller.registers[CFI_PC] = walk_strip(caller.registers[row.return_register]);
    bool well = row.signal || walk_above(caller.registers[CFI_SP], sp, frame->exact);
    *frame = caller;
    return well;
}

static void walk_fully(struct taking *taking, struct frame frame, bool wanted)
{
    while ((!wanted || took(taking, frame.registers[CFI_PC])) && step_fully(&taking->walk, &frame) &&
           (frame.exact || walk_may_return(frame.registers[CFI_PC]))) {
        wanted = true;
    }
}

/* False when a rule is for walk_fully. */
static bool walk_by_rules(struct taking *taking, const struct frame *from, bool wanted)
{
    struct place place = place_of(from);
    struct walk_read read;
    enum walk_result result = WALK_ON;
    for (; result == WALK_ON; wanted = true) {
        if (wanted && !took(taking, place.pc)) {
            break;
        }
        result = walk_step(&taking->walk, &place, walk_rule(&taking->walk, place.pc, place.exact), &read);
    }
    return result != WALK_HARD;
}

static size_t walk_from(const struct frame *frame, void **pcs, size_t most, bool interrupted)
{
    struct taking taking;
    taking.taken = 0;
    taking.pcs = pcs;
    taking.most = most;
    taking.left_out = interrupted ? LIBRARY_DEEPEST : 0;
    walk_begin(&taking.walk, frame->registers[CFI_SP], !interrupted);
    if (most != 0 && !walk_by_rules(&taking, frame, interrupted)) {
        taking.taken = 0;
        taking.left_out = interrupted ? LIBRARY_DEEPEST : 0;
        walk_fully(&taking, *frame, interrupted);
    }
    return taking.taken;
}

/* Of the registers those that a callee keeps: by them the frame here is told, and left behind. */
__attribute__((noinline)) size_t stack_take(void **pcs, size_t most)
{
    struct frame frame;
    uintptr_t *registers = frame.registers;
    frame.exact = true;
#if defined(__x86_64__)
    __asm__ volatile("leaq 0f(%%rip), %%rax\n"
                     "0: movq %%rax, 128(%0)\n\t"
                     "movq %%rbx, 24(%0)\n\t"
                     "movq %%rbp, 48(%0)\n\t"
                     "movq %%rsp, 56(%0)\n\t"
                     "movq %%r12, 96(%0)\n\t"
                     "movq %%r13, 104(%0)\n\t"
                     "movq %%r14, 112(%0)\n\t"
                     "movq %%r15, 120(%0)"
                     :
                     : "r"(registers)
                     : "rax", "memory");
#else
    __asm__ volatile("adr x9, 0f\n"
                     "0: str x9, [%0, #256]\n\t"
                     "stp x19, x20, [%0, #152]\n\t"
                     "stp x21, x22, [%0, #168]\n\t"
                     "stp x23, x24, [%0, #184]\n\t"
                     "stp x25, x26, [%0, #200]\n\t"
                     "stp x27, x28, [%0, #216]\n\t"
                     "stp x29, x30, [%0, #232]\n\t"
                     "mov x9, sp\n\t"
                     "str x9, [%0, #248]"
                     :
                     : "r"(registers)
                     : "x9", "memory");
#endif
    size_t taken = walk_from(&frame, pcs, most, false);
    __asm__ volatile("" : : "r"(registers) : "memory"); /* the frame is here until the walk is over */
    return taken;
}

size_t stack_take_at(void **pcs, size_t most, const void *context)
{
    struct walk reader = {.low = 0};
    struct frame frame = {.exact = true};
    return walk_load_context(&reader, (uintptr_t)context, frame.registers) ? walk_from(&frame, pcs, most, true) : 0;
}
