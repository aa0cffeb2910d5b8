/* unit/record.c - what a recorded process leaves in the collector's area: every call of the family, in its order, with its size; of all
 * threads; across fork and exit; what happens when the area is full, or its collector gone; attaching and detaching.
 */
#include "common/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/record.h>
#include <allot/tag.h>

#include "common/area.h"
#include "heap/heap.h"
#include "probe/record.h"

enum { CHUNKS = 256 };

static struct area area;
static struct area_events events;

/* The blocks of before are told too; what a test looks at comes after the mark "begin". */
static int begin(void **state)
{
    (void)state;
    area_open(&area, CHUNKS, 0);
    assert_int_equal(allot_option("record", area.path), 0);
    allot_free(allot_malloc(1));
    assert_true(allot_recording());
    allot_mark("begin");
    return 0;
}

static int end(void **state)
{
    (void)state;
    assert_int_equal(allot_option("record", "off"), 0);
    allot_free(allot_malloc(1));
    assert_false(allot_recording());
    area_free(&events);
    area_close(&area);
    return 0;
}

/* The first event after a mark. */
static size_t after(const char *mark)
{
    const struct area_event *e;
    for (size_t from = 0; (e = area_next(&events, 0, RING_TEXT, &from));) {
        if (e->words[0] == RING_TEXT_MARK && strcmp(e->text, mark) == 0) {
            return from;
        }
    }
    fail_msg("no mark %s", mark);
    return 0;
}

static void read_all(void) { area_read(&area, &events); }

static size_t at;

static void expect(enum ring_op op, const void *p, size_t size)
{
    const struct area_event *e = area_next(&events, 1, RING_NONE, &at);
    assert_non_null(e);
    assert_int_equal(e->op, op);
    assert_ptr_equal(e->address, p);
    assert_int_equal(e->size, size);
}

static void test_family(void **state)
{
    (void)state;
    void *p[20], *out, *moved;
    p[0] = allot_malloc(1);
    p[1] = allot_malloc(1024);
    p[2] = allot_malloc(5000);
    p[3] = allot_malloc(40000);
    p[4] = allot_malloc((size_t)5 << 20);
    p[5] = allot_malloc(0);
    p[6] = allot_calloc(3, 33);
    p[7] = allot_calloc(1000, 100);
    p[8] = allot_aligned_alloc(64, 100);
    p[9] = allot_memalign(4096, 10000);
    assert_int_equal(allot_posix_memalign(&out, 128, 7), 0);
    p[10] = allot_valloc(10);
    p[11] = allot_pvalloc(10);
    p[12] = allot_realloc(NULL, 50);
    p[13] = allot_realloc(p[12], 60); /* stays */
    moved = allot_realloc(p[13], 70000);
    p[14] = allot_reallocarray(moved, 100, 1000);
    assert_true(allot_try_expand(p[0], 10));
    assert_null(allot_malloc(SIZE_MAX / 2));
    assert_null(allot_realloc(p[2], SIZE_MAX / 2));
    assert_null(allot_realloc(p[14], 0));
    for (unsigned i = 0; i < 12; i++) {
        allot_free(p[i]);
    }
    allot_free_sized(out, 7);
    allot_free(NULL);
    read_all();
    at = after("begin");
    static const size_t sizes[] = {1, 1024, 5000, 40000, (size_t)5 << 20, 0};
    for (unsigned i = 0; i < 6; i++) {
        expect(RING_MALLOC, p[i], sizes[i]);
    }
    expect(RING_CALLOC, p[6], 99);
    expect(RING_CALLOC, p[7], 100000);
    expect(RING_ALIGNED, p[8], 100);
    assert_int_equal(events.at[at - 1].align, 6);
    expect(RING_ALIGNED, p[9], 10000);
    assert_int_equal(events.at[at - 1].align, 12);
    expect(RING_ALIGNED, out, 7);
    expect(RING_ALIGNED, p[10], 10);
    expect(RING_ALIGNED, p[11], (size_t)sysconf(_SC_PAGESIZE));
    expect(RING_MALLOC, p[12], 50);
    expect(RING_REALLOC_FROM, p[12], 0);
    expect(RING_REALLOC_TO, p[13], 60);
    expect(RING_REALLOC_FROM, p[13], 0);
    expect(RING_REALLOC_TO, moved, 70000);
    expect(RING_REALLOC_FROM, moved, 0);
    expect(RING_REALLOC_TO, p[14], 100000);
    expect(RING_REALLOC_FROM, p[0], 0);
    expect(RING_REALLOC_TO, p[0], 10);
    expect(RING_FAILED, NULL, SIZE_MAX / 2);
    expect(RING_REALLOC_FROM, p[2], 0);
    expect(RING_REALLOC_TO, p[2], 0);
    expect(RING_FAILED, NULL, SIZE_MAX / 2);
    expect(RING_FREE, p[14], 0);
    for (unsigned i = 0; i < 12; i++) {
        expect(RING_FREE, p[i], 0);
    }
    expect(RING_FREE, out, 0);
    assert_null(area_next(&events, 1, RING_NONE, &at));
    allot_check();
}

