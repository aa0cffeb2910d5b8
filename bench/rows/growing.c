/* growing COUNT THREADS SET MOST - short-lived sets at growing sizes (the pattern of sh6 and sh8): a set of SET blocks of one
 * size, then one of a size an eighth larger, and so on up to MOST, COUNT times over. The last four sets live; the oldest is
 * freed in order, in reverse, or every other block first, in turn. */
#include "crew.h"

enum { ALIVE = 4 };

static uint64_t count;
static size_t set_length, most;

static uint64_t free_set(void **set, size_t turn)
{
    uint64_t sum = 0;
    for (size_t b = 0; b < set_length; b++) {
        size_t at = turn % 3 == 0 ? b : turn % 3 == 1 ? set_length - 1 - b : 2 * b % set_length + (2 * b >= set_length);
        sum += finish(set[at]);
        set[at] = NULL;
    }
    return sum;
}

static void *work(void *unused)
{
    void **sets[ALIVE];
    uint64_t sum = 0;
    size_t turn = 0;
    for (int s = 0; s < ALIVE; s++)
        sets[s] = table(set_length);
    for (uint64_t i = 0; i < count; i++) {
        for (size_t size = 8; size <= most; size += size / 8 + 8, turn++) {
            void **set = sets[turn % ALIVE];
            sum += free_set(set, turn);
            for (size_t b = 0; b < set_length; b++)
                set[b] = make(size);
        }
    }
    for (int s = 0; s < ALIVE; s++)
        sum += finish_all(sets[s], set_length);
    (void)unused;
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
    count = number(argc, argv, 1);
    size_t threads = number(argc, argv, 2);
    set_length = number(argc, argv, 3) / 2 * 2; /* even, for every other block to meet them all */
    most = number(argc, argv, 4);
    print_sum(crew(threads, work));
    return 0;
}
