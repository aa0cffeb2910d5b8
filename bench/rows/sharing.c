/* sharing COUNT active|passive THREADS SIZE - whether threads are given parts of one cache line. Active: each thread makes a
 * block, writes it a thousand times and frees it, COUNT times. Passive: the same, but each first frees a block that the main
 * thread made beside the others', which a malloc may then give it again. */
#include "crew.h"

static uint64_t count;
static size_t size;
static void *handed[MOST_THREADS];

static void *work(void *argument)
{
    uint64_t sum = finish(handed[(uintptr_t)argument]);
    for (uint64_t i = 0; i < count; i++) {
        volatile unsigned char *block = make(size);
        for (int w = 0; w < 1000; w++)
            for (size_t at = sizeof(uint64_t); at < size; at++)
                block[at] = (unsigned char)(block[at] * 3 + at);
        sum += finish((void *)block);
    }
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
    count = number(argc, argv, 1);
    size_t threads = number(argc, argv, 3);
    size = number(argc, argv, 4);
    if (strcmp(argv[2], "passive") == 0)
        for (size_t i = 0; i < threads && i < MOST_THREADS; i++)
            handed[i] = make(size);
    print_sum(crew(threads, work));
    return 0;
}
