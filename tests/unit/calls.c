/* unit/calls.c - numbers of stacks: each stack that is taken is beside the one that stack_take says, and has the number that it had. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/check.h"
#include "os/memory.h"
#include "probe/calls.h"
#include "probe/stack.h"
#include "unit/stack_chains.h"

enum { MOST = 512 };

static __thread struct calls *calls;

static struct calls *of_thread(void)
{
    if (!calls) {
        calls = calls_begin();
        CHECK(calls != NULL);
    }
    return calls;
}

/* Which numbers stand for which frames: by a hash of them. */
enum { SEEN = 1 << 16 };
static struct {
    uint64_t hash;
    uint32_t id;
} seen[SEEN];
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t distinct;

static void see_number(uint32_t id, const uintptr_t *pcs, size_t count)
{
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++) {
        uint64_t state = hash ^ pcs[i];
        hash = random_next(&state);
    }
    pthread_mutex_lock(&seen_lock);
    size_t i = hash % SEEN;
    while (seen[i].id && seen[i].hash != hash) {
        i = (i + 1) % SEEN;
    }
    CHECK(seen[i].id == 0 || seen[i].id == id);
    distinct += seen[i].id == 0;
    CHECK(distinct < SEEN / 2);
    seen[i].hash = hash;
    seen[i].id = id;
    pthread_mutex_unlock(&seen_lock);
}

/* What a number stands for is the stack here, its first frame being another call of the same function. */
__attribute__((noinline)) static uint32_t look_at(bool remembered)
{
    void *taken[MOST];
    uintptr_t pcs[MOST];
    size_t count = stack_take(taken, MOST);
    uint32_t id = calls_here(of_thread());
    size_t frames = calls_frames(id, pcs, MOST);
    CHECK(id != 0 && frames == count);
    for (size_t i = 1; i < count; i++) {
        CHECK(pcs[i] == (uintptr_t)taken[i]);
    }
    CHECK(pcs[0] > (uintptr_t)taken[0] && pcs[0] - (uintptr_t)taken[0] < 100);
    if (remembered) {
        see_number(id, pcs, count);
    }
    return id;
}

__attribute__((noinline)) static void look(struct trail *trail)
{
    TRAIL_ENTER(trail);
    look_at(true);
    TRAIL_LEAVE(trail);
}

static void go(uint64_t seed, unsigned depth, void (*end)(struct trail *))
{
    struct trail trail = {.seed = seed, .left = depth, .end = end};
    seed % 2 ? chain_with_frame_pointers(&trail) : chain_without_frame_pointers(&trail);
    CHECK(trail.depth == 0);
}

static void call_trees(void **state)
{
    (void)state;
    for (volatile unsigned round = 0; round < 2; round++) { /* one call, whatever a compiler makes of loops */
        for (uint64_t seed = 0; seed < 400; seed++) {
            uint64_t random = seed;
            go(seed, (unsigned)(random_next(&random) % 60), look);
        }
    }
    assert_in_range(distinct, 100, 400); /* musl's own frames cannot be crossed: some are cut there */
}

/* Two callers whose frames are alike: only a return address in the middle differs. */
__attribute__((noinline)) static uint32_t middle(void)
{
    uint32_t id = look_at(true);
    opaque(id);
    return id;
}

__attribute__((noinline)) static uint32_t one_way(void) { return (uint32_t)opaque(middle()); }
__attribute__((noinline)) static uint32_t other_way(void) { return (uint32_t)opaque(middle()) + (uint32_t)opaque(0); }

static void a_frame_that_changed(void **state)
{
    (void)state;
    uint32_t one = one_way(), other = other_way();
    assert_int_not_equal(one, other);
    for (unsigned i = 0; i < 100; i++) {
        uint32_t id = i % 3 ? one_way() : other_way();
        assert_true(i < 2 || id != 0);
    }
}

/* The same call from one place, while the stack beyond has other things on it. */
__attribute__((noinline)) static uint32_t deeper(size_t bytes)
{
    char room[bytes + 16];
    opaque_pointer(room);
    uint32_t id = look_at(true);
    opaque_pointer(room);
    return id;
}

