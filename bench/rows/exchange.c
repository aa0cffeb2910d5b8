/* exchange COUNT THREADS LENGTH LEAST MOST - batches freed elsewhere (xmalloc's pattern): every thread makes a batch of LENGTH
 * blocks, sends it to its neighbour, and frees the batch that its other neighbour sent, COUNT times. All of a thread's
 * blocks are freed by another, and every thread is on both sides at once. */
#include "crew.h"

static uint64_t count;
static size_t threads, length, least, most;
static struct mailbox mailbox[MOST_THREADS];

static void *work(void *argument)
{
    size_t me = (uintptr_t)argument;
    uint64_t state = me, sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        void **batch = table(length);
        for (size_t b = 0; b < length; b++)
            batch[b] = make(some_size(&state, least, most));
        post(&mailbox[(me + 1) % threads], batch);
        sum += finish_all(take(&mailbox[me]), length);
    }
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
    count = number(argc, argv, 1), threads = number(argc, argv, 2), length = number(argc, argv, 3);
    least = number(argc, argv, 4), most = number(argc, argv, 5);
    for (size_t i = 0; i < threads && i < MOST_THREADS; i++)
        mailbox_init(&mailbox[i]);
    print_sum(crew(threads, work));
    return 0;
}
