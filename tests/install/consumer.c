/* What a stranger writes: a block from the toolkit, and one from malloc, freed through the toolkit where both are one.
 */
#include <allot/heap.h>
#include <allot/malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *own = (char *)allot_malloc(100);
    strcpy(own, "allot");
    struct allot_stats before, after;
    allot_stats(&before);
    char *plain = (char *)malloc(100);
    allot_stats(&after);
    printf("%s %s\n", own, after.blocks > before.blocks ? "in place of malloc" : "beside malloc");
    free(plain);
    allot_free(own);
    return 0;
}
