/* replays - what the models of a replay cost (tool/replay): seconds and ns an op of each strategy, and all of them on two threads.
 *
 *   replays [EVENTS [KIND [MODEL...]]]        10 million, 0.1, all; KIND: millions of live blocks, 0.1, 2 or 7, or "all"
 *
 * The ops are made here: blocks of 16 to 1800 bytes, few sites with most of them, that die at random; one in thirty is resized. Wall time
 * of all is what `allot compare` takes beside reading the trace and the real replays.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "replay/ops_file.h"
#include "replay/replay.h"

struct kind {
    const char *name;
    uint32_t places; /* for blocks, of which half are live in the end */
    uint32_t sites, threads, resizes /* of 1024 */;
};
static const struct kind kinds[] = {
    {"0.1 M live", 200000, 5000, 4, 30}, {"2 M live", 4000000, 50000, 4, 30}, {"7 M live", 14000000, 50000, 4, 30}};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = *state;
    return (x ^ x >> 29) * 0x9e3779b97f4a7c15u >> 16;
}

static int make(const struct kind *kind, uint64_t count, struct ops *out)
{
    struct op *op = malloc(count * sizeof *op);
    uint32_t *place = malloc(kind->places * sizeof *place), live = 0;
    uint64_t state = 1;
    if (!op || !place) {
        return -1;
    }
    for (uint32_t i = 0; i < kind->places; i++) {
        place[i] = i;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t random = next_random(&state), which = next_random(&state) % kind->places;
        double x = (double)(random >> 8 & 0xffff) / 0x10000;
        op[i] = (struct op){.size = 16 + (random >> 20 & 0xff) * (random >> 28 & 7),
                            .site = 1 + (uint32_t)(x * x * x * kind->sites),
                            .thread = (random >> 4) % kind->threads};
        if (which >= live) {
            op[i].block = place[live++];
        } else if (random % 1024 < kind->resizes) {
            op[i].kind = OP_RESIZE;
            op[i].block = place[which];
        } else {
            uint32_t block = place[which];
            op[i] = (struct op){.kind = OP_FREE, .block = block, .thread = op[i].thread};
            place[which] = place[--live];
            place[live] = block;
        }
    }
    int failed = ops_make(op, NULL, count, out);
    free(op);
    free(place);
    return failed;
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct work {
    const struct ops *ops;
    const char *const *names;
    atomic_int next;
    int count;
    double seconds[32];
    struct replay_result *result[32];
};

static void *replay(void *arg)
{
    struct work *w = arg;
    for (int i; (i = atomic_fetch_add(&w->next, 1)) < w->count;) {
        double began = seconds(CLOCK_THREAD_CPUTIME_ID);
        replay_model(w->names[i], w->ops, NULL, w->result[i]);
        w->seconds[i] = seconds(CLOCK_THREAD_CPUTIME_ID) - began;
    }
    return NULL;
}

static int measure(const struct kind *kind, uint64_t events, const char *const *names, int count)
{
    struct ops ops;
    if (make(kind, events, &ops) != 0) {
        fprintf(stderr, "replays: no memory or disk for the ops\n");
        return 1;
    }
    struct work w = {.ops = &ops, .names = names, .count = count};
    for (int i = 0; i < count; i++) {
        w.result[i] = malloc(sizeof **w.result);
    }
    pthread_t other;
    double began = seconds(CLOCK_MONOTONIC);
    pthread_create(&other, NULL, replay, &w);
    replay(&w);
    pthread_join(other, NULL);
    double wall = seconds(CLOCK_MONOTONIC) - began, all = 0;
    printf("%s, %" PRIu64 " ops, %.1f MiB live at most\n", kind->name, ops.count, (double)ops.peak_live / 1048576);
    printf("%-12s %8s %8s %12s %12s %8s\n", "", "seconds", "ns/op", "held/live", "used/live", "meta/live");
    for (int i = 0; i < count; i++) {
        const struct replay_result *r = w.result[i];
        const struct replay_moment *m = &r->at_live_peak;
        double live = (double)m->live;
        all += w.seconds[i];
        printf("%-12s %8.2f %8.0f %12.3f %12.3f %8.3f%s%s\n", names[i], w.seconds[i],
               1e9 * w.seconds[i] / (double)events, (double)m->held / live, (double)m->used / live,
               (double)m->metadata / live, *r->failed ? "  " : "", r->failed);
        free(w.result[i]);
    }
    printf("%-12s %8.2f %8s wall of two threads: %.1f s\n\n", "all", all, "", wall);
    fflush(stdout);
    ops_end(&ops);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    const char *kind = argc > 2 ? argv[2] : "0.1";
    const char *const *names = argc > 3 ? (const char *const *)argv + 3 : replay_models;
    int count = 0, measured = 0, failed = 0;
    while (names[count]) {
        count++;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, "all") == 0 || strncmp(kind, kinds[i].name, strcspn(kinds[i].name, " ")) == 0) {
            failed |= measure(&kinds[i], events, names, count);
            measured++;
        }
    }
    if (!measured) {
        fprintf(stderr, "replays: there are no ops of that kind: 0.1, 2, 7 or all, millions of blocks that live\n");
        return 2;
    }
    return failed;
}
