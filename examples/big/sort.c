/* sort.c - sorts a file of numbers, 8 bytes each, that is larger than the memory it may take: allot_pager as an out-of-core sort.
 *
 *     sort IN OUT [MIB]
 *
 *   runs:    as much as fits into half of the memory is read, sorted, and written to OUT, run behind run
 *   merge:   the least of the runs' heads goes on to the other file, and so on: 64 runs become one in a pass, from OUT to IN's copy and back
 *
 * The pager has the other half. Each run is read from front to back, so its pages come some at once, ahead of need, and are never
 * asked for again: COLD. What is written is pinned FRESH: nobody wants to know what was there; and not COLD, so that neighbours go
 * out together.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <allot/pager.h>

#include "progress.h"

enum { PAGE = 16384, PER_PAGE = PAGE / 8, WAYS = 64 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* A file as pages of numbers. */
struct numbers {
    int fd;
    struct allot_store store;
    struct allot_pager pager;
};

static void open_numbers(struct numbers *n, const char *path, int flags, size_t bytes)
{
    n->fd = open(path, flags, 0666);
    if (n->fd < 0) {
        fail(path);
    }
    struct allot_pager_opts opts = {
        .page = PAGE, .frames = bytes / PAGE < WAYS + 8 ? WAYS + 8 : bytes / PAGE, .how = ALLOT_PAGER_ALONE};
    if (allot_store_file(&n->store, n->fd, 0) != 0 || allot_pager_init(&n->pager, &n->store, &opts) != 0) {
        fail("memory");
    }
}

static void close_numbers(struct numbers *n)
{
    if (n->store.write && (errno = -allot_pager_done(&n->pager)) != 0) {
        fail("writing");
    }
    allot_store_done(&n->store);
    close(n->fd);
}

/* A place in one, whose page is pinned: it goes from front to back. */
struct cursor {
    struct numbers *in;
    uint64_t at, end;
    unsigned how;
    uint64_t *page;
};

static void unpin(struct cursor *c)
{
    if (c->page) {
        allot_pager_unpin(&c->in->pager, c->page, c->how & ALLOT_PAGER_WRITE);
        c->page = NULL;
    }
}

/* The number at the cursor, which goes on. */
static inline uint64_t *next(struct cursor *c)
{
    if (!c->page || c->at % PER_PAGE == 0) {
        unpin(c);
        c->page = allot_pager_pin(&c->in->pager, c->at / PER_PAGE, c->how);
        if (!c->page) {
            fail("page");
        }
    }
    return &c->page[c->at++ % PER_PAGE];
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void make_runs(struct numbers *in, struct numbers *out, uint64_t count, uint64_t run)
{
    uint64_t *some = malloc(run * sizeof *some);
    struct cursor from = {.in = in, .how = ALLOT_PAGER_COLD}, to = {.in = out, .how = ALLOT_PAGER_FRESH};
    struct progress progress = {.what = "runs", .total = count};
    for (uint64_t done = 0; done < count; done += run) {
        uint64_t n = count - done < run ? count - done : run;
        for (uint64_t i = 0; i < n; i++) {
            some[i] = *next(&from);
        }
        qsort(some, n, sizeof *some, by_value);
        for (uint64_t i = 0; i < n; i++) {
            *next(&to) = some[i];
        }
        progress_is(&progress, done + n);
    }
    unpin(&from);
    unpin(&to);
    free(some);
}

/* Of runs' heads, by value: heap[0] is the least. */
struct head {
    uint64_t value;
    unsigned run;
};

static void sift(struct head *heap, size_t n)
{
    size_t i = 0;
    struct head moved = heap[0];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && heap[child + 1].value < heap[child].value;
        if (moved.value <= heap[child].value) {
            break;
        }
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static void merge(struct numbers *in, struct cursor *to, uint64_t from, uint64_t end, uint64_t run,
                  struct progress *progress)
{
    struct cursor runs[WAYS];
    struct head heap[WAYS];
    size_t n = 0;
    for (unsigned i = 0; i < WAYS && from < end; i++, from += run) {
        runs[i] = (struct cursor){in, from, end - from < run ? end : from + run, ALLOT_PAGER_COLD, NULL};
        size_t at = n++;
        struct head head = {*next(&runs[i]), i};
        for (; at > 0 && heap[(at - 1) / 2].value > head.value; at = (at - 1) / 2) {
            heap[at] = heap[(at - 1) / 2];
        }
        heap[at] = head;
    }
    while (n > 0) {
        struct cursor *least = &runs[heap[0].run];
        *next(to) = heap[0].value;
        if (to->at % PER_PAGE == 0) {
            progress_is(progress, to->at);
        }
        if (least->at < least->end) {
            heap[0].value = *next(least);
        } else {
            unpin(least);
            heap[0] = heap[--n];
        }
        sift(heap, n);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s IN OUT [MIB]\n", argv[0]);
        return 2;
    }
    size_t memory = (argc > 3 ? strtoul(argv[3], NULL, 10) : 64) << 20;
    struct numbers in, out;
    struct stat status;
    char spare[4096];
    snprintf(spare, sizeof spare, "%s.half", argv[2]);
    open_numbers(&in, argv[1], O_RDONLY, memory / 4);
    open_numbers(&out, argv[2], O_RDWR | O_CREAT | O_TRUNC, memory / 4);
    if (fstat(in.fd, &status) != 0) {
        fail(argv[1]);
    }
    uint64_t count = (uint64_t)status.st_size / 8, run = memory / 2 / PAGE * PER_PAGE;
    make_runs(&in, &out, count, run);
    close_numbers(&in);
    open_numbers(&in, spare, O_RDWR | O_CREAT | O_TRUNC, memory / 4);
    struct numbers *sorted = &out, *other = &in;
    for (; run < count; run *= WAYS) {
        struct cursor to = {.in = other, .how = ALLOT_PAGER_FRESH};
        struct progress progress = {.what = "merge", .total = count};
        for (uint64_t from = 0; from < count; from += run * WAYS) {
            merge(sorted, &to, from, count - from < run * WAYS ? count : from + run * WAYS, run, &progress);
        }
        progress_is(&progress, count);
        unpin(&to);
        struct numbers *swap = sorted;
        sorted = other;
        other = swap;
    }
    struct allot_pager_stats stats;
    allot_pager_stats(&sorted->pager, &stats);
    fprintf(stderr, "%llu numbers; at most %zu pages of %zu in memory; %llu written in %llu writes\n",
            (unsigned long long)count, 2 * stats.frames, stats.page, (unsigned long long)stats.written,
            (unsigned long long)stats.writes);
    bool swapped = sorted == &in;
    close_numbers(&in);
    close_numbers(&out);
    if (swapped ? rename(spare, argv[2]) != 0 : unlink(spare) != 0) {
        fail(argv[2]);
    }
    if (truncate(argv[2], (off_t)count * 8) != 0) {
        fail(argv[2]);
    }
}
