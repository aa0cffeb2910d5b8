/* recording/copies.c - a program with the toolkit in it, under the drop-in or the recorder: one process, one recording; its marks are
 * there. */
#include "family.h"

#include <stdlib.h>
#include <string.h>

#include <allot/malloc.h>
#include <allot/record.h>

static void *volatile keep;

int main(int count, char **argument)
{
    bool one_heap = count > 1 && strcmp(argument[1], "one") == 0;
    if (!allot_recording()) {
        return 3;
    }
    void *p = say("malloc", keep = malloc(5001), 5001);
    allot_mark("between");
    say("mark", NULL, 0);
    if (one_heap) {
        void *own = say("malloc", keep = allot_malloc(5002), 5002);
        say("free", own, 0);
        allot_free(own);
    }
    say("free", p, 0);
    free(p);
    say_all();
    return 0;
}
