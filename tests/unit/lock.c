/* unit/lock.c - one thread at a time, nobody forgotten. */
#include "common/unit.h"

#include <pthread.h>
#include <sched.h>

#include "os/lock.h"

enum { THREADS = 8, ROUNDS = 20000 };

static struct os_lock lock;
static long count;

static void *add(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        os_lock(&lock);
        long seen = count;
        if (i % 64 == 0) {
            sched_yield(); /* the others meet a held lock, and sleep */
        }
        count = seen + 1;
        os_unlock(&lock);
    }
    return arg;
}

static void threads_exclude_each_other(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, add, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    assert_int_equal(count, THREADS * ROUNDS);
    assert_int_equal(atomic_load(&lock.word), 0);
}

static void a_reset_lock_is_free(void **state)
{
    (void)state;
    os_lock(&lock);
    os_lock_reset(&lock);
    os_lock(&lock);
    os_unlock(&lock);
    assert_int_equal(atomic_load(&lock.word), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_exclude_each_other),
        cmocka_unit_test(a_reset_lock_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
