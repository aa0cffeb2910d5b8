/* probe/stack.c - see probe/stack.h.
 *
 *   walk        frame by frame: of the registers only pc, stack pointer and frame pointer, by rules of one word each
 *   rules       a table: address -> rule, of what call frame information said before
 *   walk_fully  all registers, each frame's information read anew: once a rule does not fit into a word
 *   window      what of the stack is known to be mapped
 *
 * A walk goes from inner to outer frames, so upwards: each frame begins above the one before, but where a signal's handler
 * runs on a stack of its own. It ends where call frame information says so, or with a frame that makes no sense.
 */
#define _GNU_SOURCE
#include "probe/stack.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "base/bits.h"
#include "os/memory.h"
#include "probe/cfi.h"
#include "probe/object.h"
#include "probe/rule.h"

enum { WORD = sizeof(uintptr_t), PAGE = 4096 }; /* the smallest page there is: what is readable is asked by it */

/* A frame: the registers as they are at its pc. That is exact where the thread is, or was interrupted; else it is what a call
 * returns to, which lies behind the call. */
struct frame {
    uintptr_t registers[CFI_REGISTERS];
    bool exact;
};

enum { OBJECTS = 4, LIBRARY_DEEPEST = 64 };
struct walk {
    uintptr_t low, high;            /* the window: [low, high) can be read; it moves page by page as the walk goes */
    struct object objects[OBJECTS]; /* seen by this walk; they stay as long as their frames */
    unsigned known, next;           /* how many of them, and which is the next to be replaced */
    unsigned left_out; /* frames in the library itself; LIBRARY_DEEPEST: no more, as what goes round is not it */
    size_t taken, most;
    void **pcs;
};

/* The window of a thread's own stack is kept, since asking takes longer than all else: the pages from the lowest at which a
 * walk began up to something that lies on this stack for good. All of these pages were readable in one go, without the guard
 * that bounds a stack between them, so they stay for as long as the thread. Other stacks may go at any time: nothing is kept
 * of them. One word, as handlers of signals come in between: the first page's number, and how many there are. */
enum { COUNT_BITS = 24, KEPT_AT_ONCE = 64 };
static __thread uint64_t own_stack;

static uintptr_t thread_pointer(void)
{
    uintptr_t at;
#if defined(__x86_64__)
    __asm__("movq %%fs:0, %0" : "=r"(at));
#else
    __asm__("mrs %0, tpidr_el0" : "=r"(at));
#endif
    return at;
}

/* The last page of a thread's own stack. Both C libraries put the thread's control block at the stack's upper end; the first
 * thread's stack was made by the kernel, with random bytes above all frames. */
static uintptr_t last_page(uintptr_t sp)
{
    uintptr_t control = thread_pointer(), random = getauxval(AT_RANDOM);
    return align_down(control - sp < random - sp ? control : random, PAGE);
}

static void window_init(struct walk *walk, uintptr_t sp)
{
    uint64_t own = own_stack;
    uintptr_t low = own >> COUNT_BITS << 12, high = low + ((own & ((1u << COUNT_BITS) - 1)) << 12);
    if (unlikely(sp - low >= high - low)) {
        uintptr_t first = align_down(sp, PAGE), most = (uintptr_t)KEPT_AT_ONCE * PAGE;
        if (low < sp || low - first > most) {
            low = last_page(sp);
            high = low + PAGE;
        }
        while (first < low && low - first <= most && os_readable(low - PAGE)) {
            low -= PAGE;
        }
        if (first != low || (high - low) / PAGE >> COUNT_BITS != 0 || low >> 12 >> (64 - COUNT_BITS) != 0) {
            low = high = first;
        } else {
            own_stack = low >> 12 << COUNT_BITS | (high - low) / PAGE;
        }
    }
    walk->low = low;
    walk->high = high;
}

/* To where a word lies that is not in it. False when it cannot be read, or is none. */
static bool window_move(struct walk *walk, uintptr_t address)
{
    uintptr_t page = align_down(address, PAGE);
    if (address % WORD != 0 || !os_readable(page)) {
        return false;
    }
    if (page != walk->high) {
        walk->low = page;
    }
    walk->high = page + PAGE;
    return true;
}

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

