/* server COUNT LINES GENERATIONS SLOTS LEAST MOST - a server that replaces its threads (larson's pattern): each of LINES
 * threads replaces blocks of its working set at random, COUNT times, then hands the set to a new thread and ends. So most
 * of what a thread frees first was made by one that is gone. */
#include "crew.h"

struct line {
    uint64_t state, sum;
    size_t generations; /* still to come */
    void **slots;
};

static uint64_t count;
static size_t length, least, most;
static struct mailbox finished;

static void *serve(void *argument)
{
    struct line *line = argument;
    for (uint64_t i = 0; i < count; i++) {
        void **slot = &line->slots[below(&line->state, length)];
        line->sum += finish(*slot);
        *slot = make(some_size(&line->state, least, most));
    }
    if (--line->generations == 0)
        post(&finished, line);
    else
        pthread_detach(started(serve, line));
    return NULL;
}

int main(int argc, char **argv)
{
    count = number(argc, argv, 1);
    size_t lines = number(argc, argv, 2), generations = number(argc, argv, 3);
    length = number(argc, argv, 4), least = number(argc, argv, 5), most = number(argc, argv, 6);
    uint64_t sum = 0;
    mailbox_init(&finished);
    for (size_t i = 0; i < lines; i++) {
        struct line *line = calloc(1, sizeof *line);
        *line = (struct line){.state = i, .generations = generations, .slots = table(length)};
        for (size_t s = 0; s < length; s++)
            line->slots[s] = make(some_size(&line->state, least, most));
        pthread_detach(started(serve, line));
    }
    for (size_t i = 0; i < lines; i++) {
        struct line *line = take(&finished);
        sum += line->sum + finish_all(line->slots, length);
        free(line);
    }
    print_sum(sum);
    return 0;
}
