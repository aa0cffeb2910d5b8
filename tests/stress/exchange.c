/* exchange.c - threads put blocks into one shared array and free what they find there: most blocks are freed by a thread
 * that did not make them, at any moment, beside everything else.
 */
#include "../common/check.h"

#include "parcel.h"

#include <pthread.h>
#include <stdatomic.h>

#include "../common/family.h"

enum { THREADS = 6, SLOTS = 3000, STEPS = 40000, ROUNDS = 3 };

static _Atomic(void *) slots[SLOTS];
static pthread_barrier_t barrier;

static void step(uint64_t *random)
{
    _Atomic(void *) *slot = &slots[random_below(random, SLOTS)];
    switch (random_below(random, 8)) {
    case 0: { /* take, resize, put back where something else may lie by now */
        void *mine = atomic_exchange(slot, NULL);
        if (mine)
            parcel_free(atomic_exchange(slot, parcel_resize(mine, random)));
        break;
    }
    case 1:
        parcel_free(atomic_exchange(slot, NULL));
        break;
    case 2: { /* many at once, so that lists at hand run dry and fill up */
        void *mine[64];
        size_t size = 16 + random_below(random, 256);
        for (int i = 0; i < 64; i++)
            mine[i] = parcel_make_sized(random, size);
        for (int i = 0; i < 64; i++)
            parcel_free(atomic_exchange(&slots[random_below(random, SLOTS)], mine[i]));
        break;
    }
    default:
        parcel_free(atomic_exchange(slot, parcel_make(random)));
    }
}

static void *work(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (unsigned round = 0; round < ROUNDS * test_scale(); round++) {
        for (int i = 0; i < STEPS / ROUNDS; i++)
            step(&random);
        if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
            toolkit_check();
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(void)
{
    toolkit_find();
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SLOTS; i++)
        parcel_free(slots[i]);
    toolkit_check();
    return 0;
}
