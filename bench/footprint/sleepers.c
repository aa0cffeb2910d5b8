/* sleepers COUNT - a thread for each connection: COUNT threads that each allocate 1 KiB in odd sizes and sleep. What they hold
 * is counted from when all run and none has allocated. */
#include "footprint.h"
#include <pthread.h>

static pthread_barrier_t born, may, made, end;

static void *work(void *argument)
{
    static const size_t size[] = {24, 40, 56, 88, 120, 168, 232, 296};
    enum { SIZES = sizeof size / sizeof size[0] };
    void *block[SIZES];
    uint64_t sum = (uintptr_t)argument;
    pthread_barrier_wait(&born);
    pthread_barrier_wait(&may);
    for (int i = 0; i < SIZES; i++)
        block[i] = make(size[i]);
    pthread_barrier_wait(&made);
    pthread_barrier_wait(&end);
    for (int i = 0; i < SIZES; i++)
        sum += finish(block[i]);
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), sum = 0;
    pthread_t *thread = own_table(count * sizeof *thread);
    pthread_barrier_t *barriers[] = {&born, &may, &made, &end};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    for (int i = 0; i < 4; i++)
        pthread_barrier_init(barriers[i], NULL, (unsigned)count + 1);
    for (uint64_t i = 0; i < count; i++)
        if (pthread_create(&thread[i], &attributes, work, (void *)(uintptr_t)i) != 0)
            fail("no thread to be had");
    pthread_barrier_wait(&born);
    footprint_begin();
    pthread_barrier_wait(&may);
    pthread_barrier_wait(&made);
    figure("heap_of_a_thread,_KiB", footprint() / (double)count / 1024);
    pthread_barrier_wait(&end);
    for (uint64_t i = 0; i < count; i++) {
        void *part;
        pthread_join(thread[i], &part);
        sum += (uintptr_t)part;
    }
    print_sum(sum);
    return 0;
}
