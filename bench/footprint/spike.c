/* spike MIB THREADS IDLE - a load that comes and goes: MIB of blocks of 16 bytes to 64 KiB, made and freed by THREADS threads
 * that then wait, or by the only one when it is 1; then nothing for IDLE seconds. */
#include "footprint.h"
#include <pthread.h>

enum { MOST_THREADS = 64, MOST_SIZE = 65536 };

static size_t bytes, threads;
static uint64_t seconds;
static pthread_barrier_t barrier;
static double peak, freed, freed_at, system_before;
static void **table_of[MOST_THREADS];
static size_t table_length;

static void meet(void)
{
    if (threads > 1)
        pthread_barrier_wait(&barrier);
}

static void *work(void *argument)
{
    size_t me = (uintptr_t)argument, count = 0, made = 0;
    uint64_t state = me, sum = 0;
    void **block = table_of[me];
    for (; made < bytes / threads && count < table_length; made += *(uint64_t *)block[count++])
        block[count] = make(some_size(&state, 16, MOST_SIZE));
    shuffle(block, count, &state);
    meet();
    if (me == 0) {
        peak = footprint();
        system_before = cpu_system();
    }
    meet();
    for (size_t i = 0; i < count; i++)
        sum += finish(block[i]);
    meet();
    if (me == 0) {
        freed = footprint();
        freed_at = cpu_all();
        figure("peak,_MiB", peak / MIB);
        figure("back_when_freed,_%", 100 - 100 * freed / peak);
        double spent = cpu_system() - system_before;
        idle(seconds);
        figure("back_after_idle,_%", 100 - 100 * footprint() / peak);
        figure("system_time_while_freeing,_and_all_while_idle,_s", spent + cpu_all() - freed_at);
    }
    meet();
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
    bytes = number(argc, argv, 1) * MIB;
    threads = number(argc, argv, 2);
    seconds = number(argc, argv, 3);
    if (threads > MOST_THREADS)
        fail("too many threads");
    table_length = bytes / threads / 512;
    for (size_t i = 0; i < threads; i++)
        table_of[i] = own_table(table_length * sizeof(void *));
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    footprint_begin();
    uint64_t sum = 0;
    pthread_t thread[MOST_THREADS];
    for (size_t i = 1; i < threads; i++)
        if (pthread_create(&thread[i], NULL, work, (void *)i) != 0)
            fail("no thread to be had");
    sum += (uintptr_t)work(NULL);
    for (size_t i = 1; i < threads; i++) {
        void *part;
        pthread_join(thread[i], &part);
        sum += (uintptr_t)part;
    }
    print_sum(sum);
    return 0;
}
