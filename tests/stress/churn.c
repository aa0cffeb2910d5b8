/* churn.c - threads are born and die by the hundred; each leaves blocks to those after it, which check and free them.
 *
 * Joined and detached ones; heaps of the dead are taken over, their blocks freed from outside before, while and after.
 */
#include "../common/check.h"

#include "parcel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../common/family.h"

enum { LIVES = 1500, AT_ONCE = 8, SLOTS = 1000, STEPS = 150 };

static _Atomic(void *) slots[SLOTS];
static atomic_uint alive;

static void *live(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    size_t steps = random_below(&random, STEPS);
    for (size_t i = 0; i < steps; i++)
        parcel_free(atomic_exchange(&slots[random_below(&random, SLOTS)], parcel_make(&random)));
    /* Some die rich in blocks of one size, some having only freed. */
    size_t size = 16 + random_below(&random, 1500);
    for (size_t i = 0; i < steps; i++)
        parcel_free(
            atomic_exchange(&slots[random_below(&random, SLOTS)], steps % 3 ? parcel_make_sized(&random, size) : NULL));
    atomic_fetch_sub(&alive, 1);
    return NULL;
}

int main(void)
{
    toolkit_find();
    unsigned lives = LIVES * test_scale();
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (uintptr_t i = 1; i <= lives; i += AT_ONCE) {
        pthread_t joined[AT_ONCE / 2], other;
        for (unsigned k = 0; k < AT_ONCE / 2; k++) {
            atomic_fetch_add(&alive, 2);
            CHECK(pthread_create(&joined[k], NULL, live, (void *)(i + k)) == 0);
            CHECK(pthread_create(&other, &detached, live, (void *)(i + AT_ONCE / 2 + k)) == 0);
        }
        for (unsigned k = 0; k < AT_ONCE / 2; k++)
            pthread_join(joined[k], NULL);
        while (atomic_load(&alive) > AT_ONCE)
            sched_yield();
        if (i % 256 == 1) {
            while (atomic_load(&alive) > 0)
                sched_yield();
            for (int k = 0; k < SLOTS; k++) {
                if (slots[k])
                    parcel_verify(slots[k]);
            }
        }
    }
    while (atomic_load(&alive) > 0)
        sched_yield();
    for (int i = 0; i < SLOTS; i++)
        parcel_free(slots[i]);
    return 0;
}
