/* explore.c - every order of a few threads' operations that can make a difference, one execution after the other.
 *
 *   execution 1   A1 A2 A3 B1 B2          each node: who went, who else has to be tried there (backtrack),
 *   execution 2   A1 A2 B1 A3 B2            who need not be, as nothing that depends on it came since (sleep)
 *   execution 3   A1 B1 ...
 *
 * Threads are contexts on stacks of their own that switch at their operations only. An execution follows a path of nodes,
 * then goes on as it likes. Where an operation races with an earlier one of another thread - one place, one of them
 * writes, nothing else orders them - the node before the earlier gets a thread to try with which the later comes first. When
 * no node has anything left to try, all has been seen: what is not tried differs from something that was by the order of
 * independent operations only. (Abdulla, Aronis, Jonsson, Sagonas, "Optimal dynamic partial order reduction", POPL 2014:
 * source sets; after Flanagan and Godefroid, POPL 2005; sleep sets: Godefroid, 1996.)
 *
 * A load may have several values to read (memory.c); these are branches too. So is a fork: in the child the other threads
 * are no more, wherever they were.
 *
 * Bounds: THREADS threads, DEPTH operations an execution; an execution that does not end is a fault.
 */
#define _GNU_SOURCE
#include "explore.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "memory.h"
#include "os/fault.h"
#include "system.h"

enum { DEPTH = 1000, STACK = 256 * 1024, MAIN = NOBODY, END = 1000000, SHOWN = 150 };

typedef uint8_t set; /* of threads, a bit each */

/* What an operation comes after: so many operations of each thread. */
struct clock {
    uint16_t of[THREADS];
};

struct node {
    struct op op; /* what was done here */
    uint64_t result;
    uint8_t thread;          /* by whom */
    uint8_t choice, choices; /* with which value, of how many */
    set enabled, backtrack, sleep, done;
    struct clock clock; /* with this one */
};

struct thread {
    jmp_buf at;
    ucontext_t start;
    struct op next; /* what it is about to do */
    uint64_t result;
    struct clock clock;
    bool ended;
    char *stack, *local,
        *first_local; /* its thread-local variables while it does not run; and as an execution begins */
};

static CHECKERS struct {
    const struct scenario *scenario;
    struct node path[DEPTH];
    unsigned depth, replayed; /* so many nodes have been gone; so many of them as before */
    struct thread thread[THREADS + 1];
    unsigned threads, running; /* how many; which has its thread-local variables in place */
    unsigned alone;            /* who is left at the end: 0, or the child */
    set asleep;                /* for the next node */
    struct clock written[PLACES], accessed[PLACES], forked;
    bool exploring, starting, cut_short;
    bool found;               /* the second free that was expected */
    unsigned deepest, at_end; /* ...; operations at the end of this execution */
    unsigned long executions;
    jmp_buf finish;
} x;

/* The thread-local variables of what is tested, which is compiled with __thread as a section of this name. */
extern char __start_thread_local[], __stop_thread_local[];
extern const char __executable_start[];

bool exploring(void) { return x.exploring; }

bool freeing_twice(void) { return x.scenario->freed_twice != NULL; }

unsigned running_thread(void) { return x.running; }

void act_as(unsigned thread)
{
    size_t bytes = (size_t)(__stop_thread_local - __start_thread_local);
    memcpy(x.thread[x.running].local, __start_thread_local, bytes);
    memcpy(__start_thread_local, x.thread[thread].local, bytes);
    x.running = thread;
}

static void switch_to(unsigned thread)
{
    unsigned from = x.running;
    if (from == thread) {
        return;
    }
    act_as(thread);
    if (_setjmp(x.thread[from].at) == 0) {
        _longjmp(x.thread[thread].at, 1);
    }
}

/* -- which operations depend on each other -- */

static bool writes(const struct op *op) { return op->kind != OP_LOAD; }

static bool depend(const struct op *a, const struct op *b)
{
    return x.scenario->unreduced || a->kind == OP_FORK || b->kind == OP_FORK ||
           (a->at == b->at && (writes(a) || writes(b)));
}

static void join(struct clock *c, const struct clock *other)
{
    for (unsigned t = 0; t < THREADS; t++) {
        c->of[t] = c->of[t] > other->of[t] ? c->of[t] : other->of[t];
    }
}

