/* See cold.h. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "cold.h"
#include "scratch.h"

#define PAGE   16   /* blocks */
#define RUNS   7    /* of one process, at most, after an addition */
#define BUFFER 4096 /* blocks: of a run that is merged */

struct cold_run {
    struct cold_run *older;
    int fd;
    size_t most, count;
    uint32_t *first; /* upper half of the key of each page's first */
    uint64_t *gone;  /* a bit for each block */
    size_t held;     /* which page is in `page`; SIZE_MAX: none */
    struct block page[PAGE];
};

static void end_run(struct cold_run *run)
{
    if (run) {
        close(run->fd);
        free(run->first);
        free(run->gone);
        free(run);
    }
}

struct cold_run *cold_begin(size_t most, const char *folder)
{
    struct cold_run *run = calloc(1, sizeof *run);
    if (!run) {
        return NULL;
    }
    run->held = SIZE_MAX;
    run->most = most;
    run->first = malloc((most / PAGE + 1) * sizeof *run->first);
    run->gone = calloc(most / 64 + 1, sizeof *run->gone);
    run->fd = run->first && run->gone ? scratch_open(folder) : -1;
    if (run->fd < 0) {
        int error = run->first && run->gone ? errno : ENOMEM;
        free(run->first);
        free(run->gone);
        free(run);
        errno = error;
        return NULL;
    }
    return run;
}

int cold_append(struct cold_run *run, const struct block *block, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((run->count + i) % PAGE == 0) {
            run->first[(run->count + i) / PAGE] = (uint32_t)(blocks_key(block[i].address) >> 32);
        }
    }
    int failed = scratch_write(run->fd, block, count * sizeof *block, run->count * sizeof *block);
    if (failed) {
        return -failed;
    }
    run->count += count;
    return 0;
}

/* How many blocks were read at `from`, up to `most`; -1 with errno: the disk fails. */
static ssize_t read_blocks(const struct cold_run *run, size_t from, struct block *out, size_t most)
{
    size_t count = run->count - from < most ? run->count - from : most;
    int failed = scratch_read(run->fd, out, count * sizeof *out, from * sizeof *out);
    if (failed) {
        errno = -failed;
        return -1;
    }
    return (ssize_t)count;
}

/* -- too many runs become one -- */

struct source {
    struct cold_run *run;
    size_t next, have, at; /* next: of the run, the first that is not in `buffer` yet */
    struct block *buffer;
};

/* The source's block at hand, or NULL: it has no more. *error is set where the disk fails. */
static const struct block *peek(struct source *s, int *error)
{
    for (;;) {
        for (; s->at < s->have; s->at++) {
            size_t index = s->next - s->have + s->at;
            if (!(s->run->gone[index / 64] >> (index % 64) & 1)) {
                return &s->buffer[s->at];
            }
        }
        if (s->next >= s->run->count) {
            return NULL;
        }
        ssize_t got = read_blocks(s->run, s->next, s->buffer, BUFFER);
        if (got < 0) {
            *error = errno;
            return NULL;
        }
        s->have = (size_t)got;
        s->next += s->have;
        s->at = 0;
    }
}

static int merge(struct source *source, size_t count, struct cold_run *into, struct block *buffer)
{
    size_t have = 0;
    int error = 0;
    for (;;) {
        const struct block *least = NULL;
        struct source *of = NULL;
        for (size_t i = 0; i < count; i++) { /* newest first: of two with the same address it wins */
            const struct block *b = peek(&source[i], &error);
            if (b && (!least || blocks_key(b->address) < blocks_key(least->address))) {
                least = b;
                of = &source[i];
            } else if (b && b->address == least->address) {
                source[i].at++;
            }
        }
        if (error) {
            return error;
        }
        if (least) {
            buffer[have++] = *least;
            of->at++;
        }
        if (have == BUFFER || !least) {
            error = cold_append(into, buffer, have);
            have = 0;
            if (error || !least) {
                return error;
            }
        }
    }
}