/* A process is told of first, its thread has a name, and the clock goes forward. */
static void test_beginning(void **state)
{
    (void)state;
    read_all();
    const struct area_event *first = &events.at[0];
    assert_int_equal(first->op, RING_PROCESS);
    assert_int_equal(first->words[0], 0);
    assert_int_equal(first->words[2], RING_BEGIN_ATTACHED);
    char self[1024] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    assert_string_equal(first->text, self);
    at = 0;
    const struct area_event *name = area_next(&events, 1, RING_TEXT, &at);
    assert_int_equal(name->words[0], RING_TEXT_THREAD);
    for (size_t i = 1; i < events.count; i++) {
        assert_true(events.at[i].clock >= events.at[i - 1].clock);
    }
}

static int count_block(void *block, size_t usable, void *arg)
{
    (void)block;
    (void)usable;
    ++*(size_t *)arg;
    return 0;
}

static void test_blocks_of_before(void **state)
{
    (void)state;
    void *small = allot_malloc(100), *run = allot_malloc(100000), *large = allot_malloc((size_t)5 << 20);
    size_t live = 0;
    allot_walk(count_block, &live);
    begin(NULL);
    read_all();
    size_t from = 0, told = 0, found = 0;
    const struct area_event *e;
    while ((e = area_next(&events, 1, RING_BEFORE, &from))) {
        told++;
        const void *p = (const void *)e->address;
        if (p == small || p == run || p == large) {
            found++;
            assert_int_equal(e->size, allot_malloc_usable_size(p));
        }
    }
    assert_int_equal(found, 3);
    assert_int_equal(told, live);
    allot_free(small);
    allot_free(run);
    allot_free(large);
    end(NULL);
}

static void test_big_heap_and_tag(void **state)
{
    (void)state;
    struct allot_heap heap;
    struct allot_tag *tag = allot_tag("record", SIZE_MAX);
    assert_int_equal(allot_heap_init(&heap, NULL), 0);
    void *one = allot_heap_alloc(&heap, 100), *two = allot_heap_aligned(&heap, 64, 40000),
         *three = allot_heap_alloc(&heap, 10);
    allot_heap_free(&heap, one);
    allot_tag_enter(tag);
    void *tagged = allot_malloc(77);
    void *grown = allot_realloc(tagged, 7700);
    allot_free(grown);
    allot_tag_enter(NULL);
    void *after_tag = allot_malloc(78);
    allot_free(after_tag);
    allot_heap_done(&heap);
    read_all();
    at = after("begin");
    expect(RING_MALLOC, one, 100);
    expect(RING_ALIGNED, two, 40000);
    expect(RING_MALLOC, three, 10);
    expect(RING_FREE, one, 0);
    expect(RING_MALLOC, tagged, 77);
    expect(RING_REALLOC_FROM, tagged, 0);
    expect(RING_REALLOC_TO, grown, 7700);
    expect(RING_FREE, grown, 0);
    expect(RING_MALLOC, after_tag, 78);
    expect(RING_FREE, after_tag, 0);
    expect(RING_FREE, three, 0);
    expect(RING_FREE, two, 0);
    assert_null(area_next(&events, 1, RING_NONE, &at));
    allot_check();
}