ANY_WORD static bool load(struct walk *walk, uintptr_t address, uintptr_t *word)
{
    if (unlikely(address - walk->low >= walk->high - walk->low || address % WORD != 0) && !window_move(walk, address)) {
        return false;
    }
    *word = *(const uintptr_t *)address;
    return true;
}

static bool load_for_expression(void *walk, uintptr_t address, uintptr_t *word) { return load(walk, address, word); }

/* The address of an instruction, of which arm64 may have signed the upper bits. */
static uintptr_t strip(uintptr_t pc)
{
#if defined(__aarch64__)
    register uintptr_t signed_pc __asm__("x30") = pc;
    __asm__("hint #7" : "+r"(signed_pc)); /* xpaclri, and nothing on machines that do not sign */
    return signed_pc;
#else
    return pc;
#endif
}

/* False when no object lies there. */
static bool object_at(struct walk *walk, uintptr_t address, struct object *object)
{
    for (unsigned i = 0; i < walk->known; i++) {
        if (address - walk->objects[i].start < walk->objects[i].end - walk->objects[i].start) {
            *object = walk->objects[i];
            return true;
        }
    }
    if (!object_find(address, object)) {
        object->end = object->start;
        return false;
    }
    walk->objects[walk->next] = *object;
    walk->next = (walk->next + 1) % OBJECTS;
    walk->known += walk->known < OBJECTS;
    return true;
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

bool stack_library_is_apart(void) { return find_library() != NONE_APART; }

bool stack_in_library(const void *pc) { return is_ours((uintptr_t)pc); }

/* False when no more are wanted. */
static inline bool took(struct walk *walk, uintptr_t pc)
{
    if (unlikely(walk->taken == 0) && walk->left_out < LIBRARY_DEEPEST && is_ours(pc)) {
        walk->left_out++;
        return true;
    }
    walk->pcs[walk->taken++] = (void *)pc;
    return walk->taken < walk->most;
}

/* Instructions, if there are any to be read; up to two words of them. */
ANY_WORD static bool read_code(uintptr_t at, unsigned char *code, size_t bytes)
{
    if (at > UINTPTR_MAX - bytes || !os_readable(align_down(at, WORD)) ||
        !os_readable(align_down(at + bytes - 1, WORD))) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        code[i] = ((const unsigned char *)at)[i];
    }
    return true;
}

/* Signals. The kernel leaves the interrupted registers on the stack, and has the handler return to a few instructions that ask
 * for them back: on arm64 and on musl without call frame information, and on others with, by expressions that say what is
 * simpler said here. */
static bool is_signal_return(uintptr_t pc)
{
#if defined(__x86_64__)
    static const unsigned char glibc[] = {0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05}; /* mov $15, %rax; syscall */
    static const unsigned char musl[] = {0xb8, 15, 0, 0, 0, 0x0f, 0x05};
    enum { LENGTH = sizeof glibc };
#else
    static const unsigned char linux_vdso[] = {0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4}; /* mov x8, #139; svc #0 */
    enum { LENGTH = sizeof linux_vdso };
#endif
    unsigned char code[LENGTH];
#if defined(__x86_64__)
    return read_code(pc, code, LENGTH) &&
           (memcmp(code, glibc, sizeof glibc) == 0 || memcmp(code, musl, sizeof musl) == 0);
#else
    return pc % 4 == 0 && read_code(pc, code, LENGTH) && memcmp(code, linux_vdso, LENGTH) == 0;
#endif
}

/* Where the interrupted registers are, given the stack pointer to which the handler returns. */
static uintptr_t context_after(uintptr_t sp)
{
#if defined(__x86_64__)
    return sp;
#else
    return sp + sizeof(siginfo_t);
#endif
}

