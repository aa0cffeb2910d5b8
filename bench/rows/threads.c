/* threads COUNT SLOTS MOST - from 1 to 64 threads that share nothing: COUNT replacements in all, shared out among 1 thread, then
 * 2, 4 and so on, each with a working set of its own. Its figures are the seconds that 1 thread takes, and how many times as
 * much the others do in the same time, their start and end included. */
#include "crew.h"
#include <time.h>

static uint64_t share;
static size_t length, most;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void *work(void *argument)
{
    uint64_t state = (uintptr_t)argument, sum = 0;
    void **slots = table(length);
    for (uint64_t i = 0; i < share; i++) {
        void **slot = &slots[below(&state, length)];
        sum += finish(*slot);
        *slot = make(some_size(&state, 16, most));
    }
    return (void *)(uintptr_t)(sum + finish_all(slots, length));
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), sum = 0;
    double alone = 0;
    length = number(argc, argv, 2), most = number(argc, argv, 3);
    for (size_t threads = 1; threads <= 64; threads *= 2) {
        share = count / threads;
        double began = seconds();
        sum += crew(threads, work);
        double took = seconds() - began;
        if (threads == 1)
            fprintf(stderr, "figure 1_thread,_seconds %.4f\n", alone = took);
        else
            fprintf(stderr, "figure %zu_threads,_times_as_much %.3f\n", threads, alone / took);
    }
    print_sum(sum);
    return 0;
}
