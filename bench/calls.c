/* calls KIND SIZE COUNT - calls of malloc's family for bench/instructions.py to count in: COUNT of them, always the same.
 *
 *   pair     malloc and free, one block at a time
 *   tagged   the same in a tag, where the malloc has tags (include/allot/tag.h)
 *   calloc   the same with calloc
 *   batch    32 mallocs, then their frees in the same order, COUNT times
 *   once     COUNT mallocs, at most 32, then their frees
 *   grow     a block that realloc takes up to SIZE in 100 steps, COUNT times
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 };

/* Of a malloc that may not be there when this is linked. */
static void enter_tag(void)
{
    struct allot_tag *(*tag)(const char *, size_t), *(*enter)(struct allot_tag *);
    *(void **)&tag = dlsym(RTLD_DEFAULT, "allot_tag");
    *(void **)&enter = dlsym(RTLD_DEFAULT, "allot_tag_enter");
    if (tag && enter) {
        enter(tag("calls", SIZE_MAX));
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    size_t size = strtoul(argv[2], NULL, 10), count = strtoul(argv[3], NULL, 10);
    void *volatile block[BATCH] = {NULL};
    if (strcmp(argv[1], "tagged") == 0) {
        enter_tag();
    }
    if (strcmp(argv[1], "pair") == 0 || strcmp(argv[1], "tagged") == 0) {
        for (size_t i = 0; i < count; i++) {
            block[0] = malloc(size);
            free(block[0]);
        }
    } else if (strcmp(argv[1], "calloc") == 0) {
        for (size_t i = 0; i < count; i++) {
            block[0] = calloc(1, size);
            free(block[0]);
        }
    } else if (strcmp(argv[1], "batch") == 0) {
        for (size_t i = 0; i < count; i++) {
            for (int b = 0; b < BATCH; b++) {
                block[b] = malloc(size);
            }
            for (int b = 0; b < BATCH; b++) {
                free(block[b]);
            }
        }
    } else if (strcmp(argv[1], "once") == 0 && count <= BATCH) {
        for (size_t i = 0; i < count; i++) {
            block[i] = malloc(size);
        }
        for (size_t i = 0; i < count; i++) {
            free(block[i]);
        }
    } else if (strcmp(argv[1], "grow") == 0) {
        for (size_t i = 0; i < count; i++) {
            for (size_t step = 1; step <= 100; step++) {
                block[0] = realloc(block[0], size * step / 100);
            }
            free(block[0]);
            block[0] = NULL;
        }
    } else {
        fprintf(stderr, "calls: there is no kind '%s'\n", argv[1]);
        return 2;
    }
    return 0;
}
