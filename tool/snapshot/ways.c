/* See ways.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "snapshot/leaks.h"
#include "snapshot/ways.h"
#include "trace/behind.h"

struct finding {
    const struct profile *profile;
    struct way_of *of;
    size_t count;
    uint64_t least; /* bytes of those that are worth a search */
};

/* The last process of that number that said what is lost: one that has become another program by exec did not come to that. */
static uint32_t process_of(const struct profile *p, uint32_t pid)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < p->processes; i++) {
        found = p->process[i]->pid == pid && p->process[i]->exited ? p->process[i]->number : found;
    }
    return found;
}

static void find_in(const struct finding *f, const struct snapshot *s, struct snapshot_names *names, uint32_t process)
{
    for (size_t i = 0; i < f->count; i++) {
        struct way_of *of = &f->of[i];
        size_t block = of->process == process ? graph_block_at(&s->blocks, of->address) : GRAPH_NONE;
        if (block == GRAPH_NONE || s->blocks.block[block].address != of->address || of->way || of->type) {
            continue;
        }
        const char *type = snapshot_type(names, block);
        of->type = type ? strdup(type) : NULL;
        if (of->bytes >= f->least) {
            of->way = snapshot_way(s, names, block);
        }
    }
}

static bool visit(void *arg, int fd)
{
    struct finding *f = arg;
    struct snapshot s;
    struct snapshot_error error;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (snapshot_open(&s, path, &error)) { /* else the process was ended while it wrote */
        struct snapshot_names *names = snapshot_names_begin(&s);
        uint32_t process = s.header.pid > 0 ? process_of(f->profile, (uint32_t)s.header.pid) : 0;
        if (names && process) {
            find_in(f, &s, names, process);
        }
        snapshot_names_end(names);
        snapshot_close(&s);
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

void ways_find(const char *trace, const struct profile *profile, struct way_of *of, size_t count)
{
    struct finding f = {.profile = profile, .of = of, .count = count};
    uint64_t *bytes = calloc(count + 1, sizeof *bytes);
    for (size_t i = 0; bytes && i < count; i++) {
        bytes[i] = of[i].bytes;
    }
    if (bytes) {
        qsort(bytes, count, sizeof *bytes, by_bytes);
        f.least = count > WAYS_MOST ? bytes[WAYS_MOST - 1] : 0;
    }
    int failed = bytes ? behind_each(trace, visit, &f) : -ENOMEM;
    free(bytes);
    if (failed) {
        complain("cannot unpack what stands behind it: %s, %s, set TMPDIR to a folder with room", strerror(-failed),
                 trace);
    }
}

void ways_end(struct way_of *of, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(of[i].way);
        free(of[i].type);
    }
    free(of);
}
