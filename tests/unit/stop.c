/* os/stop: threads stand still between os_stop and os_go, also those to whom the signal comes late, and none stands for ever. */
#include "common/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "os/process.h"
#include "os/stop.h"

enum { THREADS = 6, ROUNDS = 400 };

static _Atomic unsigned steps[THREADS];
static _Atomic int ids[THREADS];
static _Atomic int over;

/* Blocks all signals for a while, now and then for longer than whoever stops it is patient with. */
static void *walks(void *arg)
{
    size_t me = (size_t)(uintptr_t)arg;
    sigset_t every, none;
    sigfillset(&every);
    sigemptyset(&none);
    atomic_store(&ids[me], os_thread_id());
    while (!atomic_load(&over)) {
        unsigned step = atomic_fetch_add(&steps[me], 1);
        pthread_sigmask(SIG_SETMASK, step % 3 ? &every : &none, NULL);
        for (unsigned i = 0; i < step % 5 * 1000; i++) {
            atomic_fetch_add(&steps[me], 7 * 5 * 3);
        }
        if (step % 50 == 0) {
            usleep(step % 15000);
        }
    }
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    return NULL;
}

static void who_stands_stands_and_goes_on(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    unsigned stood = 0;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, walks, (void *)(uintptr_t)i), 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned before[THREADS];
        bool stopped[THREADS] = {false};
        struct os_threads all = os_stop((uintptr_t)&before);
        for (size_t i = 0; i < THREADS; i++) {
            for (size_t k = 0; k < all.count; k++) {
                stopped[i] |= all.thread[k].tid == ids[i] && all.thread[k].stopped;
            }
            before[i] = atomic_load(&steps[i]);
            stood += stopped[i];
        }
        usleep(round % 7 ? 0 : 200);
        for (size_t i = 0; i < THREADS; i++) {
            assert_true(!stopped[i] || atomic_load(&steps[i]) == before[i]);
        }
        os_go();
    }
    atomic_store(&over, 1);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    assert_true(stood > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_stands_stands_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
