/* births COUNT AT_ONCE - a server that makes a thread for each request: COUNT threads are born and die, AT_ONCE at a time; each
 * makes 200 blocks and leaves ten of them, which live until 1000 threads later. From the second tenth on nothing changes but by
 * chance, which lets what lives swing by some hundredths. */
#include "footprint.h"
#include <pthread.h>
#include <stdatomic.h>

enum { MADE = 200, LEFT = 10, LATER = 1000, MOST_AT_ONCE = 64 };

static void **left; /* [LATER][LEFT], by thread */
static atomic_int_fast64_t live;

static int64_t size_of(const void *block)
{
    const uint64_t *first = block;
    return (int64_t)*first;
}

static void *work(void *argument)
{
    uint64_t me = (uintptr_t)argument, state = me, sum = 0;
    void **mine = &left[me % LATER * LEFT], *block[MADE];
    int64_t more = 0;
    for (int i = 0; i < LEFT; i++) {
        more -= mine[i] ? size_of(mine[i]) : 0;
        sum += finish(mine[i]);
        mine[i] = NULL;
    }
    for (int i = 0; i < MADE; i++)
        block[i] = make(some_size(&state, 16, 4096));
    shuffle(block, MADE, &state);
    memcpy(mine, block, LEFT * sizeof *mine);
    for (int i = LEFT; i < MADE; i++)
        sum += finish(block[i]);
    for (int i = 0; i < LEFT; i++)
        more += size_of(mine[i]);
    atomic_fetch_add(&live, more);
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), at_once = number(argc, argv, 2), sum = 0;
    double held[10] = {0}, looks[10] = {0}, most = 0, least = 1e18, live_most = 0, live_least = 1e18;
    if (at_once > MOST_AT_ONCE || count < 10 * at_once)
        fail("too many threads at once, or too few in all");
    left = own_table(LATER * LEFT * sizeof *left);
    footprint_begin();
    for (uint64_t born = 0; born < count; born += at_once) {
        pthread_t thread[MOST_AT_ONCE];
        for (uint64_t i = 0; i < at_once; i++)
            if (pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)(born + i)) != 0)
                fail("no thread to be had");
        for (uint64_t i = 0; i < at_once; i++) {
            void *part;
            pthread_join(thread[i], &part);
            sum += (uintptr_t)part;
        }
        if (born >= count / 10 && born % 64 < at_once) {
            double holds = footprint(), lives = (double)live;
            held[born * 10 / count] += holds;
            looks[born * 10 / count]++;
            most = holds > most ? holds : most;
            least = holds < least ? holds : least;
            live_most = lives > live_most ? lives : live_most;
            live_least = lives < live_least ? lives : live_least;
        }
    }
    figure("in_the_second_tenth,_MiB", held[1] / looks[1] / MIB);
    figure("in_the_last_tenth,_over_that", held[9] / looks[9] / (held[1] / looks[1]));
    figure("most_since_the_first,_over_the_least", most / least);
    figure("live,_most_over_the_least", live_most / live_least);
    for (int i = 0; i < LATER * LEFT; i++)
        sum += finish(left[i]);
    print_sum(sum);
    return 0;
}