/* -- threads -- */

enum { THREADS = 2, ROUNDS = 20000, SLOTS = 64 };

static _Atomic(void *) shared[SLOTS];

/* Blocks change hands all the time, so that one thread's free and another's allocation of an address follow at once. */
static void *swap(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        void *p = atomic_exchange(&shared[random >> 32 & (SLOTS - 1)], allot_malloc(random >> 40 & 127));
        allot_free(random >> 50 & 1 ? allot_realloc(p, random >> 41 & 255) : p);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, swap, (void *)(i + 1)), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        allot_free(atomic_exchange(&shared[i], NULL));
    }
    read_all();
    assert_int_equal(area.ring->lost, 0);
    size_t made[THREADS + 2] = {0};
    for (size_t i = 0; i < events.count; i++) {
        assert_in_range(events.at[i].thread, 1, THREADS + 1);
        made[events.at[i].thread] += events.at[i].op == RING_MALLOC;
    }
    assert_true(made[2] >= ROUNDS && made[3] >= ROUNDS);
    size_t before = area_count(&events, 1, RING_BEFORE);
    assert_true(area_replay(&events, 1) <= before);
}

static void *free_it(void *p)
{
    allot_free(p);
    return NULL;
}

/* Where the counter ticks seldom a thread has several events in a tick: their order stands. */
static void test_a_clock_that_stands(void **state)
{
    (void)state;
    _Atomic uint64_t none = 0;
    const uint64_t ahead = UINT64_MAX - 1000;
    struct recorder r = {.now = &none, .last = ahead};
    for (unsigned i = 1; i < 100; i += 2) {
        assert_true(recorder_clock_near(&r) == ahead + i);
        assert_true((i % 3 == 0 ? recorder_clock_near(&r) : recorder_clock_far(&r)) == ahead + i + 1);
    }
}

static void test_only_frees(void **state)
{
    (void)state;
    void *p = allot_malloc(100);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, free_it, p), 0);
    pthread_join(thread, NULL);
    read_all();
    at = 0;
    const struct area_event *e;
    while ((e = area_next(&events, 1, RING_FREE, &at)) && e->address != (uintptr_t)p) {
    }
    assert_non_null(e);
    assert_int_equal(e->thread, 2);
}

static void *mark_it(void *p)
{
    allot_mark("late");
    return p;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Where the counter does not run evenly: a thread's first event has the area's clock, too, whatever it is. */
static void test_a_clock_of_nanoseconds(void **state)
{
    (void)state;
    void *p = allot_malloc(100);
    pthread_t thread;
    area_open(&area, CHUNKS, 0);
    area.ring->clock = RING_CLOCK_NS;
    uint64_t begun = now_ns();
    assert_int_equal(allot_option("record", area.path), 0);
    allot_free(allot_malloc(1));
    assert_int_equal(pthread_create(&thread, NULL, free_it, p), 0);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, mark_it, NULL), 0);
    pthread_join(thread, NULL);
    uint64_t ended = now_ns();
    read_all();
    assert_true(after("late") > 0);
    size_t firsts = 0;
    for (size_t i = 0; i < events.count; i++) {
        assert_in_range(events.at[i].clock, begun, ended);
        firsts += events.at[i].thread > 1 && (events.at[i].op == RING_FREE || events.at[i].op == RING_TEXT);
    }
    assert_int_equal(firsts, 4); /* with each one's name */
    end(NULL);
}

