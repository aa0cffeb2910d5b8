/* hooks/hooks.h - what the tests of the hooks share. Each includes an example whole, with what it allocates rationed: the test
 * says at which allocation memory is out. */
#ifndef HOOKS_HOOKS_H
#define HOOKS_HOOKS_H

#undef NDEBUG
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/arena.h>
#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/tag.h>

#include "../adapters/ration.h"
#include "../common/check.h"

static struct ration ration = {.left = -1};

#define allot_malloc(size)             (ration_allows(&ration) ? allot_malloc(size) : NULL)
#define allot_calloc(n, size)          (ration_allows(&ration) ? allot_calloc(n, size) : NULL)
#define allot_realloc(p, size)         (ration_allows(&ration) ? allot_realloc(p, size) : NULL)
#define allot_heap_alloc(heap, size)   (ration_allows(&ration) ? allot_heap_alloc(heap, size) : NULL)
#define allot_arena_alloc(arena, size) (ration_allows(&ration) ? allot_arena_alloc(arena, size) : NULL)

/* For each allocation of some work: it fails, alone (once) or with all that follow. FAILING_EACH(n, once) { work } goes on until
 * there is none left to fail; `ration.failed` says in the loop's body whether any did. */
struct each {
    long n;
    int once;
};

static inline bool each_next(struct each *each)
{
    if (each->n >= 0 && ration.failed == 0) {
        each->n = -1;
        each->once++;
    }
    each->n++;
    ration.left = each->n;
    ration.once = each->once == 1;
    ration.failed = 0;
    return each->once < 2;
}

static inline void ration_lift(void) { ration.left = -1; }

#define EACH_ALLOCATION_FAILS(each) for (struct each each = {-1, 0}; each_next(&each) || (ration_lift(), false);)

/* What `code` writes on standard output, in a process of its own, which has to end well. The caller frees it. */
static inline char *output_of(void (*code)(void *), void *arg)
{
    int fd = memfd_create("output", 0);
    CHECK(fd >= 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        static char buffer[BUFSIZ];
        setvbuf(stdout, buffer, _IOFBF, sizeof buffer); /* one that is no block, under the drop-in either */
        dup2(fd, STDOUT_FILENO);
        code(arg);
        fflush(NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    snprintf(check_context, sizeof check_context, "a child that ended with status %#x", (unsigned)status);
    CHECK(status == 0);
    size_t size = (size_t)lseek(fd, 0, SEEK_END);
    char *text = calloc(1, size + 1);
    CHECK(pread(fd, text, size, 0) == (ssize_t)size);
    close(fd);
    return text;
}

static inline size_t heap_blocks(struct allot_heap *heap)
{
    struct allot_stats stats;
    allot_heap_stats(heap, &stats);
    return stats.blocks;
}

#endif
