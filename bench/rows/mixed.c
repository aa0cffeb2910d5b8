/* mixed COUNT THREADS ROUNDS MOST - mixed sizes, lifetimes and threads (the pattern of mstress and rptest): in each of ROUNDS,
 * THREADS new threads take COUNT steps each. Of ten blocks, four live for some steps, four for some hundred, one is swapped
 * with whatever another thread left in a shared table, and one stays until the thread ends. */
#include "crew.h"

enum { BRIEF = 8, MIDDLE = 512, SHARED = 1024 };

static uint64_t count;
static size_t most, round_number;
static _Atomic(void *) shared[SHARED];

static uint64_t replace(void **slot, void *block)
{
    uint64_t sum = finish(*slot);
    *slot = block;
    return sum;
}

static void *work(void *argument)
{
    uint64_t state = (uintptr_t)argument + round_number * MOST_THREADS, sum = 0;
    void *brief[BRIEF] = {NULL}, **middle = table(MIDDLE), **kept = table(count);
    size_t kept_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        /* A hundredth is large, for its kind. */
        void *block = make(below(&state, 100) ? some_size(&state, 8, most / 8) : some_size(&state, most / 8, most));
        size_t lifetime = below(&state, 10);
        if (lifetime < 4)
            sum += replace(&brief[i % BRIEF], block);
        else if (lifetime < 8)
            sum += replace(&middle[below(&state, MIDDLE)], block);
        else if (lifetime < 9)
            sum += finish(atomic_exchange(&shared[below(&state, SHARED)], block));
        else
            kept[kept_count++] = block;
    }
    for (int b = 0; b < BRIEF; b++)
        sum += finish(brief[b]);
    return (void *)(uintptr_t)(sum + finish_all(middle, MIDDLE) + finish_all(kept, kept_count));
}

int main(int argc, char **argv)
{
    count = number(argc, argv, 1);
    size_t threads = number(argc, argv, 2), rounds = number(argc, argv, 3);
    most = number(argc, argv, 4);
    uint64_t sum = 0;
    for (; round_number < rounds; round_number++)
        sum += crew(threads, work);
    for (int s = 0; s < SHARED; s++)
        sum += finish(shared[s]);
    print_sum(sum);
    return 0;
}
