/* probe/walk.c - see probe/walk.h: the window, the rules, and the frames that have none. */
#define _GNU_SOURCE
#include "probe/walk.h"

#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "os/memory.h"
#include "probe/cfi.h"

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
    return align_down(control - sp < random - sp ? control : random, WALK_PAGE);
}

bool walk_begin(struct walk *walk, uintptr_t sp, bool of_thread)
{
    walk->known = walk->next = 0; /* objects beyond are not looked at */
    bool kept = true;
    uint64_t own = own_stack;
    uintptr_t low = own >> COUNT_BITS << 12, high = low + ((own & ((1u << COUNT_BITS) - 1)) << 12);
    if (unlikely(sp - low >= high - low)) {
        uintptr_t first = align_down(sp, WALK_PAGE), most = (uintptr_t)KEPT_AT_ONCE * WALK_PAGE;
        if (low < sp || low - first > most) {
            low = last_page(sp);
            high = low + WALK_PAGE;
        }
        while (first < low && low - first <= most && os_readable(low - WALK_PAGE)) {
            low -= WALK_PAGE;
        }
        if (first != low || (high - low) / WALK_PAGE >> COUNT_BITS != 0 || low >> 12 >> (64 - COUNT_BITS) != 0) {
            low = first;
            high = of_thread ? first + WALK_PAGE : first;
            kept = false;
        } else {
            own_stack = low >> 12 << COUNT_BITS | (high - low) / WALK_PAGE;
        }
    }
    walk->low = low;
    walk->high = high;
    return kept;
}

bool walk_move(struct walk *walk, uintptr_t address)
{
    uintptr_t page = align_down(address, WALK_PAGE);
    if (address % WORD != 0 || !os_readable(page)) {
        return false;
    }
    if (page != walk->high) {
        walk->low = page;
    }
    walk->high = page + WALK_PAGE;
    return true;
}

const struct object walk_nowhere = {.mark = 0x2545f4914f6cdd1d};

