/* stress/gc.c - a collected heap that threads share: each makes and drops graphs of its own, and publishes some in a table of all;
 * some come and go, leave and enter, end attached; one collects, one steps, one forks. On every collector there is.
 *
 *   table: | root under a lock | ...   <-- any thread puts a chain there, takes one, verifies it, changes it
 */
#include "common/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>

#include <allot/gc.h>

#include "common/gc_nodes.h"

enum { THREADS = 6, PLACES = 16, LONGEST = 200, ACTS = 5000 };

static struct allot_gc heap;
static enum allot_gc_kind kind;
static bool plain;
static void *place[PLACES];
static pthread_mutex_t locks[PLACES];
static _Atomic unsigned forks;

/* Waits with the heap left alone: whoever has the lock may collect. */
static void lock(struct allot_gc_mutator *me, size_t i)
{
    if (pthread_mutex_trylock(&locks[i]) != 0) {
        allot_gc_leave(me);
        pthread_mutex_lock(&locks[i]);
        allot_gc_enter(me);
    }
}

static void store(struct allot_gc_mutator *me, void *object, void *slot, void *value)
{
    if (plain)
        *(void **)slot = value;
    else
        allot_gc_write(me, object, slot, value);
}

/* What the caller owns. */
static void give(struct allot_gc_mutator *me, void *object, void *slot, void *value)
{
    if (plain)
        *(void **)slot = value;
    else
        allot_gc_give(me, object, slot, value);
}

static struct node *chain(struct allot_gc_mutator *me, long count)
{
    ALLOT_GC_FRAME(me, frame, 1);
    for (long i = 1; i <= count; i++) {
        struct node *n = allot_gc_get(me, &node_type, 0);
        CHECK(n);
        n->number = i;
        give(me, n, &n->left, frame.slot[0]);
        frame.slot[0] = n;
    }
    return frame.slot[0];
}

static void verify(const struct node *n) { CHECK(chain_counted(n) >= 0); }

static void publish(struct allot_gc_mutator *me, uint64_t *seed)
{
    ALLOT_GC_FRAME(me, frame, 1);
    frame.slot[0] = chain(me, 1 + (long)random_below(seed, LONGEST));
    size_t i = random_below(seed, PLACES);
    lock(me, i);
    void *before = place[i];
    place[i] = frame.slot[0];
    allot_gc_unref(me, before);
    pthread_mutex_unlock(&locks[i]);
}

/* Two chains of the table exchange their tails. */
static void exchange(struct allot_gc_mutator *me, uint64_t *seed)
{
    size_t i = random_below(seed, PLACES - 1), k = i + 1 + random_below(seed, PLACES - 1 - i);
    lock(me, i);
    lock(me, k);
    struct node *a = place[i], *b = place[k];
    verify(a);
    verify(b);
    if (a && b && a->left && b->left) {
        struct node *right = allot_gc_ref(me, a->right);
        store(me, a, &a->right, b->right);
        give(me, b, &b->right, right);
        store(me, a, &a->right, b->left);
    }
    pthread_mutex_unlock(&locks[k]);
    pthread_mutex_unlock(&locks[i]);
}

/* The child has the heap, and itself in it. */
static void fork_once(struct allot_gc_mutator *me)
{
    ALLOT_GC_FRAME(me, frame, 1);
    frame.slot[0] = chain(me, 100);
    pid_t pid = fork();
    if (pid == 0) {
        verify(frame.slot[0]);
        allot_gc_collect(me);
        verify(frame.slot[0]);
        for (int i = 0; i < 20; i++)
            allot_gc_unref(me, chain(me, 100));
        while (!allot_gc_step(me, 100000) && kind != ALLOT_GC_COUNT)
            ;
        allot_gc_check(me);
        verify(frame.slot[0]);
        _exit(0);
    }
    int status;
    allot_gc_leave(me);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
    allot_gc_enter(me);
    verify(frame.slot[0]);
    allot_gc_unref(me, frame.slot[0]);
    forks++;
}

static void act(struct allot_gc_mutator *me, uint64_t *seed, size_t step, bool may_fork)
{
    switch (random_below(seed, 12)) {
    case 0 ... 4:
        publish(me, seed);
        break;
    case 5 ... 7:
        exchange(me, seed);
        break;
    case 8:
        allot_gc_poll(me);
        break;
    case 9:
        allot_gc_leave(me);
        allot_gc_enter(me);
        break;
    case 10:
        if (random_below(seed, 20) == 0)
            allot_gc_collect(me);
        else
            allot_gc_step(me, 20000);
        break;
    default:
        if (may_fork && step % 20 == 7)
            fork_once(me);
        else if (random_below(seed, 50) == 0)
            allot_gc_check(me);
        else
            allot_gc_unref(me, chain(me, (long)random_below(seed, LONGEST)));
    }
}

static void *short_lived(void *arg)
{
    static __thread struct allot_gc_mutator me;
    CHECK(allot_gc_attach(&heap, &me) == 0);
    allot_gc_unref(&me, chain(&me, 10));
    return arg; /* attached: it is detached */
}

static void *work(void *arg)
{
    struct allot_gc_mutator me;
    uint64_t seed = (uintptr_t)arg + 1;
    CHECK(allot_gc_attach(&heap, &me) == 0);
    for (size_t step = 0; step < ACTS; step++) {
        act(&me, &seed, step, (uintptr_t)arg == 0);
        if (step % 500 == 250) {
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, short_lived, NULL) == 0);
            allot_gc_leave(&me);
            pthread_join(thread, NULL);
            allot_gc_enter(&me);
        }
    }
    allot_gc_detach(&me);
    return NULL;
}

static bool run(const struct allot_gc_opts *opts)
{
    pthread_t thread[THREADS];
    struct allot_gc_mutator me;
    int why = allot_gc_init(&heap, kind, opts);
    if (why)
        return false;
    plain = (opts->flags & ALLOT_GC_PLAIN) != 0;
    snprintf(check_run, sizeof check_run, "kind %d, flags %u, step %u", (int)kind, opts->flags,
             (unsigned)opts->step_ns);
    memset(place, 0, sizeof place);
    CHECK(allot_gc_root(&heap, place, PLACES) == 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    CHECK(allot_gc_attach(&heap, &me) == 0);
    allot_gc_check(&me);
    for (size_t i = 0; i < PLACES; i++) {
        verify(place[i]);
        allot_gc_unref(&me, place[i]);
        place[i] = NULL;
    }
    allot_gc_collect(&me);
    struct allot_gc_stats s;
    allot_gc_stats(&heap, &s);
    CHECK(s.use.count == 0 || opts->flags & ALLOT_GC_CONSERVATIVE);
    allot_gc_done(&heap);
    return true;
}

int main(void)
{
    static const struct allot_gc_opts modes[] = {
        {.least = 1 << 18},
        {.least = 1 << 18, .step_ns = 10000},
        {.least = 1 << 18, .flags = ALLOT_GC_PLAIN},
        {.least = 1 << 18, .flags = ALLOT_GC_CONSERVATIVE},
    };
    check_watch_aborts();
    for (size_t i = 0; i < PLACES; i++)
        pthread_mutex_init(&locks[i], NULL);
    size_t ran = 0;
    for (kind = ALLOT_GC_MARK; kind <= ALLOT_GC_COUNT; kind++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
            ran += run(&modes[m]);
    }
    printf("%zu runs, %u forks\n", ran, forks);
    return ran == 0;
}
