/* thp.c - a process without transparent huge pages, and so all that it starts. Preloaded; needs no right. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

__attribute__((constructor)) static void disable(void)
{
    if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) {
        perror("thp: prctl");
        abort();
    }
}