static void count(unsigned thread, const struct op *op)
{
    struct clock *c = &x.thread[thread].clock;
    c->of[thread]++;
    join(c, &x.forked);
    for (unsigned t = 0; t < x.threads && (op->kind == OP_FORK || x.scenario->unreduced); t++) {
        join(c, &x.thread[t].clock);
    }
    if (op->kind == OP_FORK) {
        x.forked = *c;
        return;
    }
    join(c, writes(op) ? &x.accessed[op->place] : &x.written[op->place]);
    join(&x.accessed[op->place], c);
    if (writes(op)) {
        x.written[op->place] = *c;
    }
}

/* -- races: what might as well have come in another order -- */

static bool before(const struct node *a, const struct node *b)
{
    return b->clock.of[a->thread] >= a->clock.of[a->thread];
}

/* Of a lock, that it was released lies between having taken it and taking it again, and does not order the two. */
static bool only_waits(const struct node *taken, const struct node *between, const struct node *again)
{
    return again->op.kind == OP_LOCK && between->op.kind == OP_UNLOCK && taken->op.at == again->op.at &&
           taken->thread == between->thread;
}

/* Of two operations that depend on each other, nothing but that orders them, and the later could have come first. */
static bool is_race(unsigned first, unsigned second, const struct clock *known)
{
    const struct node *a = &x.path[first], *b = &x.path[second];
    if (a->thread == b->thread || !depend(&a->op, &b->op) || known->of[a->thread] >= a->clock.of[a->thread] ||
        (a->op.kind == OP_UNLOCK && b->op.kind == OP_LOCK)) {
        return false;
    }
    for (unsigned i = first + 1; i < second; i++) {
        const struct node *k = &x.path[i];
        if (depend(&k->op, &b->op) && before(a, k) && !only_waits(a, k, b)) {
            return false;
        }
    }
    return true;
}

/* Who can begin what came after `first` and not because of it, with `second` as its end. */
static set who_begins(unsigned first, unsigned second)
{
    set begins = 0, met = 0;
    for (unsigned i = first + 1; i <= second; i++) {
        const struct node *n = &x.path[i];
        if ((i < second && before(&x.path[first], n)) || (met >> n->thread & 1)) {
            continue;
        }
        bool is_first = true;
        for (unsigned j = first + 1; j < i && is_first; j++) {
            is_first = before(&x.path[first], &x.path[j]) || !before(&x.path[j], n);
        }
        met |= (set)(1u << n->thread);
        begins |= (set)(is_first << n->thread);
    }
    return begins;
}

/* After an operation, before which its thread came after `known`: has each that it races with tried in the other order. */
static void look_back(unsigned second, const struct clock *known)
{
    for (unsigned first = second; first-- > 0;) {
        struct node *node = &x.path[first];
        if (is_race(first, second, known)) {
            set begins = who_begins(first, second);
            if (!(begins & node->backtrack)) {
                unsigned t = x.path[second].thread;
                node->backtrack |= (set)(begins >> t & 1 ? 1u << t : begins & -(unsigned)begins);
            }
        }
    }
}

/* -- one step -- */

static set who_can_go(void)
{
    set enabled = 0;
    for (unsigned t = 0; t < x.threads; t++) {
        const struct thread *thread = &x.thread[t];
        bool can = !thread->ended && !(thread->next.kind == OP_LOCK && memory_is_locked(&thread->next));
        enabled |= (set)(can << t);
    }
    return enabled;
}

static _Noreturn void leave(void)
{
    switch_to(MAIN);
    abort();
}

/* Of a process that is no more any order will do. */
static _Noreturn void fault_or_leave(const char *text)
{
    if (x.found) {
        leave();
    }
    explore_fault(text);
}

/* The node to go through next: the one that was there, or a new one. */
static struct node *next_node(void)
{
    struct node *node = &x.path[x.depth];
    if (x.depth < x.replayed) {
        return node;
    }
    *node = (struct node){.enabled = who_can_go(), .sleep = x.asleep};
    set awake = node->enabled & (set)~node->sleep;
    if (!node->enabled) {
        fault_or_leave("deadlock");
    }
    if (!awake) {
        x.cut_short = true;
        leave();
    }
    bool goes_on = x.running < x.threads && (awake >> x.running & 1);
    node->thread = (uint8_t)(goes_on ? x.running : (unsigned)__builtin_ctz(awake));
    node->backtrack = (set)(1u << node->thread);
    return node;
}

/* Who need not be tried at the node after this one: who was tried or asleep here, and does nothing that depends on it. */
static set stay_asleep(const struct node *node)
{
    set asleep = 0;
    for (unsigned t = 0; t < x.threads; t++) {
        bool was = (node->sleep | node->done) >> t & 1;
        asleep |= (set)((was && !depend(&x.thread[t].next, &node->op)) << t);
    }
    return asleep;
}

