/* model.c - runs the operations, each on the thread that the input names.
 *
 * The threads take turns: while one plays, the others wait, so a run with threads is as repeatable as one without. What
 * differs is who owns which slab, which buffers hold what, and that owners die.
 */
#include "state.h"

#include "../common/check.h"

#include <pthread.h>
#include <semaphore.h>

struct model model;

static struct worker {
    pthread_t thread;
    bool lives, quits;
    sem_t go, done;
} workers[MODEL_WORKERS];

/* Plays until the input ends or names another thread. */
static void play(void)
{
    model.hop = false;
    while (!input_ended(&model.in) && !model.hop)
        model_step();
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (;;) {
        while (sem_wait(&worker->go) != 0)
            continue;
        if (worker->quits)
            return NULL;
        play();
        sem_post(&worker->done);
    }
}

static void play_on(struct worker *worker)
{
    if (!worker->lives) {
        worker->quits = false;
        CHECK(sem_init(&worker->go, 0, 0) == 0 && sem_init(&worker->done, 0, 0) == 0);
        CHECK(pthread_create(&worker->thread, NULL, work, worker) == 0);
        worker->lives = true;
    }
    sem_post(&worker->go);
    while (sem_wait(&worker->done) != 0)
        continue;
}

void model_retire(unsigned number)
{
    struct worker *worker = &workers[number];
    if (!worker->lives)
        return;
    worker->quits = true;
    sem_post(&worker->go);
    CHECK(pthread_join(worker->thread, NULL) == 0);
    sem_destroy(&worker->go);
    sem_destroy(&worker->done);
    worker->lives = false;
    for (unsigned i = 0; i < MODEL_HEAPS_MOST; i++) {
        if (model.heap_thread[i] == number + 1)
            model.heap_thread[i] = MODEL_WORKERS + 1;
    }
}

void model_run(const uint8_t *data, size_t size, unsigned flags)
{
    model.in = (struct input){.data = data, .size = size};
    model.flags = flags;
    model.step = 0;
    model.thread = 0;
    oracle_reset(&model.oracle);
    model_begin_proof();

    while (!input_ended(&model.in)) {
        if (model.thread == 0)
            play();
        else
            play_on(&workers[model.thread - 1]);
    }
    model.thread = 0;
    model_prove();
    model_clear();
    for (unsigned i = 0; i < MODEL_WORKERS; i++)
        model_retire(i);
    model_prove();
}
