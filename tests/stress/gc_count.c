/* stress/gc_count.c - objects of a counting heap that threads share: all of them count the same ones at once, let go what others made,
 * take hold by weak references of what goes at that moment, store into what others count, and look for circles meanwhile.
 *
 *   shared[i]  held by main, counted by all               box[i]  an object that anybody takes, who puts another
 *   guarded[i] under a lock: an object, and a weak reference to it
 */
#include "common/check.h"

#include <pthread.h>
#include <stdatomic.h>

#include <allot/gc.h>

#include "common/gc_nodes.h"

enum { THREADS = 4, SHARED = 8, BOXES = 8, GUARDED = 4, ACTS = 4000, MASS = 40000 };

static atomic_ulong made, finished;
static void finish(void *object, void *arg)
{
    CHECK(((struct node *)object)->number == 7 && arg == NULL);
    atomic_fetch_add(&finished, 1);
}
static const struct allot_gc_type finishable_type = {
    .name = "finishable", .size = sizeof(struct node), .refs = NODE_REFS, .finish = finish};

static struct allot_gc heap;
static struct node *shared[SHARED];
static struct node *_Atomic box[BOXES];
static struct {
    pthread_mutex_t lock;
    struct node *object;
    void *weak;
} guarded[GUARDED];

static struct node *make(struct allot_gc_mutator *me, const struct allot_gc_type *type)
{
    struct node *n = allot_gc_get(me, type, 0);
    CHECK(n);
    n->number = 7;
    atomic_fetch_add(&made, type->finish != NULL);
    return n;
}

static void lock(struct allot_gc_mutator *me, size_t i)
{
    if (pthread_mutex_trylock(&guarded[i].lock) != 0) {
        allot_gc_leave(me);
        pthread_mutex_lock(&guarded[i].lock);
        allot_gc_enter(me);
    }
}

static void act(struct allot_gc_mutator *me, uint64_t *seed)
{
    struct node *s = shared[random_below(seed, SHARED)], *n;
    size_t i;
    switch (random_below(seed, 16)) {
    case 0 ... 3: /* a shared one is referred to, by what goes at once, or is a circle */
        n = make(me, &node_type);
        allot_gc_write(me, n, &n->left, s);
        allot_gc_write(me, n, &n->right, random_below(seed, 2) ? n : s);
        allot_gc_unref(me, n);
        break;
    case 4 ... 7: /* what another made goes here */
        n = make(me, random_below(seed, 3) ? &node_type : &finishable_type);
        for (size_t k = random_below(seed, 30); k > 0; k--) {
            struct node *next = make(me, &node_type);
            allot_gc_write(me, next, &next->right, s);
            allot_gc_give(me, next, &next->left, n);
            n = next;
        }
        allot_gc_unref(me, atomic_exchange(&box[random_below(seed, BOXES)], n));
        break;
    case 8 ... 9: /* a store into what all count */
        i = random_below(seed, GUARDED);
        n = make(me, &node_type);
        lock(me, i);
        allot_gc_give(me, shared[i], &shared[i]->right, n);
        pthread_mutex_unlock(&guarded[i].lock);
        break;
    case 10 ... 11: /* the last reference goes while others ask the weak one */
        i = random_below(seed, GUARDED);
        n = make(me, &node_type);
        void *weak = allot_gc_weak(me, n);
        CHECK(weak);
        lock(me, i);
        struct node *object = guarded[i].object;
        void *old = guarded[i].weak;
        guarded[i].object = n;
        guarded[i].weak = weak;
        pthread_mutex_unlock(&guarded[i].lock);
        allot_gc_unref(me, object);
        allot_gc_unref(me, old);
        break;
    case 12 ... 13:
        i = random_below(seed, GUARDED);
        lock(me, i);
        weak = allot_gc_ref(me, guarded[i].weak);
        pthread_mutex_unlock(&guarded[i].lock);
        n = weak ? allot_gc_weak_get(me, weak) : NULL;
        CHECK(!n || n->number == 7);
        allot_gc_unref(me, n);
        allot_gc_unref(me, weak);
        break;
    case 14:
        CHECK(allot_gc_type_of(s) == &node_type && allot_gc_size_of(s) == sizeof *s);
        allot_gc_cycles(me, 1 + random_below(seed, 3000));
        break;
    default:
        if (random_below(seed, 30) == 0)
            allot_gc_collect(me);
        else if (random_below(seed, 30) == 0)
            allot_gc_check(me);
        else
            allot_gc_poll(me);
    }
}

static void *work(void *arg)
{
    struct allot_gc_mutator me;
    uint64_t seed = (uintptr_t)arg + 1;
    CHECK(allot_gc_attach(&heap, &me) == 0);
    for (size_t i = 0; i < MASS; i++) /* more than a header tells, all at once */
        allot_gc_ref(&me, shared[0]);
    for (size_t step = 0; step < ACTS; step++)
        act(&me, &seed);
    for (size_t i = 0; i < MASS; i++)
        allot_gc_unref(&me, shared[0]);
    allot_gc_detach(&me);
    return NULL;
}

static void run(const struct allot_gc_opts *opts)
{
    pthread_t thread[THREADS];
    struct allot_gc_mutator me;
    struct allot_gc_stats s;
    CHECK(allot_gc_init(&heap, ALLOT_GC_COUNT, opts) == 0 && allot_gc_attach(&heap, &me) == 0);
    for (size_t i = 0; i < SHARED; i++)
        shared[i] = make(&me, &node_type);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, work, (void *)i) == 0);
    allot_gc_leave(&me);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    allot_gc_enter(&me);
    allot_gc_check(&me);
    for (size_t i = 0; i < BOXES; i++)
        allot_gc_unref(&me, atomic_exchange(&box[i], NULL));
    for (size_t i = 0; i < GUARDED; i++) {
        allot_gc_unref(&me, guarded[i].object);
        CHECK(!guarded[i].weak || !allot_gc_weak_get(&me, guarded[i].weak));
        allot_gc_unref(&me, guarded[i].weak);
        guarded[i].object = guarded[i].weak = NULL;
        allot_gc_write(&me, shared[i], &shared[i]->right, NULL);
    }
    allot_gc_collect(&me);
    allot_gc_check(&me);
    allot_gc_stats(&heap, &s);
    CHECK(s.use.count == SHARED);
    for (size_t i = 0; i < SHARED; i++)
        allot_gc_unref(&me, shared[i]);
    allot_gc_stats(&heap, &s);
    CHECK(s.use.count == 0 && s.finished == atomic_load(&finished) && atomic_load(&finished) == atomic_load(&made));
    allot_gc_done(&heap);
    atomic_store(&finished, 0);
    atomic_store(&made, 0);
}

int main(void)
{
    static const struct allot_gc_opts modes[] = {{.least = 1 << 17}, {.least = 1 << 17, .step_ns = 20000}};
    check_watch_aborts();
    for (size_t i = 0; i < GUARDED; i++)
        pthread_mutex_init(&guarded[i].lock, NULL);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        run(&modes[i]);
    return 0;
}
