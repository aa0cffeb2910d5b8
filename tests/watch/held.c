/* held.c held|freed - a block of the system's malloc, which is AddressSanitizer's, of which the only pointer lies in a block of
 * allot's: no leak as long as that is live.
 */
#include <allot/malloc.h>
#include <stdlib.h>
#include <string.h>

static void **kept[3];

static __attribute__((noinline)) void hold(size_t size, int i)
{
    kept[i] = allot_malloc(size);
    kept[i][size / sizeof(void *) - 1] = malloc(100);
}

static __attribute__((noinline)) void sweep_the_stack(void)
{
    volatile char used[16384];
    for (size_t i = 0; i < sizeof used; i++)
        used[i] = 0;
}

int main(int argc, char **argv)
{
    hold(64, 0);
    hold(100000, 1);
    hold(5000000, 2);
    sweep_the_stack();
    if (argc > 1 && strcmp(argv[1], "freed") == 0)
        for (int i = 0; i < 3; i++)
            allot_free(kept[i]);
    sweep_the_stack();
    return 0;
}
