/* recording/family.c - calls every function of malloc's family once or twice. `family exec` becomes itself anew first. */
#define _GNU_SOURCE
#include "family.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *volatile keep; /* no call is removed */

static void give(void *p)
{
    say("free", p, 0);
    free(p);
}

int main(int count, char **argument)
{
    if (count > 1 && strcmp(argument[1], "exec") == 0) {
        keep = malloc(1);
        execl(argument[0], argument[0], "again", NULL);
    }
    void *p[20], *moved;
    p[0] = say("malloc", keep = malloc(7001), 7001);
    p[1] = say("malloc", keep = malloc(33), 33);
    p[2] = say("calloc", keep = calloc(7, 9), 63);
    p[3] = say("malloc", keep = malloc(700000), 700000);
    p[4] = say("aligned", keep = aligned_alloc(256, 512), 512);
    p[5] = say("aligned", keep = memalign(64, 100), 100);
    if (posix_memalign(&p[6], 4096, 10) != 0) {
        return 1;
    }
    say("aligned", p[6], 10);
    p[7] = say("aligned", keep = valloc(17), 17);
    p[8] = say("malloc", keep = strdup("twelve bytes"), 13);
    p[9] = say("malloc", keep = realloc(NULL, 55), 55);
    say("from", p[9], 0);
    moved = say("to", keep = realloc(p[9], 100000), 100000);
    say("from", moved, 0);
    p[9] = say("to", keep = reallocarray(moved, 10, 30), 300);
    if (malloc((size_t)-1 / 2 - count) == NULL) {
        say("failed", NULL, (size_t)-1 / 2 - (size_t)count);
    }
    free(NULL);
    for (unsigned i = 0; i < 10; i++) {
        give(p[i]);
    }
    say_all();
    return 0;
}
