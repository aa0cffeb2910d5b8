/* heap/crime.c - see heap/crime.h. Allocates nothing and waits for nobody: a crime may be committed anywhere. */
#define _GNU_SOURCE
#include "heap/crime.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <ucontext.h>

#include "heap/guard.h"
#include "heap/nothing.h"
#include "heap/seal.h"
#include "os/fault.h"
#include "os/process.h"
#include "probe/stack.h"
#include "span/large.h"
#include "span/map.h"
#include "span/segment.h"

void crime_take_stack(struct crime_stack *out)
{
    out->thread = os_thread_id();
    out->count = (unsigned)stack_take(out->pc, CRIME_FRAMES);
}

static void tell_frames(void *const *pc, size_t count, bool exact)
{
    for (size_t i = 0; i < count; i++) {
        char text[256];
        stack_print(text, sizeof text, pc[i], exact && i == 0);
        os_say("    %s", text);
    }
}

void crime_tell_stack(const char *what, const struct crime_stack *stack)
{
    if (stack->thread) {
        os_say("  %s by thread %d:", what, stack->thread);
        tell_frames(stack->pc, stack->count, false);
    }
}

static void tell_here(const void *context)
{
    void *pc[CRIME_FRAMES];
    size_t count = context ? stack_take_at(pc, CRIME_FRAMES, context) : stack_take(pc, CRIME_FRAMES);
    os_say("  here, by thread %d:", os_thread_id());
    tell_frames(pc, count, context != NULL);
}

void crime_tell(const char *line, const void *context)
{
    os_say("%s", line);
    tell_here(context);
}

void crime_tell_access(const char *kind, const void *block, size_t size, bool live, const void *address,
                       const void *context)
{
    ptrdiff_t offset = (const char *)address - (const char *)block;
    const char *crime = !live ? "use after free" : offset < 0 ? "underflow" : "overflow";
    char line[160];
    snprintf(line, sizeof line, "%s: %s of %zu bytes at %p, byte %td", crime, kind, size, block, offset);
    crime_tell(line, context);
}

static void tell_after_fault(void) { tell_here(NULL); }

void crime_init(void) { os_after_fault = tell_after_fault; }

/* -- bad accesses -- */

/* In a handler of SIGSEGV, where nothing may be waited for: what lies at an address is looked up as it is. */

static bool tell_address(const char *crime, const void *address, const void *context)
{
    char line[128];
    snprintf(line, sizeof line, "%s: address at %p", crime, address);
    crime_tell(line, context);
    return true;
}

/* The instruction at which the signal came, and the first argument of its function, as long as that has not used its register
 * for something else. */
struct interrupted {
    const void *pc, *argument;
};

static struct interrupted interrupted(const void *context)
{
    const mcontext_t *m = &((const ucontext_t *)context)->uc_mcontext;
#if defined(__x86_64__)
    return (struct interrupted){(const void *)m->gregs[REG_RIP], (const void *)m->gregs[REG_RDI]};
#else
    return (struct interrupted){(const void *)m->pc, (const void *)m->regs[0]};
#endif
}

/* Who uses what is no address of the machine at all is not told which it was (x86-64). */
static bool is_no_address(const void *p) { return (intptr_t)p >> 47 != 0 && (intptr_t)p >> 47 != -1; }

/* free and its kin look for the header of a block of which there is no segment. Where they are part of the program it may be
 * anybody who looked, which is not likely but for headers next to NULL. */
static bool explain_no_block(const siginfo_t *info, const void *context)
{
    struct interrupted here = interrupted(context);
    const void *p = here.argument;
    bool ours = stack_in_library(here.pc), maybe = !stack_library_is_apart() && (uintptr_t)p >= SEGMENT_SIZE;
    bool header = !begins_large(p) && unit_of(p) == info->si_addr && (ours || maybe);
    bool nowhere = info->si_code == SI_KERNEL && is_no_address(p) && ours;
    return (header || nowhere) && tell_address(fault_free_of_none, p, context);
}

/* A fence between slabs: who misses a block by little is on its side. Or a unit of which nothing is left. */
static bool explain_in_segment(const void *address, const void *context)
{
    const struct unit *unit = unit_of(address), *near = NULL;
    size_t within = (uintptr_t)address % UNIT_SIZE;
    uint32_t owner = unit_owner(unit);
    const void *nothing;
    bool live;
    if (owner == OWNER_NONE && nothing_find(address, &nothing, &live)) {
        crime_tell_access("small block", nothing, 0, live, address, context);
        return true;
    }
    if (owner != OWNER_NONE && owner != OWNER_FREE) {
        return false;
    }
    if (unit_index(unit) % 2 == 1) {
        unsigned i = within < UNIT_SIZE / 2 ? unit_index(unit) - 1 : unit_index(unit) + 1;
        near = i > 0 && i < UNITS ? segment_unit(segment_of(unit), i) : NULL;
    }
    if (near && unit_owner(near) < OWNER_LIMIT) {
        const struct slab *s = (const struct slab *)near;
        crime_tell_access("slab of small blocks", slab_data(s), slab_stride(s), true, address, context);
        return true;
    }
    return tell_address("access to what is no live block", address, context);
}

/* What a process at its highest level keeps inaccessible. */
static bool explain_fence(const void *address, const void *context)
{
    struct large_fenced large;
    if (!fenced()) {
        return false;
    }
    if (map_get(address) == MAP_SEGMENT) {
        return segment_of(address)->fenced && explain_in_segment(address, context);
    }
    if (!large_find_fenced(address, &large) ||
        (size_t)((const char *)address - (const char *)large.block) < large.length) {
        return false;
    }
    crime_tell_access("large block", large.block, large.bytes, large.length != 0, address, context);
    return true;
}

static bool explain(const siginfo_t *info, const void *context)
{
    return guard_explain(info->si_addr, context) || explain_no_block(info, context) ||
           explain_fence(info->si_addr, context);
}

static struct sigaction before;

static void on_bad_access(int signal, siginfo_t *info, void *context)
{
    if (info->si_code > 0 && explain(info, context)) {
        sigaction(SIGSEGV, &before, NULL);
        return; /* it happens again, and goes the way it would have gone */
    }
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(signal);
    } else {
        sigaction(SIGSEGV, &before, NULL);
        if (info->si_code <= 0) {
            raise(signal); /* somebody has sent it: it would not come again */
        }
    }
}

bool crime_watch(void)
{
    static atomic_bool watching;
    if (atomic_exchange(&watching, true)) {
        return true;
    }
    struct sigaction ours = {.sa_sigaction = on_bad_access, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    bool done = sigaction(SIGSEGV, &ours, &before) == 0;
    atomic_store(&watching, done);
    return done;
}