static void frames_that_grow(void **state)
{
    (void)state;
    uint32_t first = 0;
    for (unsigned i = 0; i < 200; i++) {
        uint32_t id = deeper(i % 7 * 100);
        first = first ? first : id;
        assert_int_equal(id, first);
    }
}

/* Deep ones. */

__attribute__((noinline)) static uint32_t at_depth(unsigned depth, unsigned times)
{
    uint32_t id = 0;
    if (depth > 0) {
        id = at_depth(depth - 1, times);
        return (uint32_t)opaque(id);
    }
    for (unsigned i = 0; i < times; i++) {
        uint32_t now = calls_here(of_thread());
        CHECK(i == 0 || now == id);
        id = now;
    }
    return id;
}

static void recursion(void **state)
{
    (void)state;
    static uintptr_t pcs[40000];
    uint32_t deep = at_depth(10000, 3);
    size_t count = calls_frames(deep, pcs, 40000);
    assert_in_range(count, 10001, 10100);
    for (unsigned i = 2; i < 10000; i++) {
        assert_true(pcs[i] == pcs[1]);
    }
    uint32_t ids[9];
    for (volatile unsigned i = 0; i < 9; i++) {
        ids[i] = at_depth(5000 + i % 3, 1);
        assert_true(i < 3 || ids[i] == ids[i - 3]);
    }
    assert_true(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    for (unsigned depth = 200; depth < 400; depth++) {
        assert_in_range(calls_frames(at_depth(depth, 2), pcs, 40000), depth + 1, depth + 100);
    }
}

static void too_deep(void **state)
{
    (void)state;
    static uintptr_t pcs[40000];
    uint32_t deep = at_depth(CALLS_DEEPEST + 100, 2);
    assert_int_equal(calls_frames(deep, pcs, 40000), CALLS_KEPT + 1);
    assert_true(pcs[CALLS_KEPT] == CALLS_ELIDED);
    for (unsigned i = 2; i < CALLS_KEPT; i++) {
        assert_true(pcs[i] == pcs[1]);
    }
    at_depth(CALLS_DEEPEST - 200, 1); /* is the last one now */
    assert_int_equal(at_depth(CALLS_DEEPEST + 100, 1), deep);
    assert_int_equal(at_depth(CALLS_DEEPEST + 1000, 1), deep); /* alike, as far as is kept */
    look_at(true);
}

/* Frames that are left otherwise than by their end. */

static jmp_buf home;

__attribute__((noinline)) static void jump_from(unsigned depth)
{
    look_at(false);
    if (depth == 0) {
        longjmp(home, 1);
    }
    if (opaque(1)) {
        jump_from(depth - 1);
    }
    look_at(false);
}

__attribute__((noinline)) static void jump_home(unsigned depth)
{
    if (setjmp(home) == 0) {
        jump_from(depth);
    }
    look_at(false);
}

static void longjmps(void **state)
{
    (void)state;
    for (volatile unsigned i = 0; i < 100; i++) {
        jump_home(i % 23);
        go(i, i % 9, look);
    }
}

#ifdef HAVE_THROW
void throw_through(void (*look)(void *), void *arg, unsigned depth);

static void look_for(void *arg)
{
    (void)arg;
    look_at(true);
}

static void exceptions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        throw_through(look_for, NULL, i % 20);
    }
}
#endif

/* Other stacks. */

#if defined(__GLIBC__)
enum { COROUTINES = 7, COROUTINE_STACK = 1 << 17 };
static ucontext_t main_context, coroutine[COROUTINES];
static unsigned current;

static void hand_over(struct trail *trail)
{
    TRAIL_ENTER(trail);
    look_at(true);
    swapcontext(&coroutine[current], &main_context);
    look_at(true);
    TRAIL_LEAVE(trail);
}

static void coroutine_main(void)
{
    for (uint64_t i = 0; i < 30; i++) {
        go(i * COROUTINES + current, (unsigned)i % 8, hand_over);
        look_at(true);
    }
    swapcontext(&coroutine[current], &main_context);
}

__attribute__((noinline)) static void make_coroutine(ucontext_t *context, char *stack)
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = COROUTINE_STACK;
    makecontext(context, coroutine_main, 0);
}

