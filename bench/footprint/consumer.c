/* consumer SECONDS MIB PRODUCERS - a pipeline that never ends: PRODUCERS threads only allocate, one only frees, with MIB of
 * blocks live in the queue between them, for SECONDS. What is held is looked at in every tenth of the time. */
#include "footprint.h"
#include <pthread.h>
#include <stdbool.h>

enum { PARCEL = 1024, MOST_PRODUCERS = 16, LOOKS = 10 };

struct parcel {
    struct parcel *next;
    size_t bytes;
    void *block[PARCEL];
};

static size_t cap;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* Under the lock: */
static struct parcel *first, **last = &first;
static size_t live, parcels;
static bool over;

static void *produce(void *argument)
{
    uint64_t state = (uintptr_t)argument;
    for (;;) {
        struct parcel *parcel = malloc(sizeof *parcel);
        if (!parcel)
            fail("out of memory");
        parcel->next = NULL;
        parcel->bytes = sizeof *parcel;
        for (int i = 0; i < PARCEL; i++) {
            size_t size = some_size(&state, 16, 2048);
            parcel->block[i] = make(size);
            parcel->bytes += size;
        }
        pthread_mutex_lock(&lock);
        while (live > cap && !over)
            pthread_cond_wait(&changed, &lock);
        bool ends = over;
        *last = parcel;
        last = &parcel->next;
        live += parcel->bytes;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        if (ends)
            return NULL;
    }
}

static void *consume(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        while ((live <= cap || !first->next) && !over)
            pthread_cond_wait(&changed, &lock);
        if (over) {
            pthread_mutex_unlock(&lock);
            return NULL;
        }
        struct parcel *parcel = first;
        first = parcel->next;
        live -= parcel->bytes;
        parcels++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
        for (int i = 0; i < PARCEL; i++)
            finish(parcel->block[i]);
        free(parcel);
    }
}

int main(int argc, char **argv)
{
    uint64_t seconds = number(argc, argv, 1), producers = number(argc, argv, 3);
    cap = number(argc, argv, 2) * MIB;
    if (producers > MOST_PRODUCERS)
        fail("too many producers");
    footprint_begin();
    pthread_t thread[MOST_PRODUCERS + 1];
    for (size_t i = 0; i <= producers; i++)
        if (pthread_create(&thread[i], NULL, i < producers ? produce : consume, (void *)i) != 0)
            fail("no thread to be had");
    double most = 0, held = 0;
    for (int look = 0; look < LOOKS; look++) {
        struct timespec tenth = {.tv_sec = (time_t)(seconds / LOOKS),
                                 .tv_nsec = (long)(seconds % LOOKS * (1000000000 / LOOKS))};
        nanosleep(&tenth, NULL);
        pthread_mutex_lock(&lock);
        held = footprint() / (double)live;
        pthread_mutex_unlock(&lock);
        most = held > most ? held : most;
    }
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i <= producers; i++)
        pthread_join(thread[i], NULL);
    figure("most_over_live", most);
    figure("in_the_end_over_live", held);
    figure("blocks_handed_on,_millions", (double)parcels * PARCEL * 1e-6);
    print_sum(0);
    return 0;
}
