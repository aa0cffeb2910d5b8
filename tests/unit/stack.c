/* unit/stack.c - stacks of all kinds, beside what the functions on them say they return to, and what libc's backtrace says. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "common/check.h"
#include "probe/stack.h"
#include "unit/stack_chains.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if defined(__GLIBC__) && !SANITIZED
#include <execinfo.h>
#else /* sanitizers put a function of their own in its place */
static int backtrace(void **pcs, int most) { return (void)pcs, (void)most, 0; }
#endif

enum { MOST = 512 };

/* Every allocation of a thread is counted. */
static __thread unsigned allocations;
#if defined(__GLIBC__) && !SANITIZED
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *malloc(size_t size) { return allocations++, __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return allocations++, __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return allocations++, __libc_realloc(p, size); }
#endif

/* The frames that are on the trail are there, in order and next to each other but for those of libc. */
static void check_trail(const struct trail *trail, void *const *pcs, size_t taken)
{
    size_t at = 0;
    for (unsigned i = trail->depth; i-- > 0;) {
        if (trail->returns[i] == NULL) {
#if defined(__GLIBC__)
            i--;
            while (at < taken && pcs[at] != trail->returns[i]) {
                at++;
            }
#else
            return; /* musl's functions have no call frame information */
#endif
        }
        CHECK(at < taken && pcs[at] == trail->returns[i]);
        at++;
    }
}

static void check_backtrace(void *const *pcs, size_t taken, void *const *said, int says)
{
    for (int i = 0; i < says; i++) {
        CHECK((size_t)i < taken && pcs[i] == said[i]);
    }
    CHECK(says == 0 || taken == (size_t)says);
}

static __thread size_t most_frames;

__attribute__((noinline)) static void look(struct trail *trail)
{
    TRAIL_ENTER(trail);
    void *pcs[MOST], *said[MOST];
    unsigned before = allocations;
    size_t taken = stack_take(pcs, MOST);
    CHECK(allocations == before);
    int says = backtrace(said, MOST);
    CHECK(taken >= 1 && taken < MOST);
    check_trail(trail, pcs + 1, taken - 1);
    check_backtrace(pcs + 1, taken - 1, said + 1, says ? says - 1 : 0);
    most_frames = taken > most_frames ? taken : most_frames;
    void *few[5];
    size_t first = stack_take(few, 5);
    CHECK(first == (taken < 5 ? taken : 5) && memcmp(few + 1, pcs + 1, (first - 1) * sizeof few[0]) == 0);
    CHECK(stack_take(few, 0) == 0);
    TRAIL_LEAVE(trail);
}

static void go(uint64_t seed, unsigned calls, void (*end)(struct trail *))
{
    struct trail trail = {.seed = seed, .left = calls, .end = end};
    seed % 2 ? chain_with_frame_pointers(&trail) : chain_without_frame_pointers(&trail);
    CHECK(trail.depth == 0);
}

static void first_of_all_allocates_nothing(void **state)
{
    (void)state;
    void *pcs[MOST];
    unsigned before = allocations;
    assert_true(stack_take(pcs, MOST) > 2);
    char text[200];
    stack_print(text, sizeof text, pcs[0], false);
    assert_int_equal(allocations, before);
    free(opaque_pointer(malloc(1)));
#if defined(__GLIBC__) && !SANITIZED
    assert_true(allocations > before); /* it does count */
#endif
    backtrace(pcs, MOST); /* the first call of it loads a library */
}

static void call_trees(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4000 * test_scale(); seed++) {
        uint64_t random = seed;
        go(seed, (unsigned)(random_next(&random) % 60), look);
    }
    assert_true(most_frames > 40);
}

