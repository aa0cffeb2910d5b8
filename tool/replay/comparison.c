/* See comparison.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "replay/comparison.h"
#include "replay/judge.h"
#include "replay/rounds.h"

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* -- models: threads take the next one until there is none -- */

struct models {
    const struct ops *ops;
    const struct comparison_wanted *wanted;
    const char *const *name;
    struct replay_result *result;
    unsigned count, next; /* next: under the lock */
    pthread_mutex_t lock;
};

/* What the callbacks of one model's replay get. */
struct telling {
    struct models *models;
    void *arg; /* of table and step */
};

static void tell_progress(void *arg, const char *name, uint64_t done, uint64_t of)
{
    struct models *m = ((struct telling *)arg)->models;
    pthread_mutex_lock(&m->lock);
    m->wanted->replay.progress(m->wanted->replay.arg, name, done, of);
    pthread_mutex_unlock(&m->lock);
}

static void tell_table(void *arg, const struct replay_block *block)
{
    struct telling *t = arg;
    t->models->wanted->replay.table(t->arg, block);
}

static void tell_step(void *arg, uint64_t op, const struct replay_block *now)
{
    struct telling *t = arg;
    t->models->wanted->replay.step(t->arg, op, now);
}

static void *replay_models_of(void *arg)
{
    struct models *m = arg;
    const struct comparison_wanted *wanted = m->wanted;
    for (;;) {
        struct telling telling = {m, wanted->replay.arg};
        pthread_mutex_lock(&m->lock);
        unsigned i = m->next < m->count ? m->next++ : m->count;
        if (i < m->count && wanted->own) {
            telling.arg = wanted->own(wanted->replay.arg, m->name[i]);
        }
        pthread_mutex_unlock(&m->lock);
        if (i == m->count) {
            return NULL;
        }
        struct replay_wanted replay = wanted->replay;
        replay.progress = replay.progress ? tell_progress : NULL;
        replay.table = replay.table ? tell_table : NULL;
        replay.step = replay.step ? tell_step : NULL;
        replay.arg = &telling;
        replay_model(m->name[i], m->ops, &replay, &m->result[i]); /* the result says what failed */
    }
}

static void run_models(struct models *m)
{
    pthread_t other[16];
    unsigned threads = m->wanted->threads ? m->wanted->threads : 2, more = 0;
    while (more + 1 < threads && more + 1 < m->count && more < sizeof other / sizeof other[0] &&
           pthread_create(&other[more], NULL, replay_models_of, m) == 0) {
        more++;
    }
    replay_models_of(m);
    while (more > 0) {
        pthread_join(other[--more], NULL);
    }
}

static unsigned count_names(const char *const *name)
{
    unsigned count = 0;
    while (name[count]) {
        count++;
    }
    return count;
}

int comparison_run(const struct ops *ops, bool cut, const struct comparison_wanted *wanted, struct comparison *out)
{
    const char *const *name = wanted->model ? wanted->model : replay_models;
    unsigned count = count_names(name);
    *out = (struct comparison){.ops = ops, .cut = cut, .models = count, .results = count + wanted->reals};
    out->result = calloc(out->results + 1, sizeof *out->result);
    if (!out->result) {
        *out = (struct comparison){0};
        return -1;
    }
    struct models models = {.ops = ops,
                            .wanted = wanted,
                            .name = name,
                            .result = out->result,
                            .count = count,
                            .lock = PTHREAD_MUTEX_INITIALIZER};
    double began = seconds();
    run_models(&models);
    out->models_s = seconds() - began;
    began = seconds();
    out->rounds = wanted->reals ? rounds_run(ops, wanted, out->result + count) : 0;
    out->reals_s = seconds() - began;
    judge(out);
    return 0;
}

void comparison_end(struct comparison *comparison)
{
    free(comparison->result);
    *comparison = (struct comparison){0};
}
