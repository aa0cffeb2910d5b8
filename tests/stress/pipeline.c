/* pipeline.c - producers only allocate, consumers only free, through a bounded queue. What is live never exceeds what the
 * queue holds, so the heap must not grow with the work done.
 */
#include "../common/check.h"

#include "parcel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../common/family.h"

enum { PRODUCERS = 3, CONSUMERS = 2, PLACES = 4096, PARCELS = 200000, SIZE_MOST = 2000 };

static _Atomic(void *) queue[PLACES];
static atomic_uint head, tail; /* tickets of producers and consumers; each place is used in turn */
static unsigned parcels;       /* in all */

static void *produce(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (;;) {
        unsigned ticket = atomic_fetch_add(&head, 1);
        if (ticket >= parcels)
            return NULL;
        void *mine = parcel_make_sized(&random, 16 + random_below(&random, SIZE_MOST)), *none = NULL;
        while (!atomic_compare_exchange_weak(&queue[ticket % PLACES], &none, mine)) {
            none = NULL;
            sched_yield();
        }
    }
}

static void *consume(void *arg)
{
    for (;;) {
        unsigned ticket = atomic_fetch_add(&tail, 1);
        void *found;
        if (ticket >= parcels)
            return arg;
        while (!(found = atomic_exchange(&queue[ticket % PLACES], NULL)))
            sched_yield();
        parcel_free(found);
    }
}

int main(void)
{
    bool allot = toolkit_find();
    struct allot_stats before = {0}, after = {0};
    parcels = PARCELS * test_scale();
    if (allot)
        toolkit.stats(&before);
    pthread_t threads[PRODUCERS + CONSUMERS];
    for (uintptr_t i = 0; i < PRODUCERS + CONSUMERS; i++)
        CHECK(pthread_create(&threads[i], NULL, i < PRODUCERS ? produce : consume, (void *)(i + 1)) == 0);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
        pthread_join(threads[i], NULL);
    toolkit_check();
    if (allot) {
        toolkit.stats(&after);
        /* Libc keeps some for the stacks of ended threads. */
        CHECK(after.live < before.live + 65536);
        /* A queue full of the largest, and for each thread, class and heap the slabs that may stay open. */
        CHECK(after.peak < before.peak + PLACES * (size_t)SIZE_MOST * 2);
        CHECK(after.mapped < before.mapped + ((size_t)64 << 20));
    }
    return 0;
}
