/* teardown.c - allocation in a thread's last moments: in destructors of thread-specific keys, in every round of them, in
 * what C++ registers for thread_local objects, and in libc's own last cleaning up after all of those.
 *
 * Blocks made in one round are freed in the next, by the main thread, or by the next thread's end.
 */
#include "../common/check.h"

#include "parcel.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../common/family.h"

enum { THREADS = 600, KEYS = 40, SLOTS = 64, AT_ONCE = 4 };

/* What the C++ runtime calls for a thread_local object; in glibc, for any language. musl has none. */
extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *dso) __attribute__((weak));
extern void *__dso_handle;

static pthread_key_t early_key, keys[KEYS];
static _Atomic(void *) slots[SLOTS];
static __thread unsigned rounds;
static __thread uint64_t random_state;
static atomic_uint ends;

static void leave_something(void)
{
    parcel_free(atomic_exchange(&slots[random_below(&random_state, SLOTS)], parcel_make(&random_state)));
}

/* Comes again in every round that POSIX grants, each time with a fresh block in the key. */
static void key_ends(void *value)
{
    parcel_free(value);
    leave_something();
    if (rounds++ < KEYS * (PTHREAD_DESTRUCTOR_ITERATIONS - 1))
        CHECK(pthread_setspecific(keys[random_below(&random_state, KEYS)], parcel_make(&random_state)) == 0);
}

/* The key that was made before the heap's own: its destructor runs first, or after the heap believes that it is over. */
static void early_key_ends(void *value)
{
    void *mine[100];
    for (int i = 0; i < 100; i++)
        mine[i] = parcel_make(&random_state);
    for (int i = 0; i < 100; i++)
        parcel_free(mine[i]);
    parcel_free(value);
    atomic_fetch_add(&ends, 1);
}

static void object_ends(void *object)
{
    parcel_free(object);
    leave_something();
    free(calloc(1, 100));
}

static void *live(void *arg)
{
    random_state = (uintptr_t)arg;
    if (random_state % 3 == 0)
        (void)strerror(100000 + (int)random_state); /* libc keeps the text until the thread's very end */
    if (random_state % 4 != 0) {
        CHECK(pthread_setspecific(early_key, parcel_make(&random_state)) == 0);
        for (int i = 0; i < KEYS; i += 1 + (int)(random_state % 7))
            CHECK(pthread_setspecific(keys[i], parcel_make(&random_state)) == 0);
        for (int i = 0; __cxa_thread_atexit_impl && i < 3; i++)
            CHECK(__cxa_thread_atexit_impl(object_ends, parcel_make(&random_state), &__dso_handle) == 0);
    }
    /* Otherwise a thread whose whole life is one free. */
    parcel_free(atomic_exchange(&slots[random_below(&random_state, SLOTS)], NULL));
    if (random_state % 5 == 0)
        pthread_exit(NULL);
    return NULL;
}

int main(void)
{
    CHECK(pthread_key_create(&early_key, early_key_ends) == 0);
    for (int i = 0; i < KEYS; i++)
        CHECK(pthread_key_create(&keys[i], key_ends) == 0);
    toolkit_find();
    unsigned count = THREADS * test_scale();
    for (uintptr_t i = 1; i <= count; i += AT_ONCE) {
        pthread_t threads[AT_ONCE];
        for (unsigned k = 0; k < AT_ONCE; k++)
            CHECK(pthread_create(&threads[k], NULL, live, (void *)(i + k)) == 0);
        for (unsigned k = 0; k < AT_ONCE; k++)
            pthread_join(threads[k], NULL);
        toolkit_check();
    }
    CHECK(atomic_load(&ends) > count / 2);
    for (int i = 0; i < SLOTS; i++)
        parcel_free(slots[i]);
    toolkit_check();
    return 0;
}
