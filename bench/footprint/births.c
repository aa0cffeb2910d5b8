/* births COUNT AT_ONCE - a server that makes a thread for each request: COUNT threads are born and die, AT_ONCE at a time; each
 * makes 200 blocks and leaves ten of them, which live until 1000 threads later. */
#include "footprint.h"
#include <pthread.h>

enum { MADE = 200, LEFT = 10, LATER = 1000, MOST_AT_ONCE = 64 };

static void **left; /* [LATER][LEFT], by thread */

static void *work(void *argument)
{
    uint64_t me = (uintptr_t)argument, state = me, sum = 0;
    void **mine = &left[me % LATER * LEFT], *block[MADE];
    for (int i = 0; i < LEFT; i++) {
        sum += finish(mine[i]);
        mine[i] = NULL;
    }
    for (int i = 0; i < MADE; i++)
        block[i] = make(some_size(&state, 16, 4096));
    shuffle(block, MADE, &state);
    memcpy(mine, block, LEFT * sizeof *mine);
    for (int i = LEFT; i < MADE; i++)
        sum += finish(block[i]);
    return (void *)(uintptr_t)sum;
}

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1), at_once = number(argc, argv, 2), sum = 0;
    double at_tenth = 0, most = 0, least = 1e18;
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
            double held = footprint();
            at_tenth = at_tenth == 0 ? held : at_tenth;
            most = held > most ? held : most;
            least = held < least ? held : least;
        }
    }
    figure("after_a_tenth,_MiB", at_tenth / MIB);
    figure("in_the_end,_over_that", footprint() / at_tenth);
    figure("most_since,_over_the_least", most / least);
    for (int i = 0; i < LATER * LEFT; i++)
        sum += finish(left[i]);
    print_sum(sum);
    return 0;
}
