/* stress/sampled.c - while threads have blocks of all sizes, hand them to each other and end, others change how much is sampled, write
 * profiles and fork: in the end nothing is live, and what was had and freed is the same. */
#include "common/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/malloc.h>
#include <allot/sample.h>

enum { THREADS = 4, SLOTS = 512, ROUNDS = 30, TURNS = 4000 };

static void *_Atomic slot[SLOTS];
static atomic_bool ending;

static size_t some_size(uint64_t *state)
{
    uint64_t r = random_next(state);
    return r % 64 ? (size_t)(r >> 8) % 2000 + 1 : (size_t)1 << (r >> 8) % 22;
}

static void *work(void *arg)
{
    uint64_t state = (uintptr_t)arg;
    for (int i = 0; i < TURNS; i++) {
        size_t size = some_size(&state);
        unsigned char *p = allot_malloc(size);
        if (p) {
            p[0] = p[size - 1] = 7;
        }
        if (p && i % 5 == 0) {
            size_t more = some_size(&state);
            unsigned char *q = allot_realloc(p, more);
            CHECK(!q || q[0] == 7);
            p = q ? q : p;
        }
        allot_free(atomic_exchange(&slot[random_next(&state) % SLOTS], p));
    }
    return NULL;
}

static void *observe(void *arg)
{
    uint64_t state = (uintptr_t)arg;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    while (!atomic_load(&ending)) {
        CHECK(allot_sample_rate((size_t)1 << random_next(&state) % 16) == 0);
        CHECK(allot_sample_write(fd, ALLOT_PPROF) == 0);
        CHECK(allot_sample_write(fd, ALLOT_TEXT) == 0);
        pid_t child = fork();
        if (child == 0) {
            void *p = allot_malloc(1000);
            allot_free(p);
            _exit(allot_sample_write(fd, ALLOT_PPROF) == 0 ? 0 : 1);
        }
        int status = 1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    close(fd);
    return NULL;
}

static int add(const struct allot_sample_stack *s, void *arg)
{
    *(uint64_t *)arg += s->live_samples;
    return 0;
}

int main(void)
{
    pthread_t observer, thread[THREADS];
    CHECK(allot_sample_rate(4096) == 0);
    CHECK(pthread_create(&observer, NULL, observe, (void *)99) == 0);
    for (uintptr_t round = 0; round < ROUNDS; round++) {
        for (uintptr_t i = 0; i < THREADS; i++) {
            CHECK(pthread_create(&thread[i], NULL, work, (void *)(round * THREADS + i + 1)) == 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
    }
    atomic_store(&ending, true);
    pthread_join(observer, NULL);
    for (int i = 0; i < SLOTS; i++) {
        allot_free(slot[i]);
    }
    uint64_t live = 0;
    CHECK(allot_sample_walk(add, &live) == 0);
    CHECK(live == 0);
    CHECK(allot_check());
    return 0;
}