static _Atomic int stage;

static void wait_for(int wanted)
{
    while (atomic_load(&stage) != wanted) {
        sched_yield();
    }
}

enum { OWN = 20000 };

static void *owns(void *arg)
{
    void **own = arg;
    for (unsigned i = 0; i < OWN; i++) {
        own[i] = allot_malloc(48);
    }
    atomic_store(&stage, 1);
    wait_for(2);
    for (unsigned i = 0; i < OWN; i++) { /* its own only, and it allocates nothing */
        allot_free(own[i]);
    }
    return NULL;
}

static void test_a_thread_that_frees_its_own_notices(void **state)
{
    (void)state;
    static void *own[OWN];
    pthread_t thread;
    atomic_store(&stage, 0);
    assert_int_equal(pthread_create(&thread, NULL, owns, own), 0);
    wait_for(1);
    begin(NULL);
    atomic_store(&stage, 2);
    pthread_join(thread, NULL);
    read_all();
    size_t told = 0, from = 0;
    for (const struct area_event *e; (e = area_next(&events, 1, RING_FREE, &from));) {
        told += e->thread == 2;
    }
    assert_in_range(told, OWN - 4096, OWN); /* but for a slab of them at most */
    end(NULL);
    begin(NULL); /* and a thread that ended recorded is no obstacle */
    end(NULL);
}

static void *is_in_both(void *arg)
{
    (void)arg;
    allot_free(allot_malloc(48));
    atomic_store(&stage, 1);
    wait_for(2); /* it hears of neither */
    allot_free(allot_malloc(1111));
    return NULL;
}

/* What it had of the first one's area it does not go on to fill: nobody reads it. */
static void test_a_thread_that_sleeps_from_one_recording_to_the_next(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_store(&stage, 0);
    begin(NULL);
    assert_int_equal(pthread_create(&thread, NULL, is_in_both, NULL), 0);
    wait_for(1);
    end(NULL);
    begin(NULL);
    atomic_store(&stage, 2);
    pthread_join(thread, NULL);
    read_all();
    size_t from = 0, made = 0, freed = 0;
    for (const struct area_event *e; (e = area_next(&events, 1, RING_NONE, &from));) {
        made += e->op == RING_MALLOC && e->size == 1111;
        freed += e->op == RING_FREE && e->thread == 2;
    }
    assert_int_equal(made, 1);
    assert_int_equal(freed, 1);
    end(NULL);
}

/* Destructors of threads' keys come after the heap's own step. */
static pthread_key_t late_key;

static void *with_late_free(void *arg)
{
    (void)arg;
    allot_free(allot_malloc(10));
    pthread_setspecific(late_key, allot_malloc(4321));
    return NULL;
}

static void test_what_a_thread_frees_at_its_end(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_key_create(&late_key, allot_free), 0);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(pthread_create(&thread, NULL, with_late_free, NULL), 0);
        pthread_join(thread, NULL);
    }
    read_all();
    size_t before = area_count(&events, 1, RING_BEFORE), live = area_replay(&events, 1);
    assert_true(live <= before);
    pthread_key_delete(late_key);
}

/* -- processes -- */

