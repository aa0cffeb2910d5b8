/* privileged.c [twice] - says whether the system takes the process for one with more rights than its user has, and how many
 * bytes of a block of 100 may be used: just these where the process is hardened so that blocks are sealed. Then, if asked to, frees
 * a block twice.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>

int main(int argc, char **argv)
{
    void *volatile p = malloc(100);
    printf("secure %lu, usable %zu\n", getauxval(AT_SECURE), malloc_usable_size(p));
    fflush(stdout);
    free(p);
    if (argc > 1 && argv[1][0] == 't') {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        free(p);
    }
    return 0;
}
