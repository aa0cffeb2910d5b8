/* heap/crime.c - see heap/crime.h. Allocates nothing and waits for nobody: a crime may be committed anywhere. */
#define _GNU_SOURCE
#include "heap/crime.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <ucontext.h>

#include "heap/guard.h"
#include "os/fault.h"
#include "os/process.h"
#include "probe/stack.h"
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

static void tell_after_fault(void) { tell_here(NULL); }

void crime_init(void) { os_after_fault = tell_after_fault; }

/* -- bad accesses -- */

/* The first argument of the function in which the signal came, as long as that has not used its register for something else. */
static const void *first_argument(const void *context)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    return (const void *)u->uc_mcontext.gregs[REG_RDI];
#elif defined(__aarch64__)
    return (const void *)u->uc_mcontext.regs[0];
#else
    return u ? NULL : context;
#endif
}

/* free and its kin look for the header of a block of which there is no segment. */
static bool explain_no_block(const void *address, const void *context)
{
    const void *p = first_argument(context);
    if ((uintptr_t)unit_of(p) != ((uintptr_t)address & ~(uintptr_t)(HEADER_SIZE - 1))) {
        return false;
    }
    char line[128];
    snprintf(line, sizeof line, "%s: address at %p", fault_free_of_none, p);
    crime_tell(line, context);
    return true;
}

static struct sigaction before;

static void on_bad_access(int signal, siginfo_t *info, void *context)
{
    if (info->si_code > 0 && (guard_explain(info->si_addr, context) || explain_no_block(info->si_addr, context))) {
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