static int merge_all(struct cold_run **runs, const char *folder)
{
    struct source source[RUNS + 1] = {{0}};
    size_t count = 0, all = 0;
    for (struct cold_run *r = *runs; r; r = r->older) {
        source[count++].run = r;
        all += r->count;
    }
    struct block *buffer = malloc((count + 1) * BUFFER * sizeof *buffer);
    struct cold_run *into = buffer ? cold_begin(all, folder) : NULL;
    int error = into ? 0 : buffer ? errno : ENOMEM;
    if (!error) {
        for (size_t i = 0; i < count; i++) {
            source[i].buffer = buffer + i * BUFFER;
        }
        error = merge(source, count, into, buffer + count * BUFFER);
    }
    free(buffer);
    if (error) {
        end_run(into);
        return error;
    }
    cold_end(*runs);
    *runs = into;
    return 0;
}

/* -- what blocks.c asks for -- */

int cold_put(struct cold_run **runs, struct cold_run *run, const char *folder)
{
    run->older = *runs;
    *runs = run;
    size_t n = 0;
    for (const struct cold_run *r = *runs; r; r = r->older) {
        n++;
    }
    return n > RUNS ? merge_all(runs, folder) : 0;
}

/* The last page whose first is at or before the key, by its upper half. Keys are spread evenly, so it is near where the key is among
 * all keys; from there on in steps that double. */
static size_t find_page(const struct cold_run *run, uint64_t key)
{
    uint32_t half = (uint32_t)(key >> 32);
    size_t pages = (run->count + PAGE - 1) / PAGE, from = (size_t)((unsigned __int128)key * pages >> 64), to = from,
           step = 1;
    if (run->first[from] <= half) {
        for (to = from + 1; to < pages && run->first[to] <= half; to += step, step *= 2) {
            from = to;
        }
        to = to < pages ? to : pages;
    } else {
        for (; from > 0 && run->first[from] > half; from = from > step ? from - step : 0, step *= 2) {
            to = from;
        }
    }
    while (to - from > 1) {
        size_t middle = from + (to - from) / 2;
        if (run->first[middle] <= half) {
            from = middle;
        } else {
            to = middle;
        }
    }
    return from;
}

static int find_in_page(struct cold_run *run, size_t page, uint64_t address, struct block *out, bool take)
{
    if (run->held != page) {
        run->held = SIZE_MAX;
        if (read_blocks(run, page * PAGE, run->page, PAGE) < 0) {
            return -errno;
        }
        run->held = page;
    }
    for (size_t i = 0, index = page * PAGE; i < PAGE && index < run->count; i++, index++) {
        if (run->page[i].address == address) {
            if (run->gone[index / 64] >> (index % 64) & 1) {
                return 0;
            }
            *out = run->page[i];
            if (take) {
                run->gone[index / 64] |= (uint64_t)1 << (index % 64);
            }
            return 1;
        }
    }
    return 0;
}

static int find_in(struct cold_run *run, uint64_t address, struct block *out, bool take)
{
    uint64_t key = blocks_key(address);
    for (size_t page = find_page(run, key);; page--) {
        int found = find_in_page(run, page, address, out, take);
        /* Where a page begins with the same half of a key, it may be the end of the one before. */
        if (found || page == 0 || run->first[page] != (uint32_t)(key >> 32)) {
            return found;
        }
    }
}

int cold_find(struct cold_run *runs, uint64_t address, struct block *out, bool take)
{
    for (struct cold_run *r = runs; r; r = r->older) {
        int found = r->count ? find_in(r, address, out, take) : 0;
        if (found) {
            return found;
        }
    }
    return 0;
}

int cold_each(struct cold_run **runs, const char *folder, bool (*visit)(void *arg, const struct block *block),
              void *arg)
{
    int error = *runs && (*runs)->older ? merge_all(runs, folder) : 0;
    struct source source = {.run = *runs, .buffer = malloc(BUFFER * sizeof *source.buffer)};
    error = error ? error : source.buffer ? 0 : ENOMEM;
    const struct block *b;
    while (!error && *runs && (b = peek(&source, &error))) {
        error = visit(arg, b) ? 0 : -1;
        source.at++;
    }
    free(source.buffer);
    return error;
}

size_t cold_memory(const struct cold_run *runs)
{
    size_t bytes = 0;
    for (const struct cold_run *r = runs; r; r = r->older) {
        bytes += sizeof *r + (r->most / PAGE + 1) * sizeof *r->first + (r->most / 64 + 1) * sizeof *r->gone;
    }
    return bytes;
}

void cold_end(struct cold_run *runs)
{
    while (runs) {
        struct cold_run *older = runs->older;
        end_run(runs);
        runs = older;
    }
}