static bool load_context(struct walk *walk, uintptr_t context, struct frame *frame)
{
    bool well = true;
#if defined(__x86_64__)
    static const uint8_t places[CFI_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                                  REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                  REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    uintptr_t saved = context + offsetof(ucontext_t, uc_mcontext.gregs);
    for (unsigned i = 0; i < CFI_REGISTERS; i++) {
        well = well && load(walk, saved + places[i] * WORD, &frame->registers[i]);
    }
#else
    uintptr_t saved = context + offsetof(ucontext_t, uc_mcontext.regs); /* then sp and pc */
    for (unsigned i = 0; i < CFI_REGISTERS; i++) {
        well = well && load(walk, saved + i * WORD, &frame->registers[i]);
    }
#endif
    frame->exact = true;
    return well;
}

static uint64_t make_rule(const struct object *object, uintptr_t at, uintptr_t pc)
{
    struct cfi_image image;
    struct cfi_row row;
    bool found = object_image(object, &image) && cfi_find(&image, at, &row);
    if ((!found || row.signal) && is_signal_return(pc)) {
        return SIGNAL;
    }
    return found ? rule_of_row(&image, &row) : BARE;
}

/* The table of rules: any thread reads and writes, without a lock. An entry is taken only where both its words were written
 * together, for this address of this object: one that was loaded later has other marks (probe/object.h). */
enum { RULES = 8192 };
static struct {
    _Atomic uint64_t check; /* rule ^ address ^ mark */
    _Atomic uint64_t rule;
} rules[RULES];

static inline uint64_t find_rule(const struct object *object, uintptr_t pc, bool exact)
{
    uintptr_t at = pc - !exact;
    typeof(&rules[0]) entry = &rules[at * 0x9e3779b97f4a7c15u >> 51];
    uint64_t rule = atomic_load_explicit(&entry->rule, memory_order_relaxed);
    uint64_t tag = at ^ object->mark;
    if (unlikely((atomic_load_explicit(&entry->check, memory_order_relaxed) ^ rule) != tag || kind_of(rule) == NONE)) {
        rule = make_rule(object, at, pc);
        atomic_store_explicit(&entry->rule, rule, memory_order_relaxed);
        atomic_store_explicit(&entry->check, rule ^ tag, memory_order_relaxed);
    }
    return rule;
}
_Static_assert(RULES == 1 << (64 - 51), "as many as the bits of the hash that are left");

/* Whether the instruction before is a call: of what a frame pointer that is none leads to, little would pass. */
static bool follows_call(uintptr_t pc)
{
    enum { LONGEST = 7 };
    unsigned char code[LONGEST];
    if (pc < PAGE || !read_code(pc - LONGEST, code, LONGEST)) {
        return false;
    }
#if defined(__x86_64__)
    bool call =
        code[LONGEST - 5] == 0xe8; /* relative; else by register or memory, which takes 2 bytes and a distance */
    for (unsigned length = 2; length <= LONGEST; length++) {
        call |= length != 5 && code[LONGEST - length] == 0xff && (code[LONGEST - length + 1] & 0x38) == 0x10;
    }
    return call;
#else
    uint32_t word;
    memcpy(&word, code + LONGEST - sizeof word, sizeof word);
    return pc % 4 == 0 && (word >> 26 == 0x25 || (word & 0xfefff000) == 0xd63f0000); /* bl, blr and its signed forms */
#endif
}

/* Without call frame information: by frame pointers, which code that has none may use for anything. Of a call through a
 * pointer to nowhere the instruction itself cannot be read; then all is as the call left it. */
static bool step_bare(struct walk *walk, struct frame *frame)
{
    uintptr_t *registers = frame->registers, fp = registers[CFI_FP], sp = registers[CFI_SP];
    if (frame->exact && !os_readable(align_down(registers[CFI_PC], WORD))) {
        frame->exact = false;
#if defined(__x86_64__)
        registers[CFI_SP] += WORD;
        return load(walk, sp, &registers[CFI_PC]);
#else
        registers[CFI_PC] = strip(registers[CFI_RETURN]);
        return true;
#endif
    }
    frame->exact = false;
    uintptr_t back;
    if (fp < sp || !load(walk, fp + WORD, &back) || !load(walk, fp, &registers[CFI_FP])) {
        return false;
    }
    back = strip(back);
    registers[CFI_PC] = back;
    registers[CFI_SP] = fp + 2 * WORD;
    return follows_call(back);
}

/* Whether the next frame may begin there. One that has called nobody yet may have no frame of its own on arm64. */
static bool above(uintptr_t cfa, uintptr_t sp, bool exact)
{
    return cfa % WORD == 0 && (cfa > sp || (exact && cfa == sp));
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
        return load(walk, cfa + offset, value);
    case CFI_IS_OFFSET:
        *value = cfa + offset;
        return true;
    case CFI_IN_REGISTER:
        *value = frame->registers[rule->value];
        return true;
    case CFI_AT_EXPRESSION:
        return cfi_evaluate(image, rule->value, frame->registers, &cfa, load_for_expression, walk, &at) &&
               load(walk, at, value);
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
    bool found = object_at(walk, at, &object) && object_image(&object, &image) && cfi_find(&image, at, &row);
    if ((!found || row.signal) && is_signal_return(pc)) {
        return load_context(walk, context_after(sp), frame);
    }
    if (!found) {
        return step_bare(walk, frame);
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
    caller.registers[CFI_PC] = strip(caller.registers[row.return_register]);
    bool well = row.signal || above(caller.registers[CFI_SP], sp, frame->exact);
    *frame = caller;
    return well;
}

static void walk_fully(struct walk *walk, struct frame frame, bool wanted)
{
    while ((!wanted || took(walk, frame.registers[CFI_PC])) && step_fully(walk, &frame) &&
           (frame.registers[CFI_PC] != 0 || frame.exact)) {
        wanted = true;
    }
}

/* What is not in the rule itself. */
static bool step_otherwise(struct walk *walk, enum rule_kind kind, struct frame *frame)
{
    return kind == SIGNAL ? load_context(walk, context_after(frame->registers[CFI_SP]), frame)
           : kind == BARE ? step_bare(walk, frame)
                          : false;
}

/* By rules; false when one of them is for walk_fully. */
static bool walk_by_rules(struct walk *walk, const struct frame *from, bool wanted)
{
    uintptr_t pc = from->registers[CFI_PC], sp = from->registers[CFI_SP], fp = from->registers[CFI_FP];
    uintptr_t link = from->registers[CFI_RETURN];
    bool exact = from->exact;
    struct object here = {0};
    for (; pc != 0 || exact; wanted = true) {
        if (wanted && !took(walk, pc)) {
            break;
        }
        bool known = pc - !exact - here.start < here.end - here.start || object_at(walk, pc - !exact, &here);
        uint64_t rule = likely(known) ? find_rule(&here, pc, exact) : is_signal_return(pc) ? SIGNAL : BARE;
        enum rule_kind kind = kind_of(rule);
        uintptr_t cfa = (kind == FROM_SP ? sp : fp) + (uintptr_t)rule_cfa(rule);
        if (unlikely(kind > FROM_FP)) {
            if (kind == HARD) {
                return false;
            }
            if (kind != AT_FP) {
                struct frame frame = {.exact = exact};
                frame.registers[CFI_RETURN] = link;
                frame.registers[CFI_PC] = pc;
                frame.registers[CFI_SP] = sp;
                frame.registers[CFI_FP] = fp;
                if (!step_otherwise(walk, kind, &frame)) {
                    break;
                }
                pc = frame.registers[CFI_PC];
                sp = frame.registers[CFI_SP];
                fp = frame.registers[CFI_FP];
                link = frame.registers[CFI_RETURN];
                exact = frame.exact;
                continue;
            }
            if (!load(walk, cfa, &cfa) || !load(walk, fp, &fp)) {
                break;
            }
        }
        if (unlikely(!above(cfa, sp, exact))) {
            break;
        }
        pc = link;
        if (rule_return(rule) ? !load(walk, cfa + (uintptr_t)rule_return(rule), &pc) : !exact) {
            break;
        }
        if (rule_fp(rule) && !load(walk, cfa + (uintptr_t)rule_fp(rule), &fp)) {
            break;
        }
        pc = strip(pc);
        sp = cfa;
        exact = false;
    }
    return true;
}

static size_t walk_from(const struct frame *frame, void **pcs, size_t most, bool interrupted)
{
    struct walk walk; /* objects beyond `known` are not looked at */
    walk.known = walk.next = 0;
    walk.taken = 0;
    walk.pcs = pcs;
    walk.most = most;
    walk.left_out = interrupted ? LIBRARY_DEEPEST : 0;
    window_init(&walk, frame->registers[CFI_SP]);
    if (most != 0 && !walk_by_rules(&walk, frame, interrupted)) {
        walk.taken = 0;
        walk.left_out = interrupted ? LIBRARY_DEEPEST : 0;
        walk_fully(&walk, *frame, interrupted);
    }
    return walk.taken;
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
    struct frame frame;
    return load_context(&reader, (uintptr_t)context, &frame) ? walk_from(&frame, pcs, most, true) : 0;
}