static void coroutines(void **state)
{
    (void)state;
    static char *stacks;
    stacks = mmap(NULL, COROUTINES * COROUTINE_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < COROUTINES; i++) {
        make_coroutine(&coroutine[i], stacks + i * COROUTINE_STACK);
    }
    for (unsigned step = 0; step < 31 * COROUTINES; step++) {
        current = (step / 4 * 3 + step) % COROUTINES; /* a few of them for a while, all of them over time */
        static unsigned runs[COROUTINES];
        if (runs[current]++ < 31) {
            swapcontext(&main_context, &coroutine[current]);
        }
        look_at(true);
    }
    munmap(stacks, COROUTINES * COROUTINE_STACK);
    look_at(true);
}
#endif

static unsigned handled;

static void on_signal(int signal)
{
    (void)signal;
    look_at(false);
    go(handled, handled % 5, look);
    handled++;
}

__attribute__((noinline)) static void raise_here(struct trail *trail)
{
    TRAIL_ENTER(trail);
    look_at(false);
    raise(SIGUSR1);
    look_at(false);
    TRAIL_LEAVE(trail);
}

static void handlers_of_signals(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it calls handlers itself */
#endif
    static char other_stack[1 << 17];
    stack_t other = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    assert_int_equal(sigaltstack(&other, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = i % 2 ? SA_ONSTACK : 0};
        sigaction(SIGUSR1, &action, NULL);
        go(i % 50, i % 20, raise_here);
    }
    assert_int_equal(handled, 200);
}

/* Code that no object has, as compilers at run time make it: with frame pointers, without call frame information. */
static void code_without_information(void **state)
{
    (void)state;
#if defined(__x86_64__)
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
#else
    static const uint32_t code[] = {0xa9bf7bfd, 0x910003fd, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0};
#endif
    char *pages = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        skip();
    }
    memcpy(pages, code, sizeof code);
    __builtin___clear_cache(pages, pages + sizeof code);
    uintptr_t pcs[MOST];
    for (unsigned i = 0; i < 50; i++) {
        uint32_t id = ((uint32_t(*)(uint32_t(*)(void)))opaque_pointer(pages))(middle);
        size_t count = calls_frames(id, pcs, MOST);
        assert_true(count > 3 && pcs[2] - (uintptr_t)pages < sizeof code);
        look_at(true);
    }
    munmap(pages, 1 << 16);
}

/* Objects that come and go. */

static struct {
    unsigned nodes, objects;
    uint32_t last;
    uintptr_t last_start;
} heard;
static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER;
static unsigned char told_of[1 << 20];

static void hear_node(uint32_t id, uint32_t parent, uintptr_t pc)
{
    pthread_mutex_lock(&hearing);
    CHECK(id < sizeof told_of && !told_of[id] && (parent == 0 || told_of[parent]) && pc != 0);
    told_of[id] = 1;
    heard.nodes++;
    heard.last = id;
    pthread_mutex_unlock(&hearing);
}

static void hear_object(const struct object *object)
{
    pthread_mutex_lock(&hearing);
    heard.objects++;
    heard.last_start = object->start;
    pthread_mutex_unlock(&hearing);
}

static char plugin_path[2][4096];
typedef void plugin_calls(void (*back)(void *), void *arg);

struct from_plugin {
    uint32_t id;
    uintptr_t pcs[MOST];
    size_t count;
};

static void look_from_plugin(void *arg)
{
    struct from_plugin *from = arg;
    from->id = look_at(false);
    CHECK(look_at(false) != 0);
    from->count = calls_frames(from->id, from->pcs, MOST);
}

/* So many calls of its own further in: new nodes. */
__attribute__((noinline)) static void call_from(size_t calls_more, plugin_calls *call, struct from_plugin *from)
{
    if (calls_more > 0) {
        call_from(calls_more - 1, call, from);
    } else {
        call(look_from_plugin, from);
    }
    opaque(0);
}

__attribute__((noinline)) static void call_plugin(const char *path, struct from_plugin *from, size_t more)
{
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library != NULL);
    plugin_calls *call = (plugin_calls *)dlsym(library, "plugin_call");
    call(look_from_plugin, from);
    call_from(more, call, from);
    call(look_from_plugin, from);
    CHECK(from->pcs[2] - (uintptr_t)call < 400);
    dlclose(library);
    opaque(0);
}

