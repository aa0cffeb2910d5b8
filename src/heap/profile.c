/* heap/profile.c - what has been sampled, for others: as pprof's profile.proto, as text, to a callback; and at exit, when the options
 * say so. See include/allot/sample.h.
 *
 * Stacks are never removed, so they are followed without a lock, and each is looked at under it for a moment. What is needed
 * meanwhile is mapped and not allocated.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#include <allot/sample.h>

#include "heap/choice.h"
#include "heap/hard.h"
#include "heap/instance.h"
#include "heap/options.h"
#include "heap/sample.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/print.h"
#include "os/process.h"
#include "probe/calls.h"
#include "probe/mapped.h"
#include "probe/pprof.h"
#include "probe/stack.h"

enum { DEPTH_MOST = 512, MAPPINGS_MOST = 4096 };

int allot_sample_rate(size_t bytes)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->sample_rate(bytes);
    }
    heap_init();
    if (bytes > CHOICE_MEAN_MOST) {
        return -EINVAL;
    }
    return sample_set(bytes) ? 0 : -ENOTSUP;
}

/* -- one by one -- */

static struct allot_sample_stack told(const struct sample_stack *s, const uintptr_t *frames, size_t depth)
{
    double freed = s->freed.blocks, mean = freed > 0 ? s->lifetime / freed : 0;
    double variance = freed > 0 ? s->lifetime_squared / freed - mean * mean : 0, deviation = variance;
    for (int i = 0; variance > 0 && i < 64; i++) { /* its root, by Newton: there is no libm */
        deviation = (deviation + variance / deviation) / 2;
    }
    bool some = s->samples > s->live;
    return (struct allot_sample_stack){
        .frames = frames,
        .depth = depth,
        .samples = s->samples,
        .live_samples = s->live,
        .alloc_blocks = s->had.blocks,
        .alloc_bytes = s->had.bytes,
        .live_blocks = s->live ? s->had.blocks - s->freed.blocks : 0,
        .live_bytes = s->live ? s->had.bytes - s->freed.bytes : 0,
        .peak_blocks = s->at_peak.blocks,
        .peak_bytes = s->at_peak.bytes,
        .lifetime_mean = mean / 1e9,
        .lifetime_deviation = variance > 0 ? deviation / 1e9 : 0,
        .lifetime_least = some ? (double)s->shortest / 1e9 : 0,
        .lifetime_most = some ? (double)s->longest / 1e9 : 0,
        .same_thread = some && freed > 0 ? s->same_thread / freed : 0,
    };
}

int allot_sample_walk(int (*visit)(const struct allot_sample_stack *stack, void *arg), void *arg)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->sample_walk(visit, arg);
    }
    heap_init();
    uintptr_t *frames = os_map(DEPTH_MOST * sizeof *frames);
    if (!frames) {
        return -ENOMEM;
    }
    int stop = 0;
    for (const struct sample_stack *s = sample_stacks(); s && !stop; s = s->older) {
        struct sample_stack now = sample_look(s);
        struct allot_sample_stack one = told(&now, frames, calls_frames(s->number, frames, DEPTH_MOST));
        stop = visit(&one, arg);
    }
    os_unmap(frames, DEPTH_MOST * sizeof *frames);
    return stop;
}

/* -- pprof -- */

/* The numbers that addresses have been given: a hash table of as many as there can be; and the parts of files they lie in. */
struct location {
    uintptr_t pc;
    uint64_t id;
};
struct part {
    uintptr_t start, end;
};
struct writer {
    struct pprof pprof;
    int fd, error;
    uint64_t locations, capacity; /* a power of two */
    size_t parts, mapped;         /* bytes of all this */
    struct mapped found;
    bool nowhere;                    /* has been written: the mapping of what lies in none */
    struct part part[MAPPINGS_MOST]; /* mapping i + 1 */
    uintptr_t frames[DEPTH_MOST];
    uint64_t stack[DEPTH_MOST];
    struct location location[];
};

static bool to_descriptor(void *arg, const void *bytes, size_t length)
{
    struct writer *w = arg;
    w->error = os_write(w->fd, bytes, length);
    return w->error == 0;
}

static void write_mapping(struct writer *w, uint64_t id, const struct mapped *found)
{
    char build_id[PPROF_BUILD_ID];
    pprof_build_id(build_id, found->id, found->id_length, found->path);
    struct pprof_mapping mapping = {.id = id, .start = found->start, .limit = found->end, .offset = found->offset};
    mapping.file = pprof_string(&w->pprof, found->path);
    mapping.build_id = pprof_string(&w->pprof, build_id);
    pprof_mapping(&w->pprof, &mapping);
}

