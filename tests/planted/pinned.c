/* Lines of a log are read all at once, and those with an error are kept for the hours that come. They lie among those that are freed: each
 * keeps a page. Done well, what is kept is copied into a block of its own first. */
#include <stdlib.h>
#include <time.h>

#include "plant.h"

#define LINES 200000
#define EACH  40 /* of so many lines one is kept */
#define LINE  200

static char *line[LINES];
static char *kept[LINES / EACH];

static NOINLINE char *read_line(int number)
{
    char *text = malloc(LINE); /* PLANTED: one of forty stays, and keeps a page */
    snprintf(text, LINE, "%d: %s", number, number % EACH ? "fine" : "error");
    return text;
}

static NOINLINE char *own_storage(size_t bytes) { return malloc(bytes); }

static NOINLINE long serve(int turns) /* what the program does for the rest of its life */
{
    long sum = 0;
    for (int i = 0; i < turns; i++) {
        char *answer = malloc(64 + (size_t)(i % 7) * 16);
        answer[0] = kept[i % (LINES / EACH)][0];
        sum += answer[0];
        free(answer);
    }
    return sum;
}

int main(int argc, char **argv)
{
    int well = plant_is_well(argc, argv);
    char *storage = NULL;
    if (well < 0) {
        return 2;
    }
    if (well) {
        storage = own_storage((size_t)LINE * (LINES / EACH));
    }
    for (int i = 0; i < LINES; i++) {
        line[i] = read_line(i);
    }
    for (int i = 0; i < LINES; i++) {
        char **to = &kept[i / EACH];
        if (i % EACH == 0 && well) {
            *to = memcpy(storage + (size_t)LINE * (size_t)(i / EACH), line[i], LINE);
        } else if (i % EACH == 0) {
            *to = line[i];
            continue;
        }
        free(line[i]);
    }
    struct timespec a_while = {0, 5000000};
    long sum = 0;
    for (int i = 0; i < 400; i++) {
        sum += serve(100);
        nanosleep(&a_while, NULL);
    }
    printf("%ld\n", sum);
    for (int i = 0; i < LINES / EACH && !well; i++) {
        free(kept[i]);
    }
    free(storage);
    return 0;
}
