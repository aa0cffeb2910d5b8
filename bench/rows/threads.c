/* threads COUNT SLOTS MOST - from 1 to 64 threads that share nothing: COUNT replacements in all, shared out among 1 thread, then
 * 2, 4 and so on, each with a working set of its own. Its figures are the seconds that 1 thread takes, and how many times as
 * much the others do in the same time, their start and end included. 1 and 2 take turns, as a virtual machine is not equally
 * fast at all times, and the medians count. What the machine allows at most is a figure too: the same reads and writes where
 * every slot has a place of its own, without malloc. */
#include "crew.h"
#include <sys/mman.h>
#include <time.h>

enum { TURNS = 5 };

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

/* Of two threads; mapped past malloc, so that its memory is what it is without this. */
static char *places[2];

static void map_places(void)
{
    for (int i = 0; i < 2; i++) {
        places[i] = mmap(NULL, length * most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (places[i] == MAP_FAILED)
            fail("out of memory");
        memset(places[i], 0, length * most);
    }
}

static void unmap_places(void)
{
    for (int i = 0; i < 2; i++)
        munmap(places[i], length * most);
}

static void *work_in_place(void *argument)
{
    uint64_t state = (uintptr_t)argument, sum = 0;
    for (uint64_t i = 0; i < share; i++) {
        char *place = places[(uintptr_t)argument] + below(&state, length) * most;
        sum += sum_of(place);
        written(place, some_size(&state, 16, most));
    }
    return (void *)(uintptr_t)sum;
}

/* COUNT replacements by so many threads; returns the seconds. */
static double measured(void *(*doing)(void *), size_t threads, uint64_t count, uint64_t *sum)
{
    share = count / threads;
    double began = seconds();
    *sum += crew(threads, doing);
    return seconds() - began;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double value[TURNS])
{
    qsort(value, TURNS, sizeof *value, by_value);
    return value[TURNS / 2];
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), sum = 0;
    double alone[TURNS], times[TURNS], in_place[TURNS];
    length = number(argc, argv, 2), most = number(argc, argv, 3);
    map_places();
    for (int turn = 0; turn < TURNS; turn++) {
        alone[turn] = measured(work, 1, count, &sum);
        times[turn] = alone[turn] / measured(work, 2, count, &sum);
        double one = measured(work_in_place, 1, count, &sum);
        in_place[turn] = one / measured(work_in_place, 2, count, &sum);
    }
    unmap_places();
    double one = median(alone);
    fprintf(stderr, "figure 1_thread,_seconds %.4f\n", one);
    fprintf(stderr, "figure 2_threads,_times_as_much %.3f\n", median(times));
    fprintf(stderr, "figure 2_threads_without_malloc,_times_as_much %.3f\n", median(in_place));
    for (size_t threads = 4; threads <= 64; threads *= 2)
        fprintf(stderr, "figure %zu_threads,_times_as_much %.3f\n", threads,
                one / measured(work, threads, count, &sum));
    print_sum(sum);
    return 0;
}