enum { NOWHERE = MAPPINGS_MOST + 1 };

static uint64_t mapping_of(struct writer *w, uintptr_t pc)
{
    for (size_t i = 0; i < w->parts; i++) {
        if (pc >= w->part[i].start && pc < w->part[i].end) {
            return i + 1;
        }
    }
    if (w->parts == MAPPINGS_MOST || !mapped_find(pc, &w->found)) {
        static const struct mapped nowhere = {.start = 1, .end = UINTPTR_MAX, .path = "[no file]"};
        if (!w->nowhere) {
            w->nowhere = true;
            write_mapping(w, NOWHERE, &nowhere);
        }
        return NOWHERE;
    }
    w->part[w->parts] = (struct part){w->found.start, w->found.end};
    write_mapping(w, ++w->parts, &w->found);
    return w->parts;
}

/* Of what a call returns to; the call is the instruction before. */
static uint64_t location_of(struct writer *w, uintptr_t pc)
{
    uint64_t at = (pc * 0x9e3779b97f4a7c15u >> 20) & (w->capacity - 1);
    while (w->location[at].id != 0 && w->location[at].pc != pc) {
        at = (at + 1) & (w->capacity - 1);
    }
    if (w->location[at].id == 0) {
        w->location[at] = (struct location){pc, ++w->locations};
        uint64_t mapping = mapping_of(w, pc - 1);
        pprof_location(&w->pprof, w->locations, mapping, pc - 1, NULL, 0);
    }
    return w->location[at].id;
}

/* Not less than nothing, as a difference of sums may be. */
static int64_t whole(double x) { return x > 0 ? (int64_t)(x + 0.5) : 0; }

static void write_stack(struct writer *w, const struct sample_stack *s)
{
    struct sample_stack now = sample_look(s);
    size_t depth = calls_frames(now.number, w->frames, DEPTH_MOST), kept = 0;
    for (size_t i = 0; i < depth; i++) {
        if (w->frames[i] > CALLS_ELIDED) {
            w->stack[kept++] = location_of(w, w->frames[i]);
        }
    }
    struct allot_sample_stack one = told(&now, w->frames, depth);
    const int64_t values[] = {whole(one.alloc_blocks), whole(one.alloc_bytes), whole(one.live_blocks),
                              whole(one.live_bytes),   whole(one.peak_blocks), whole(one.peak_bytes)};
    pprof_sample(&w->pprof, w->stack, kept, values, NULL, 0);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* As many addresses as stacks have nodes: later ones wait for the next profile. */
static struct writer *new_writer(int fd)
{
    uint64_t capacity = 1024;
    while (capacity < 2 * ((uint64_t)calls_nodes() + 1)) {
        capacity *= 2;
    }
    size_t bytes = sizeof(struct writer) + capacity * sizeof(struct location);
    struct writer *w = os_map(bytes);
    if (w) {
        w->fd = fd;
        w->capacity = capacity;
        w->mapped = bytes;
    }
    return w;
}

/* Where the library is linked into the program, what is to be left out is known by name only. */
static const char own_names[] =
    "(allot_)?(malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|memalign|valloc|"
    "pvalloc)|operator new.*|slow_malloc|heap_alloc_more_(small|mid)|heap_alloc_little|big_alloc";

static int write_pprof(int fd)
{
    const struct sample_stack *newest = sample_stacks();
    struct writer *w = new_writer(fd);
    if (!w) {
        return -ENOMEM;
    }
    struct pprof *p = &w->pprof;
    pprof_begin(p, to_descriptor, w);
    pprof_heap_types(p);
    pprof_sample_type(p, "peak_objects", "count");
    pprof_sample_type(p, "peak_space", "bytes");
    pprof_period(p, "space", "bytes", (int64_t)choice_sample_mean());
    pprof_time(p, now_ns(), 0);
    pprof_drop(p, own_names);
    mapping_of(w, getauxval(AT_ENTRY)); /* the first one is taken for the program */
    for (const struct sample_stack *s = newest; s; s = s->older) {
        write_stack(w, s);
    }
    pprof_end(p);
    int error = w->error;
    os_unmap(w, w->mapped);
    return error;
}

/* -- text -- */

static void put_stack(struct page *page, const struct sample_stack *s, uintptr_t *frames)
{
    size_t depth = calls_frames(s->number, frames, DEPTH_MOST);
    struct allot_sample_stack one = told(s, frames, depth);
    put(page,
        "%.0f bytes in %.0f blocks live, of %.0f in %.0f had; %.0f at the peak; %" PRIu64 " of %" PRIu64 " samples\n",
        one.live_bytes, one.live_blocks, one.alloc_bytes, one.alloc_blocks, one.peak_bytes, one.live_samples,
        one.samples);
    if (one.samples > one.live_samples) {
        put(page, "  lived %.6f s on average, deviation %.6f, from %.6f to %.6f; freed by the same thread: %.0f %%\n",
            one.lifetime_mean, one.lifetime_deviation, one.lifetime_least, one.lifetime_most, one.same_thread * 100);
    }
    for (size_t i = 0; i < depth; i++) {
        char text[256] = "(deeper)";
        if (frames[i] > CALLS_ELIDED) {
            stack_print(text, sizeof text, (const void *)frames[i], false);
        }
        put(page, "    %s\n", text);
    }
}

static int by_live_bytes(const void *a, const void *b)
{
    const struct sample_stack *x = a, *y = b;
    double live_x = x->had.bytes - x->freed.bytes, live_y = y->had.bytes - y->freed.bytes;
    return live_x < live_y ? 1 : live_x > live_y ? -1 : x->number < y->number ? -1 : x->number > y->number;
}

/* Sorted in place, without libc's qsort, which may allocate. */
static void sift(struct sample_stack *of, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && by_live_bytes(&of[child], &of[child + 1]) < 0;
        if (by_live_bytes(&of[at], &of[child]) >= 0) {
            return;
        }
        struct sample_stack swap = of[at];
        of[at] = of[child];
        of[child] = swap;
    }
}

