/* forks.c - a storm of forks: the main thread forks hundreds of times while others hammer the heap; each child, in which
 * those others do not exist, uses and frees what they left, starts threads of its own, forks again, and ends normally.
 */
#include "../common/check.h"

#include "parcel.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "../common/family.h"

enum { THREADS = 3, FORKS = 50, SLOTS = 500, CHILD_STEPS = 300, PATIENCE = 120 };

static _Atomic(void *) slots[SLOTS];
static atomic_bool over;

static void exchange(uint64_t *random, void *parcel)
{
    parcel_free(atomic_exchange(&slots[random_below(random, SLOTS)], parcel));
}

static void *hammer(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    while (!atomic_load(&over)) {
        exchange(&random, parcel_make(&random));
        if (random_below(&random, 4) == 0)
            exchange(&random, NULL);
    }
    return NULL;
}

static void *live_in_child(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int i = 0; i < CHILD_STEPS; i++)
        exchange(&random, i % 4 ? parcel_make(&random) : NULL);
    return NULL;
}

static void wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        CHECK(errno == EINTR);
    snprintf(check_context, sizeof check_context, "child ended with status %#x", (unsigned)status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static _Noreturn void child(uint64_t seed)
{
    alarm(PATIENCE); /* a child that hangs is a failure, not a wait */
    uint64_t random = seed;
    snprintf(check_run, sizeof check_run, "child %u", (unsigned)seed);
    toolkit_check();
    for (int i = 0; i < SLOTS; i += 2)
        parcel_free(atomic_exchange(&slots[i], NULL));
    for (int i = 0; i < CHILD_STEPS; i++)
        exchange(&random, parcel_make(&random));
    if (seed % 3 == 0) {
        pthread_t threads[2];
        for (uintptr_t i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, live_in_child, (void *)(seed * 2 + i)) == 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
    }
    if (seed % 7 == 0) {
        pid_t grandchild = fork();
        CHECK(grandchild >= 0);
        if (grandchild == 0) {
            for (int i = 0; i < SLOTS; i++)
                parcel_free(atomic_exchange(&slots[i], parcel_make(&random)));
            toolkit_check();
            exit(0);
        }
        wait_for(grandchild);
    }
    for (int i = 0; i < SLOTS; i++)
        parcel_free(slots[i]);
    toolkit_check();
    if (seed % 2)
        exit(0);
    _exit(0);
}

int main(void)
{
    toolkit_find();
    uint64_t random = 1;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < FORKS * test_scale(); i++) {
        exchange(&random, parcel_make(&random));
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
            child(i);
        wait_for(pid);
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SLOTS; i++)
        parcel_free(slots[i]);
    toolkit_check();
    return 0;
}