static void plugins_that_come_and_go(void **state)
{
    (void)state;
    static struct from_plugin first[2], now;
    unsigned same_place = 0, objects = 0;
    for (size_t i = 0; i < opaque(20); i++) {
        call_plugin(plugin_path[i % 2], &now, i);
        if (opaque(i) < 2) {
            first[i] = now;
            continue;
        }
        if (now.pcs[2] == first[0].pcs[2] && now.pcs[2] == first[1].pcs[2]) {
            same_place++;
            assert_int_equal(now.id,
                             first[i % 2].id); /* it is the same again, though the other one was there between */
            assert_int_not_equal(now.id, first[1 - i % 2].id);
            assert_true(heard.objects > objects); /* and is told of again, before what is new in it */
        }
        objects = heard.objects;
    }
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(same_place > 0);
#endif
}

/* Threads. */

static pthread_barrier_t together;

static void *look_at_all(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&together);
    for (uint64_t seed = 5000; seed < 5150; seed++) {
        go(seed, (unsigned)seed % 40, look);
    }
    calls_end(of_thread());
    return NULL;
}

static void threads_at_once(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    pthread_barrier_init(&together, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, look_at_all, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    assert_int_equal(heard.nodes, calls_nodes());
}

static void a_forked_child(void **state)
{
    (void)state;
    uint32_t before = 0, nodes = 0;
    int status;
    pid_t child = -1;
    for (size_t round = 0; round < opaque(2); round++) {
        uint32_t id = one_way();
        if (opaque(round) == 0) {
            before = id;
            nodes = calls_nodes();
            child = fork();
        }
        CHECK(id == before && calls_nodes() == nodes);
    }
    if (child == 0) {
        at_depth(5, 1);
        CHECK(calls_nodes() > nodes);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(calls_nodes(), nodes);
}

/* Memory ends: at each request in turn. What is given is what it says as far as it goes. */
__attribute__((noinline)) static void look_without_memory(struct trail *trail)
{
    TRAIL_ENTER(trail);
    void *taken[MOST];
    uintptr_t pcs[MOST];
    size_t count = stack_take(taken, MOST);
    struct calls *own = calls_begin();
    uint32_t id = own ? calls_here(own) : 0;
    size_t frames = calls_frames(id, pcs, MOST), elided = id != 0 && pcs[0] == CALLS_ELIDED;
    for (size_t i = elided; i < frames; i++) {
        size_t of = count - frames + i;
        CHECK(of == 0 ? pcs[i] - (uintptr_t)taken[0] < 200 : pcs[i] == (uintptr_t)taken[of]);
    }
    CHECK(id == 0 || elided || frames == count);
    if (own) {
        CHECK(calls_here(own) != 0 || id == 0);
        calls_end(own);
    }
    TRAIL_LEAVE(trail);
}

static void out_of_memory(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 12; n++) {
        for (uint64_t seed = 0; seed < 60; seed++) {
            os_fail_after(n);
            go(100000 + n * 1000 + seed, (unsigned)seed, look_without_memory);
            os_fail_after(-1);
        }
    }
    look_at(true);
}

int main(int count, char **arguments)
{
    static const struct calls_told told = {hear_node, hear_object};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_trees),
        cmocka_unit_test(a_frame_that_changed),
        cmocka_unit_test(frames_that_grow),
        cmocka_unit_test(recursion),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(longjmps),
#ifdef HAVE_THROW
        cmocka_unit_test(exceptions),
#endif
#if defined(__GLIBC__)
        cmocka_unit_test(coroutines),
#endif
        cmocka_unit_test(handlers_of_signals),
        cmocka_unit_test(code_without_information),
        cmocka_unit_test(plugins_that_come_and_go),
        cmocka_unit_test(threads_at_once),
        cmocka_unit_test(a_forked_child),
        cmocka_unit_test(out_of_memory),
    };
    os_memory_init();
    calls_tell(&told);
    CHECK(count > 2);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(strlen(arguments[1 + i]) < sizeof plugin_path[i]);
        strcpy(plugin_path[i], arguments[1 + i]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