static void sort(struct sample_stack *of, size_t count)
{
    for (size_t i = count / 2; i-- > 0;) {
        sift(of, i, count);
    }
    for (size_t n = count; n-- > 1;) {
        struct sample_stack swap = of[0];
        of[0] = of[n];
        of[n] = swap;
        sift(of, 0, n);
    }
}

static int write_text(int fd)
{
    const struct sample_stack *newest = sample_stacks();
    size_t count = 0, n = 0;
    for (const struct sample_stack *s = newest; s; s = s->older) {
        count++;
    }
    size_t bytes = count * sizeof *newest + DEPTH_MOST * sizeof(uintptr_t);
    uintptr_t *frames = os_map(bytes);
    if (!frames) {
        return -ENOMEM;
    }
    struct sample_stack *all = (struct sample_stack *)(frames + DEPTH_MOST);
    struct sample_sum live = {0}, had = {0};
    for (const struct sample_stack *s = newest; s; s = s->older) {
        struct sample_stack now = sample_look(s);
        had.bytes += now.had.bytes;
        had.blocks += now.had.blocks;
        if (now.live) {
            live.bytes += now.had.bytes - now.freed.bytes;
            live.blocks += now.had.blocks - now.freed.blocks;
            all[n++] = now;
        }
    }
    sort(all, n);
    struct page page = {.fd = fd};
    put(&page,
        "sampled, one byte of %zu: about %.0f bytes in %.0f blocks live, of %.0f in %.0f had; %zu stacks of %zu\n",
        choice_sample_mean(), live.bytes, live.blocks, had.bytes, had.blocks, n, count);
    for (size_t i = 0; i < n; i++) {
        put(&page, "\n");
        put_stack(&page, &all[i], frames);
    }
    flush(&page);
    os_unmap(frames, bytes);
    return page.error;
}

int allot_sample_write(int fd, enum allot_sample_format format)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->sample_write(fd, format);
    }
    heap_init();
    int saved = errno;
    int error = format == ALLOT_PPROF ? write_pprof(fd) : format == ALLOT_TEXT ? write_text(fd) : -EINVAL;
    errno = saved;
    return error;
}

/* -- at exit -- */

/* "%p" is the process's id. Without it the file is that of the process that was told of it, and not of those that it forks. */
static bool name_of(char *out, size_t size)
{
    const char *mark = strstr(options.sample_write, "%p");
    if (!mark) {
        snprintf(out, size, "%s", options.sample_write);
        return options.sample_pid == os_process_id();
    }
    snprintf(out, size, "%.*s%d%s", (int)(mark - options.sample_write), options.sample_write, os_process_id(),
             mark + 2);
    return true;
}

__attribute__((destructor)) static void write_at_exit(void)
{
    char name[sizeof options.sample_write + 16];
    if (options.sample_write[0] == 0 || instance_in_use() || !name_of(name, sizeof name)) {
        return;
    }
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int error = fd < 0 ? -errno : allot_sample_write(fd, ALLOT_PPROF);
    if (error) {
        os_say("profile: %s: %s; choose another file with ALLOT_OPTIONS=sample_write=FILE", name, strerror(-error));
    }
    if (fd >= 0) {
        close(fd);
    }
}