static void *trees_in_thread(void *seed)
{
    for (unsigned i = 0; i < 200; i++) {
        go(*(uint64_t *)seed + i, i % 40, look);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    uint64_t seed[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        seed[i] = 1000 * i;
        assert_int_equal(pthread_create(&thread[i], NULL, trees_in_thread, &seed[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void *first_function(void *arg)
{
    struct trail trail = {.depth = 0};
    (void)arg;
    look(&trail);
    return NULL;
}

static void first_function_of_a_thread(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, first_function, NULL), 0);
    pthread_join(thread, NULL);
}

static size_t depth_seen;

__attribute__((noinline)) static unsigned recurse(unsigned n)
{
    if (n > 0) {
        return recurse(n - 1) + (unsigned)opaque(1);
    }
    static void *pcs[3000];
    depth_seen = stack_take(pcs, 3000);
    for (unsigned i = 3; i < 1000; i++) {
        CHECK(pcs[i] == pcs[2]);
    }
    return 0;
}

static void recursion(void **state)
{
    (void)state;
    assert_int_equal(recurse(1000), 1000);
    assert_in_range(depth_seen, 1001, 1100);
    assert_int_equal(recurse(20000), 20000); /* deeper than what is wanted */
    assert_int_equal(depth_seen, 3000);
}

/* Signals. */

static struct trail *signalled;
static unsigned signals;

static void use_handler(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

static void on_raise(int signal, siginfo_t *info, void *context)
{
    void *inside[MOST], *at[MOST], *said[MOST];
    (void)signal;
    (void)info;
    int says = backtrace(said, MOST);
    size_t within = stack_take(inside, MOST), from = stack_take_at(at, MOST, context);
    check_backtrace(inside + 1, within - 1, said + 1, says ? says - 1 : 0);
    CHECK(within > from && memcmp(inside + within - from, at, from * sizeof at[0]) == 0);
#if defined(__GLIBC__)
    size_t skipped = 0; /* what libc has between the call and the system's */
    while (skipped < from && at[skipped] != signalled->returns[signalled->depth - 1]) {
        skipped++;
    }
    check_trail(signalled, at + skipped, from - skipped);
#endif
    signals++;
}

__attribute__((noinline)) static void raise_here(struct trail *trail)
{
    TRAIL_ENTER(trail);
    signalled = trail;
    raise(SIGUSR1);
    TRAIL_LEAVE(trail);
}

static char other_stack[1 << 16];

static void handlers_of_signals(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it calls handlers itself */
#endif
    stack_t other = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    assert_int_equal(sigaltstack(&other, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        use_handler(SIGUSR1, on_raise, i % 2 ? SA_ONSTACK : 0);
        go(i, i % 30, raise_here);
    }
    assert_int_equal(signals, 200);
}

/* The interrupted instruction is in this function, its call returns to where it says, and so on. */
static sigjmp_buf after;
static void *fault_at[MOST];
static size_t fault_taken;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    fault_taken = stack_take_at(fault_at, MOST, context);
    siglongjmp(after, 1);
}

__attribute__((noinline)) static void store_nowhere(struct trail *trail)
{
    TRAIL_ENTER(trail);
    *(volatile int *)opaque_pointer((void *)8) = 1;
    TRAIL_LEAVE(trail);
}

__attribute__((noinline)) static void call_nowhere(struct trail *trail)
{
    TRAIL_ENTER(trail);
    ((void (*)(void))opaque_pointer(NULL))();
    TRAIL_LEAVE(trail);
}

/* A page of data, as nowhere as no page. */
__attribute__((noinline)) static void call_data(struct trail *trail)
{
    TRAIL_ENTER(trail);
    ((void (*)(void))opaque_pointer(other_stack))();
    TRAIL_LEAVE(trail);
}

static bool within(const void *pc, const void *function)
{
    return (size_t)((const char *)pc - (const char *)function) < 400;
}

static void faults(void **state)
{
    (void)state;
    stack_t other = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    assert_int_equal(sigaltstack(&other, NULL), 0);
    use_handler(SIGSEGV, on_fault, SA_ONSTACK);
    for (unsigned i = 0; i < 100; i++) {
        static struct trail trail;
        trail = (struct trail){.seed = i, .left = i % 30, .end = i % 2 ? store_nowhere : call_nowhere};
        if (sigsetjmp(after, 1) == 0) {
            i % 4 < 2 ? chain_with_frame_pointers(&trail) : chain_without_frame_pointers(&trail);
            fail_msg("it goes on");
        }
        if (i % 2) {
            assert_true(within(fault_at[0], store_nowhere));
            check_trail(&trail, fault_at + 1, fault_taken - 1);
        } else {
            assert_null(fault_at[0]);
            assert_true(within(fault_at[1], call_nowhere));
            check_trail(&trail, fault_at + 2, fault_taken - 2);
        }
    }
    static struct trail trail;
    trail = (struct trail){.depth = 0};
    if (sigsetjmp(after, 1) == 0) {
        call_data(&trail);
        fail_msg("it goes on");
    }
    assert_true(fault_taken >= 1 && fault_at[0] == other_stack);
    signal(SIGSEGV, SIG_DFL);
}

/* After each single instruction of whole call trees: at the first and the last of functions, in the PLT, in libc. */
#if defined(__x86_64__) && defined(__GLIBC__) && !SANITIZED
static volatile sig_atomic_t stepping;
static size_t steps;

static void on_step(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    void *at[MOST], *said[MOST];
    enum { TRAP_FLAG = 0x100 };
    (void)signal;
    (void)info;
    if (!stepping) {
        registers[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    registers[REG_EFL] |= TRAP_FLAG;
    size_t taken = stack_take_at(at, MOST, context);
    int says = backtrace(said, MOST), skipped = 0;
    while (skipped < says && said[skipped] != (void *)registers[REG_RIP]) {
        skipped++;
    }
    CHECK(says > skipped);
    check_backtrace(at, taken, said + skipped, says - skipped);
    steps++;
}

static void nothing(struct trail *trail) { (void)trail; }

static void every_instruction(void **state)
{
    (void)state;
    use_handler(SIGTRAP, on_step, 0);
    for (unsigned seed = 0; seed < 12; seed++) {
        stepping = 1;
        raise(SIGTRAP);
        go(seed, 9, nothing);
        stepping = 0;
        __asm__ volatile("" ::: "memory");
    }
    assert_true(steps > 5000);
    signal(SIGTRAP, SIG_DFL);
}
#else
static void every_instruction(void **state)
{
    (void)state;
    skip();
}
#endif

/* Plugins. */

void (*stack_plugin_waits)(void);

struct seen {
    size_t taken;
    void *pcs[MOST];
};

__attribute__((noinline)) static void see(void *seen_by)
{
    struct seen *seen = seen_by;
    void *said[MOST];
    seen->taken = stack_take(seen->pcs, MOST);
    int says = backtrace(said, MOST);
    check_backtrace(seen->pcs + 1, seen->taken - 1, said + 1, says ? says - 1 : 0);
}

typedef void plugin_calls(void (*back)(void *), void *arg);

__attribute__((noinline)) static void *call_plugin(const char *path, struct seen *seen)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library) {
        fail_msg("%s", dlerror());
    }
    plugin_calls *call = (plugin_calls *)dlsym(library, "plugin_call");
    call(see, seen);
    CHECK(seen->taken > 3 && within(seen->pcs[1], (void *)call) && within(seen->pcs[2], call_plugin));
    return library;
}

static char plugin_path[2][4096];

static void plugins_that_come_and_go(void **state)
{
    (void)state;
    static struct seen seen[2];
    unsigned same_place = 0;
    for (unsigned i = 0; i < 20; i++) {
        /* Where the one was is now the other, the same but for the size of a frame. */
        dlclose(call_plugin(plugin_path[i % 2], &seen[i % 2]));
        same_place += i > 0 && seen[0].pcs[1] == seen[1].pcs[1];
    }
    char text[100];
    stack_print(text, sizeof text, seen[0].pcs[1], false);
#if defined(__x86_64__) && defined(__GLIBC__) && !SANITIZED
    assert_true(same_place > 0);
#endif
#if defined(__GLIBC__)
    assert_true(strncmp(text, "0x", 2) == 0);
#endif
}

/* A thread is in dlopen for as long as another takes stacks: were there a lock of libc's to be had, it would wait for ever. */
static pthread_barrier_t loading;

static void wait_while_loading(void)
{
    pthread_barrier_wait(&loading);
    pthread_barrier_wait(&loading);
}

static void *load_plugin(void *arg)
{
    (void)arg;
    dlclose(dlopen(plugin_path[0], RTLD_NOW));
    return NULL;
}

static void while_another_loads(void **state)
{
    (void)state;
    pthread_t thread;
    pthread_barrier_init(&loading, NULL, 2);
    stack_plugin_waits = wait_while_loading;
    assert_int_equal(pthread_create(&thread, NULL, load_plugin, NULL), 0);
    pthread_barrier_wait(&loading);
    void *pcs[MOST];
    char text[100];
    assert_true(stack_take(pcs, MOST) > 2);
    assert_true(stack_print(text, sizeof text, pcs[0], false) > 0);
    pthread_barrier_wait(&loading);
    pthread_join(thread, NULL);
    stack_plugin_waits = NULL;
}

/* Whatever is in the registers and on the stack, a walk ends and reads only what is there. */
static void broken_stacks(void **state)
{
    (void)state;
    enum { WORDS = 1024, LARGE_PAGE = 1 << 16 };
    char *pages = mmap(NULL, 3 * LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + LARGE_PAGE, LARGE_PAGE, PROT_READ | PROT_WRITE), 0);
    uintptr_t *words = (uintptr_t *)(pages + 2 * LARGE_PAGE) - WORDS; /* nothing can be read behind them */
    static ucontext_t context;
    void *pcs[64], *real[64];
    size_t have = stack_take(real, 64);
    uint64_t random = 1;
    size_t frames = 0;
    for (unsigned i = 0; i < 20000; i++) {
        for (unsigned w = 0; w < WORDS; w += i % 100 ? 7 : 1) {
            uintptr_t pick[] = {(uintptr_t)(words + random_below(&random, WORDS + 8)),
                                (uintptr_t)real[random_below(&random, have)],
                                random_next(&random),
                                (uintptr_t)&context,
                                random_below(&random, 99),
                                (uintptr_t)qsort + random_below(&random, 500),
                                (uintptr_t)&context.uc_mcontext};
            words[w] = pick[random_below(&random, sizeof pick / sizeof pick[0])];
        }
        uintptr_t sp = (uintptr_t)(words + random_below(&random, WORDS)), fp = words[random_below(&random, WORDS)];
        uintptr_t pc = words[random_below(&random, WORDS)];
        sp += i % 50 == 0 ? random_next(&random) : 0;
#if defined(__x86_64__)
        context.uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
        context.uc_mcontext.gregs[REG_RBP] = (greg_t)fp;
        context.uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
        context.uc_mcontext.gregs[REG_RBX] = (greg_t)words[i % WORDS];
#else
        context.uc_mcontext.sp = sp;
        context.uc_mcontext.regs[29] = fp;
        context.uc_mcontext.regs[30] = words[i % WORDS];
        context.uc_mcontext.pc = pc;
#endif
        size_t taken = stack_take_at(pcs, 64, &context);
        assert_in_range(taken, 1, 64);
        assert_ptr_equal(pcs[0], (void *)pc);
        frames += taken;
    }
    assert_true(frames > 25000); /* some do lead on */
    munmap(pages, 3 * LARGE_PAGE);
}

/* The same of the stack the thread is on: what lies above this frame is overwritten for as long as it takes. */
#if !SANITIZED
__attribute__((noinline)) static size_t take_from_broken(uint64_t seed)
{
    enum { WORDS = 400 };
    static uintptr_t kept[WORDS];
    uintptr_t *above = (uintptr_t *)__builtin_frame_address(0) + 64;
    void *pcs[MOST];
    memcpy(kept, above, sizeof kept);
    uint64_t random = seed;
    for (unsigned i = 0; i < WORDS; i++) {
        uintptr_t pick[] = {kept[i], kept[i], (uintptr_t)(above + random_below(&random, 2 * WORDS)),
                            random_next(&random), kept[random_below(&random, WORDS)]};
        above[i] = pick[random_below(&random, sizeof pick / sizeof pick[0])];
    }
    size_t taken = stack_take(pcs, MOST);
    memcpy(above, kept, sizeof kept);
    return taken;
}

static void overwritten_stack(void **state)
{
    (void)state;
    char room[8000]; /* so that all of it is this thread's stack */
    opaque_pointer(room);
    size_t frames = 0;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        size_t taken = take_from_broken(seed);
        assert_in_range(taken, 1, MOST);
        frames += taken;
    }
    assert_true(frames > 30000);
    opaque_pointer(room);
}
#endif

/* Text. */

void stack_test_exported(char *text, size_t size);

__attribute__((noinline)) void stack_test_exported(char *text, size_t size)
{
    void *pcs[4];
    CHECK(stack_take(pcs, 4) > 1);
    stack_print(text, size, pcs[0], false);
}

static void printed(void **state)
{
    (void)state;
    char text[200], expected[200];
    unsigned long offset, in_file;
    int end = 0;
    stack_test_exported(text, sizeof text);
    assert_int_equal(sscanf(text, "stack_test_exported+%lx (test-unit.stack+%lx)%n", &offset, &in_file, &end), 2);
    assert_int_equal(end, strlen(text));
    assert_in_range(offset, 1, 1000);

    const char *at = (const char *)stack_test_exported;
    size_t length = stack_print(text, sizeof text, at, true);
    sprintf(expected, "stack_test_exported+0x0 (test-unit.stack+0x%lx)", in_file - offset);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
    for (size_t size = 1; size <= length + 1; size++) {
        char cut[200];
        memset(cut, '#', sizeof cut);
        assert_int_equal(stack_print(cut, size, at, true), size - 1);
        assert_true(memcmp(cut, expected, size - 1) == 0 && cut[size - 1] == 0 && cut[size] == '#');
    }
    stack_print(text, sizeof text, at, false); /* the end of whatever lies before */
    assert_true(strncmp(text, "stack_test_exported", 19) != 0);
    stack_print(text, sizeof text, (void *)0x1234, true);
    assert_string_equal(text, "0x1234");
#if defined(__GLIBC__) && !SANITIZED
    stack_print(text, sizeof text, (const char *)dlsym(RTLD_DEFAULT, "qsort") + 5, false);
    assert_true(strncmp(text, "qsort+0x5 (libc.so.6+0x", 23) == 0);
#endif
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_of_all_allocates_nothing),
        cmocka_unit_test(call_trees),
        cmocka_unit_test(threads),
        cmocka_unit_test(first_function_of_a_thread),
        cmocka_unit_test(recursion),
        cmocka_unit_test(handlers_of_signals),
        cmocka_unit_test(faults),
        cmocka_unit_test(every_instruction),
        cmocka_unit_test(while_another_loads), /* for the first time: musl unloads nothing */
        cmocka_unit_test(plugins_that_come_and_go),
        cmocka_unit_test(broken_stacks),
#if !SANITIZED
        cmocka_unit_test(overwritten_stack),
#endif
        cmocka_unit_test(printed),
    };
    CHECK(count > 2);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(strlen(arguments[1 + i]) < sizeof plugin_path[i]);
        strcpy(plugin_path[i], arguments[1 + i]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
