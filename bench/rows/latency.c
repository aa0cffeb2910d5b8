/* latency COUNT - how long single calls take, and the longest of them: percentiles in cycles, of malloc and of free.
 *
 *   churn      one thread at its steady state, 10 000 blocks of many small sizes
 *   draining   one thread mallocs what another frees: the malloc takes in what comes back, the free is from afar
 *   purging    64 MiB of blocks up to 256 KiB made and then all freed, over and over: memory goes back to the system
 *   marked     the same by a thread that has called allot_thread_latency, where the malloc knows that
 *   stealing   threads that live briefly and take over, one from the other, what the last one left, half of it freed
 */
#include <stdbool.h>

#include "crew.h"
#include "latency.h"

enum { SLOTS = 10000, PARCEL = 256, LEFT = 4000 };

static uint64_t count;
static struct histogram malloc_times, free_times; /* of the phase; in draining, each is one thread's */
static struct mailbox mailbox;

static uint64_t churn(void)
{
    uint64_t state = 1, sum = 0;
    void **slots = table(SLOTS);
    for (uint64_t i = 0; i < count; i++) {
        void **slot = &slots[below(&state, SLOTS)];
        sum += timed_finish(&free_times, *slot);
        *slot = timed_make(&malloc_times, some_size(&state, 16, 1024));
    }
    return sum + finish_all(slots, SLOTS);
}

static void *drain_side(void *argument)
{
    uint64_t state = 2, sum = 0;
    int frees = argument != NULL;
    for (uint64_t i = 0; i < count / PARCEL; i++) {
        void **parcel = frees ? take(&mailbox) : table(PARCEL);
        for (int b = 0; b < PARCEL; b++) {
            if (frees)
                sum += timed_finish(&free_times, parcel[b]);
            else
                parcel[b] = timed_make(&malloc_times, some_size(&state, 16, 512));
        }
        if (frees)
            free(parcel);
        else
            post(&mailbox, parcel);
    }
    return (void *)(uintptr_t)sum;
}

static uint64_t draining(void)
{
    mailbox_init(&mailbox);
    return crew(2, drain_side);
}

static uint64_t purging(void)
{
    enum { LEAST = 1024, MOST = 256 << 10, BYTES = 64 << 20 };
    uint64_t state = 3, sum = 0;
    void **blocks = table(BYTES / LEAST);
    for (uint64_t done = 0; done < count / 16;) {
        size_t made = 0;
        for (size_t bytes = 0, size; bytes < BYTES; bytes += size) {
            size = some_size(&state, LEAST, MOST);
            blocks[made++] = timed_make(&malloc_times, size);
        }
        for (size_t b = 0; b < made; b++)
            sum += timed_finish(&free_times, blocks[b]);
        done += made;
    }
    free(blocks);
    return sum;
}

extern bool allot_thread_latency(bool on) __attribute__((weak));

static uint64_t marked(void)
{
    if (allot_thread_latency)
        allot_thread_latency(true);
    uint64_t sum = purging();
    if (allot_thread_latency)
        allot_thread_latency(false);
    return sum;
}

static void *left[LEFT];

static void *brief(void *argument)
{
    uint64_t state = 4 + (uintptr_t)argument, sum = 0;
    for (int b = 0; b < LEFT / 2; b++) {
        void **slot = &left[below(&state, LEFT)];
        sum += timed_finish(&free_times, *slot);
        *slot = timed_make(&malloc_times, some_size(&state, 16, 1024));
    }
    return (void *)(uintptr_t)sum;
}

static uint64_t stealing(void)
{
    uint64_t sum = 0;
    for (uint64_t thread = 0; thread < count / LEFT; thread++) {
        void *part;
        pthread_join(started(brief, (void *)thread), &part);
        sum += (uintptr_t)part;
    }
    for (int b = 0; b < LEFT; b++)
        sum += finish(left[b]);
    return sum;
}

static void print_times(const char *phase, const char *function, const struct histogram *times)
{
    char what[64];
    snprintf(what, sizeof what, "%s:_%s", phase, function);
    print_histogram(times, what);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint64_t (*run)(void);
    } phases[] = {
        {"churn", churn}, {"draining", draining}, {"purging", purging}, {"marked", marked}, {"stealing", stealing}};
    uint64_t sum = 0;
    count = number(argc, argv, 1);
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        /* Written, not just zeroed, so that no page of theirs is new when the phase runs. */
        memset(&malloc_times, 0, sizeof malloc_times);
        memset(&free_times, 0, sizeof free_times);
        sum += phases[i].run();
        print_times(phases[i].name, "malloc", &malloc_times);
        print_times(phases[i].name, "free", &free_times);
    }
    print_sum(sum);
    return 0;
}