static uint64_t do_fork(unsigned thread, bool child)
{
    for (unsigned t = 0; child && t < x.threads; t++) {
        x.thread[t].ended |= t != thread;
    }
    if (child) {
        x.alone = thread;
        memory_see_newest(thread);
    }
    return child;
}

/* Lets a thread do its next operation, and go on. */
static void step(void)
{
    if (x.depth == DEPTH) {
        fault_or_leave("an execution that does not end");
    }
    struct node *node = next_node();
    unsigned t = node->thread;
    struct thread *thread = &x.thread[t];
    bool again = x.depth + 1 < x.replayed;
    if (again && (node->op.at != thread->next.at || node->op.kind != thread->next.kind)) {
        explore_fault("an execution that went another way the second time");
    }
    node->op = thread->next;
    bool forks = node->op.kind == OP_FORK;
    node->choices = (uint8_t)(forks ? 2 : memory_choices(t, &node->op));
    x.asleep = stay_asleep(node);
    struct clock known = thread->clock;
    count(t, &node->op);
    node->clock = thread->clock;
    if (!again) {
        look_back(x.depth, &known);
    }
    x.depth++;
    node->result = thread->result = forks ? do_fork(t, node->choice) : memory_do(t, &node->op, node->choice);
    switch_to(t);
}

uint64_t explore_op(const struct op *op)
{
    if (!x.exploring) {
        if (++x.at_end > END) {
            explore_fault("an end that does not end");
        }
        return memory_do_alone(op);
    }
    struct thread *thread = &x.thread[x.running];
    thread->next = *op;
    thread->next.place = op->kind == OP_FORK ? 0 : memory_place(op->at, op->size);
    if (x.starting) {
        switch_to(MAIN);
    } else {
        step();
    }
    return thread->result;
}

bool explore_fork(void)
{
    struct op op = {.kind = OP_FORK, .code = __builtin_return_address(0)};
    return explore_op(&op) != 0;
}

static _Noreturn void thread_is_over(void)
{
    x.thread[x.running].ended = true;
    bool all = true;
    for (unsigned t = 0; t < x.threads; t++) {
        all &= x.thread[t].ended;
    }
    if (!all && !x.starting) {
        step();
    }
    leave();
}

static void run_thread(void)
{
    x.scenario->thread[x.running]();
    thread_is_over();
}

/* -- what broke -- */

/* The lines of code of the nodes from one on, one a line; NULL without addr2line. */
static FILE *lines_of_code(unsigned from)
{
    static char command[64 * SHOWN + 512];
    char exe[256] = "";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0) {
        return NULL;
    }
    int length = snprintf(command, sizeof command, "addr2line -spfe '%s'", exe);
    for (unsigned i = from; i < x.depth; i++) {
        uintptr_t at = (uintptr_t)x.path[i].op.code - (uintptr_t)__executable_start - 1;
        length += snprintf(command + length, sizeof command - (size_t)length, " %#lx", (unsigned long)at);
    }
    return popen(command, "r");
}

static void print_path(void)
{
    static const char *const kinds[] = {"load", "store", "modify", "compare", "lock", "try lock", "unlock", "fork"};
    static const char *const orders[] = {"relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst"};
    unsigned from = x.depth > SHOWN ? x.depth - SHOWN : 0;
    FILE *lines = lines_of_code(from);
    for (unsigned i = from; i < x.depth; i++) {
        const struct node *n = &x.path[i];
        char line[200] = "\n";
        if (lines && !fgets(line, sizeof line, lines)) {
            line[0] = '\n';
        }
        bool locks = n->op.kind >= OP_LOCK;
        fprintf(stderr, "%4u %*s%u: %s %p%s%s -> %#lx%s  %s", i, 8 * n->thread, "", n->thread, kinds[n->op.kind],
                n->op.at, locks ? "" : " ", locks ? "" : orders[n->op.order % 6], (unsigned long)n->result,
                n->op.kind != OP_FORK && n->choice ? " (old)" : "", line);
    }
    if (lines) {
        pclose(lines);
    }
}

static bool begins_with(const char *text, const char *begin) { return strncmp(text, begin, strlen(begin)) == 0; }

