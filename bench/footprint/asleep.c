/* asleep COUNT EVERY ENDED IN_ORDER - a thread that never looks again: it makes COUNT blocks of 16 to 4000 bytes and sleeps, or
 * has ended where ENDED is 1, while another frees them in random order, or as they were made where IN_ORDER is 1; each EVERYth
 * stays, none where EVERY is 0. */
#include "footprint.h"
#include <pthread.h>

static size_t count;
static void **block;
static pthread_barrier_t made, end;

static void make_all(void)
{
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++)
        block[i] = make(16 + below(&state, 3985));
}

static void *make_and_end(void *unused)
{
    make_all();
    return unused;
}

static void *make_and_sleep(void *unused)
{
    make_all();
    pthread_barrier_wait(&made);
    pthread_barrier_wait(&end);
    return unused;
}

int main(int argc, char **argv)
{
    count = number(argc, argv, 1);
    uint64_t every = number(argc, argv, 2), ended = number(argc, argv, 3), in_order = number(argc, argv, 4);
    uint64_t state = 2, sum = 0;
    block = own_table(count * sizeof *block);
    pthread_barrier_init(&made, NULL, 2);
    pthread_barrier_init(&end, NULL, 2);
    footprint_begin();
    pthread_t owner;
    if (pthread_create(&owner, NULL, ended ? make_and_end : make_and_sleep, NULL) != 0)
        fail("no thread to be had");
    if (ended)
        pthread_join(owner, NULL);
    else
        pthread_barrier_wait(&made);
    double peak = footprint();
    if (!in_order)
        shuffle(block, count, &state);
    size_t live = 0;
    for (size_t i = 0; i < count; i++) {
        if (every && i % every == 0) {
            live += *(uint64_t *)block[i];
        } else {
            sum += finish(block[i]);
            block[i] = NULL;
        }
    }
    double held = footprint();
    figure("peak,_MiB", peak / MIB);
    figure("live_at_the_end,_MiB", (double)live / MIB);
    figure("when_freed,_MiB", held / MIB);
    if (live)
        figure("when_freed,_over_live", held / (double)live);
    for (size_t i = 0; i < count; i++)
        sum += finish(block[i]);
    if (!ended) {
        pthread_barrier_wait(&end);
        pthread_join(owner, NULL);
    }
    print_sum(sum);
    return 0;
}
