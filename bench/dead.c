/* dead - a program that dies with so large a heap: what bench/core.py has the cores of.
 *
 *   dead MIB [LONGEST]        lists of blocks of 16 to LONGEST bytes (1000), each of which points to two others
 *
 * One list of a hundred is let go. Says how many blocks it has had before it dies.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTS = 1 << 16, LOST = 100, LEAST = 16 };

struct block {
    struct block *next, *other;
    char rest[];
};
static struct block *lists[LISTS];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int argc, char **argv)
{
    uint64_t state = 88172645463325252u, had = 0, blocks = 0;
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10) << 20 : 0,
             longest = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
    while (had < wanted) {
        size_t bytes = LEAST + next_random(&state) % (longest - LEAST + 1);
        struct block *b = malloc(bytes), **list = &lists[next_random(&state) % LISTS];
        if (!b) {
            return 1;
        }
        memset(b, 0, bytes);
        *b = (struct block){*list, lists[next_random(&state) % LISTS]};
        *list = b;
        had += bytes;
        blocks++;
    }
    for (size_t i = 0; i < LISTS; i += LOST) {
        lists[i] = NULL;
    }
    printf("%" PRIu64 "\n", blocks);
    fflush(stdout);
    abort();
}