bool walk_object(struct walk *walk, uintptr_t address, struct object *object)
{
    for (unsigned i = 0; i < walk->known; i++) {
        if (address - walk->objects[i].start < walk->objects[i].end - walk->objects[i].start) {
            *object = walk->objects[i];
            return true;
        }
    }
    if (!object_find(address, object)) {
        return false;
    }
    walk->objects[walk->next] = *object;
    walk->next = (walk->next + 1) % WALK_OBJECTS;
    walk->known += walk->known < WALK_OBJECTS;
    return true;
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

/* The kernel leaves the interrupted registers on the stack, and has the handler return to a few instructions that ask for them
 * back: on arm64 and on musl without call frame information, and on others with, by expressions that say what is simpler
 * said here. */
bool walk_is_signal_return(uintptr_t pc)
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
uintptr_t walk_context_after(uintptr_t sp)
{
#if defined(__x86_64__)
    return sp;
#else
    return sp + sizeof(siginfo_t);
#endif
}

bool walk_load_context(struct walk *walk, uintptr_t context, uintptr_t registers[CFI_REGISTERS])
{
    bool well = true;
#if defined(__x86_64__)
    static const uint8_t places[CFI_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                                  REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                  REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    uintptr_t saved = context + offsetof(ucontext_t, uc_mcontext.gregs);
    for (unsigned i = 0; i < CFI_REGISTERS; i++) {
        well = well && walk_load(walk, saved + places[i] * WORD, &registers[i]);
    }
#else
    uintptr_t saved = context + offsetof(ucontext_t, uc_mcontext.regs); /* then sp and pc */
    for (unsigned i = 0; i < CFI_REGISTERS; i++) {
        well = well && walk_load(walk, saved + i * WORD, &registers[i]);
    }
#endif
    return well;
}

/* Whether the instruction before is a call: of what a frame pointer that is none leads to, little would pass. */
static bool follows_call(uintptr_t pc)
{
    enum { LONGEST = 7 };
    unsigned char code[LONGEST];
    if (pc < WALK_PAGE || !read_code(pc - LONGEST, code, LONGEST)) {
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

/* By frame pointers, which code that has no call frame information may use for anything. Of a call through a pointer to
 * nowhere the instruction itself cannot be read; then all is as the call left it. */
bool walk_bare(struct walk *walk, struct place *place)
{
    uintptr_t fp = place->fp, back;
    if (place->exact && !os_readable(align_down(place->pc, WORD))) {
        place->exact = false;
#if defined(__x86_64__)
        place->sp += WORD;
        return walk_load(walk, place->sp - WORD, &place->pc);
#else
        place->pc = walk_strip(place->link);
        return true;
#endif
    }
    place->exact = false;
    if (fp < place->sp || !walk_load(walk, fp + WORD, &back) || !walk_load(walk, fp, &place->fp)) {
        return false;
    }
    place->pc = walk_strip(back);
    place->sp = fp + 2 * WORD;
    return follows_call(place->pc);
}

struct rule_entry walk_rules[1 << RULE_BITS][RULE_WAYS];

bool walk_row(const struct object *object, uintptr_t pc, bool exact, struct cfi_image *image, struct cfi_row *row)
{
    if (!object_image(object, image)) {
        return false;
    }
    bool found = cfi_find(image, pc - !exact, row);
    if (!found && !exact && cfi_find(image, pc, row)) {
        row->registers[row->return_register].kind = CFI_UNDEFINED;
        found = true;
    }
    return found;
}

static uint64_t make_rule(const struct object *object, uintptr_t pc, bool exact)
{
    struct cfi_image image;
    struct cfi_row row;
    bool found = object && walk_row(object, pc, exact, &image, &row);
    if ((!found || row.signal) && walk_is_signal_return(pc)) {
        return SIGNAL;
    }
    return found ? rule_of_row(&image, &row) : BARE;
}

/* When it was not there for an object that stays: of another one, or of none, or made now, in place of one of both, by turns. */
uint64_t walk_other_rule(struct walk *walk, uintptr_t pc, uintptr_t at)
{
    static _Atomic unsigned turn;
    struct object object;
    bool found = walk_object(walk, at, &object);
    uint64_t tag = walk_tag(at, found ? object.mark : walk_nowhere.mark), rule;
    struct rule_entry *entry = walk_rules_of(at);
    if (!found) {
        walk->here = &walk_nowhere;
    } else if (object.mark != 0) {
        walk->here = &walk->objects[0];
        while (at - walk->here->start >= walk->here->end - walk->here->start) {
            walk->here++;
        }
    }
    if (tag != walk_tag(at, 0) && (walk_entry_is(&entry[0], tag, &rule) || walk_entry_is(&entry[1], tag, &rule))) {
        return rule;
    }
    rule = make_rule(found ? &object : NULL, pc, at == pc);
    unsigned next = atomic_load_explicit(&turn, memory_order_relaxed);
    atomic_store_explicit(&turn, next + 1, memory_order_relaxed);
    bool empty = atomic_load_explicit(&entry[0].rule, memory_order_relaxed) == NONE;
    entry += empty ? 0 : next % RULE_WAYS;
    atomic_store_explicit(&entry->rule, rule, memory_order_relaxed);
    atomic_store_explicit(&entry->check, rule ^ tag, memory_order_relaxed);
    return rule;
}

/* What is not in the rule itself. */
enum walk_result walk_step_otherwise(struct walk *walk, struct place *place, enum rule_kind kind)
{
    if (kind == SIGNAL) {
        uintptr_t registers[CFI_REGISTERS];
        if (!walk_load_context(walk, walk_context_after(place->sp), registers)) {
            return WALK_END;
        }
        *place = (struct place){registers[CFI_PC], registers[CFI_SP], registers[CFI_FP], registers[CFI_RETURN], true};
        return WALK_ON;
    }
    bool on = kind == BARE && walk_bare(walk, place) && walk_may_return(place->pc);
    return on ? WALK_ON : kind == HARD ? WALK_HARD : WALK_END;
}