static void in_child(pid_t pid, void (*code)(void))
{
    if (pid == 0) {
        code();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void child_allocates(void)
{
    void *p = allot_malloc(1234);
    allot_mark("child");
    allot_free(p);
}

static void expect_child(void)
{
    read_all();
    size_t from = 0;
    const struct area_event *e = area_next(&events, 2, RING_NONE, &from);
    assert_non_null(e);
    assert_int_equal(e->op, RING_PROCESS);
    assert_int_equal(e->words[0], 1);
    assert_int_equal(e->words[2], RING_BEGIN_FORK);
    e = area_next(&events, 2, RING_MALLOC, &from);
    assert_non_null(e);
    assert_int_equal(e->size, 1234);
    assert_int_equal(area_count(&events, 2, RING_FREE), 1);
    assert_int_equal(area_count(&events, 1, RING_PROCESS), 1);
    size_t mark = after("child");
    assert_int_equal(events.at[mark - 1].process, 2);
}

static void test_fork(void **state)
{
    (void)state;
    in_child(fork(), child_allocates);
    allot_free(allot_malloc(7));
    expect_child();
}

static void test_raw_fork(void **state)
{
    (void)state;
    in_child((pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), child_allocates);
    allot_free(allot_malloc(7));
    expect_child();
}

/* Between processes that fork all the time each has its own. */
static void fork_on(void)
{
    static int depth;
    child_allocates();
    if (depth++ < 5) {
        pid_t pid = fork();
        if (pid == 0) {
            fork_on();
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
}

static void test_forks_of_forks(void **state)
{
    (void)state;
    in_child(fork(), fork_on);
    read_all();
    for (uint32_t process = 2; process <= 7; process++) {
        size_t from = 0;
        assert_int_equal(area_next(&events, process, RING_PROCESS, &from)->words[0], process - 1);
        assert_int_equal(area_count(&events, process, RING_MALLOC), 1);
    }
    assert_int_equal(area.ring->processes, 7);
}

/* -- a signal in the middle of it -- */

static volatile sig_atomic_t handled;

static void allocate_in_handler(int signal)
{
    (void)signal;
    handled++;
    allot_mark("handler");
}

static void test_handler(void **state)
{
    (void)state;
    struct itimerval {
        struct timeval interval, value;
    } every = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    signal(SIGALRM, allocate_in_handler);
    assert_int_equal(syscall(SYS_setitimer, 0, &every, NULL), 0);
    enum { PAIRS = 100000 };
    for (unsigned i = 0; i < PAIRS || handled < 20; i++) {
        allot_free(allot_malloc(i % 200));
        if (area.ring->filled >= CHUNKS - 8) {
            break;
        }
    }
    syscall(SYS_setitimer, 0, &never, NULL);
    signal(SIGALRM, SIG_DFL);
    allot_mark("last");
    read_all(); /* checks the format */
    size_t lost = 0, marks = 0, from = 0;
    for (const struct area_event *e; (e = area_next(&events, 1, RING_LOST, &from));) {
        lost += e->words[0];
    }
    from = 0;
    for (const struct area_event *e; (e = area_next(&events, 1, RING_TEXT, &from));) {
        marks += strcmp(e->text, "handler") == 0;
    }
    assert_true(marks > 0);
    assert_true(marks + lost <= (size_t)handled);
    after("last");
}

/* -- too little room, and nobody there -- */

static void test_full(void **state)
{
    (void)state;
    struct area little;
    area_open(&little, 2, 0);
    assert_int_equal(allot_option("record", little.path), 0);
    enum { PAIRS = 20000 };
    for (unsigned i = 0; i < PAIRS; i++) {
        allot_free(allot_malloc(16));
        area_beat(&little);
    }
    assert_true(little.ring->lost > PAIRS / 2);
    assert_true(little.ring->waited_ns >= 1000000);
    uint64_t counted = little.ring->lost;
    assert_true(area_give_back(&little) > 0);
    allot_mark("resumed");
    allot_free(allot_malloc(16));
    area_read(&little, &events);
    size_t from = 0;
    const struct area_event *lost = area_next(&events, 1, RING_LOST, &from);
    assert_non_null(lost);
    assert_true(lost->words[0] >= counted);
    assert_int_equal(little.ring->lost, lost->words[0]);
    after("resumed");
    area_free(&events);
    assert_int_equal(allot_option("record", "off"), 0);
    allot_free(allot_malloc(1));
    area_close(&little);
}

static void test_collector_ends(void **state)
{
    (void)state;
    area_open(&area, CHUNKS, 0);
    assert_int_equal(allot_option("record", area.path), 0);
    allot_free(allot_malloc(1));
    assert_true(allot_recording());
    area.ring->ended = 1;
    size_t pairs = 0;
    for (; allot_recording(); pairs++) {
        allot_free(allot_malloc(16));
    }
    assert_true(pairs <= RING_WORDS / 7);
    allot_free(allot_malloc(16));
    assert_null(front.recorder);
    assert_true(front.heap_id == front.heap->id); /* at full speed */
    area_close(&area);
}

/* Nobody has taken a chunk since, and so heard of it: that it is another's is no more in the way. */
static void test_another_after_one_that_has_ended(void **state)
{
    (void)state;
    struct area first;
    area_open(&first, CHUNKS, 0);
    assert_int_equal(allot_option("record", first.path), 0);
    allot_free(allot_malloc(1));
    area_close(&first);
    begin(NULL);
    allot_free(allot_malloc(1111));
    read_all();
    at = after("begin");
    const struct area_event *e = area_next(&events, 1, RING_MALLOC, &at);
    assert_non_null(e);
    assert_int_equal(e->size, 1111);
    assert_non_null(area_next(&events, 1, RING_FREE, &at));
    end(NULL);
}

static void test_collector_is_killed(void **state)
{
    (void)state;
    struct area little;
    area_open(&little, 1, 0);
    assert_int_equal(allot_option("record", little.path), 0);
    allot_free(allot_malloc(1));
    time_t begun = time(NULL);
    while (time(NULL) < begun + 4) { /* its heart does not beat, but there it is */
        allot_free(allot_malloc(16));
    }
    assert_true(allot_recording());
    int pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    little.ring->collector = pid; /* it has ended, though nobody has asked how */
    uint64_t lost = little.ring->lost;
    while (allot_recording()) {
        allot_free(allot_malloc(16));
    }
    assert_true(little.ring->lost > lost);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    allot_free(allot_malloc(16));
    assert_true(front.heap_id == front.heap->id);
    area_close(&little);
}

static void test_no_area(void **state)
{
    (void)state;
    assert_int_equal(allot_option("record", "/dev/null"), 0);
    allot_free(allot_malloc(1));
    assert_false(allot_recording());
    assert_int_equal(allot_option("record", "/nowhere"), 0);
    allot_free(allot_malloc(1));
    assert_false(allot_recording());
    assert_true(front.heap_id == front.heap->id);
}

static int heap_is_whole(void **state)
{
    (void)state;
    return !allot_check();
}

int main(void)
{
    allot_free(allot_malloc(1));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_family, begin, end),
        cmocka_unit_test_setup_teardown(test_beginning, begin, end),
        cmocka_unit_test(test_blocks_of_before),
        cmocka_unit_test_setup_teardown(test_big_heap_and_tag, begin, end),
        cmocka_unit_test_setup_teardown(test_threads, begin, end),
        cmocka_unit_test_setup_teardown(test_only_frees, begin, end),
        cmocka_unit_test(test_a_clock_that_stands),
        cmocka_unit_test(test_a_clock_of_nanoseconds),
        cmocka_unit_test(test_a_thread_that_frees_its_own_notices),
        cmocka_unit_test(test_a_thread_that_sleeps_from_one_recording_to_the_next),
        cmocka_unit_test_setup_teardown(test_what_a_thread_frees_at_its_end, begin, end),
        cmocka_unit_test_setup_teardown(test_fork, begin, end),
        cmocka_unit_test_setup_teardown(test_raw_fork, begin, end),
        cmocka_unit_test_setup_teardown(test_forks_of_forks, begin, end),
        cmocka_unit_test_setup_teardown(test_handler, begin, end),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_collector_ends),
        cmocka_unit_test(test_another_after_one_that_has_ended),
        cmocka_unit_test(test_collector_is_killed),
        cmocka_unit_test(test_no_area),
    };
    return cmocka_run_group_tests(tests, NULL, heap_is_whole);
}