static bool is_expected(const char *text)
{
    char block[32] = "";
    if (!x.scenario->freed_twice || !(begins_with(text, "double free") || begins_with(text, fault_free_of_none))) {
        return false;
    }
    if (*x.scenario->freed_twice) {
        snprintf(block, sizeof block, " at %p", *x.scenario->freed_twice);
    }
    return strlen(text) >= strlen(block) && strcmp(text + strlen(text) - strlen(block), block) == 0;
}

_Noreturn void explore_fault(const char *text)
{
    x.found |= is_expected(text);
    if (x.found) {
        if (x.exploring) {
            thread_is_over();
        }
        _longjmp(x.finish, 1);
    }
    fprintf(stderr, "%s: %s; execution %lu%s\n", x.scenario->name, text, x.executions + 1,
            x.exploring ? "" : ", at its end");
    print_path();
    exit(1);
}

/* -- all executions -- */

static __attribute__((noinline)) void enter(const ucontext_t *context)
{
    if (_setjmp(x.thread[MAIN].at) == 0) {
        setcontext(context);
    }
}

static void start(unsigned t)
{
    x.thread[t].start.uc_stack.ss_sp = x.thread[t].stack;
    x.thread[t].start.uc_stack.ss_size = STACK;
    makecontext(&x.thread[t].start, run_thread, 0);
    act_as(t);
    enter(&x.thread[t].start);
}

static void finish(void)
{
    if (!x.found && _setjmp(x.finish) == 0) {
        x.scenario->finish();
    }
    if (!x.found && x.scenario->freed_twice) {
        explore_fault("a second free that was not found");
    }
}

static void execute(void)
{
    size_t local = (size_t)(__stop_thread_local - __start_thread_local);
    memset(x.written, 0, sizeof x.written);
    memset(x.accessed, 0, sizeof x.accessed);
    memset(&x.forked, 0, sizeof x.forked);
    x.depth = x.at_end = x.asleep = x.alone = 0;
    x.found = x.cut_short = false;
    memory_begin();
    system_begin();
    for (unsigned t = 0; t < THREADS; t++) {
        struct thread *thread = &x.thread[t];
        thread->ended = false;
        memset(&thread->clock, 0, sizeof thread->clock);
        memcpy(thread->local, thread->first_local, local);
    }
    x.exploring = x.starting = true;
    for (unsigned t = 0; t < x.threads; t++) {
        start(t);
    }
    x.starting = false;
    step();
    x.exploring = false;
    x.replayed = 0;
    x.deepest = x.depth > x.deepest ? x.depth : x.deepest;
    if (!x.cut_short) {
        act_as(x.alone);
        finish();
        act_as(MAIN);
    }
    memory_restore();
}

/* Sets the path to the next one; false when there is none. */
static bool next_path(void)
{
    for (; x.depth > 0; x.depth--) {
        struct node *node = &x.path[x.depth - 1];
        if (++node->choice < node->choices) {
            x.replayed = x.depth;
            return true;
        }
        node->done |= (set)(1u << node->thread);
        set left = node->backtrack & (set) ~(node->done | node->sleep);
        if (left) {
            node->thread = (uint8_t)__builtin_ctz(left);
            node->choice = 0;
            x.replayed = x.depth;
            return true;
        }
    }
    return false;
}

static __attribute__((noinline)) void make_stack(struct thread *thread)
{
    thread->stack = malloc(STACK);
    if (!thread->stack || getcontext(&thread->start) != 0) {
        abort();
    }
}

static void set_up(const struct scenario *scenario)
{
    size_t local = (size_t)(__stop_thread_local - __start_thread_local);
    x.scenario = scenario;
    x.running = MAIN;
    for (x.threads = 0; x.threads < THREADS && scenario->thread[x.threads]; x.threads++) {
    }
    for (unsigned t = 0; t <= THREADS; t++) {
        struct thread *thread = &x.thread[t];
        make_stack(thread);
        thread->local = calloc(2, local);
        if (!thread->local) {
            abort();
        }
        thread->first_local = thread->local + local;
    }
    scenario->setup();
    act_as(MAIN);
    system_setup_done();
    memory_watch();
    for (unsigned t = 0; t < THREADS; t++) {
        memcpy(x.thread[t].first_local, x.thread[t].local, local);
    }
}

void explore(const struct scenario *scenario)
{
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    set_up(scenario);
    unsigned long cut_short = 0;
    do {
        execute();
        x.executions += !x.cut_short;
        cut_short += x.cut_short;
    } while (next_path());
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%s: %lu executions of up to %u operations, and %lu that were cut short; %.1f s\n", scenario->name,
           x.executions, x.deepest, cut_short,
           (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
}
