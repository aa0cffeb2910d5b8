/* replayer.c - replays a script (script.h) on the malloc that it was started with, LD_PRELOAD's or the C library's, and says what came of it.
 *
 *   allot-replay SCRIPT RESULT MODE LIBRARY      two descriptors' numbers, an enum replayer_mode, and the file malloc has to be in or ""
 *
 * Links nothing but the C library. What it needs itself is mapped shared and there before the first step, in which malloc is asked for
 * nothing: so what becomes resident anonymous memory from then on is the malloc's. The trace's first thread is this process's first; a trace with
 * one thread leaves it the only one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "replayer/walk.h"

#define FEED_MOST  16384 /* steps in a thread's buffer */
#define FEED_LEAST 256
#define FEED_ALL   ((size_t)16 << 20) /* bytes of all buffers, about */
#define STACK      (64 << 10)
#define EXACT      ((uint64_t)1 << 30) /* resident bytes up to which they are counted page by page */

struct __attribute__((aligned(64))) worker {
    struct walk walk;
    struct replayer *replayer;
    struct step *buffer;
    uint64_t at, end; /* of its steps that are not read yet, in the file */
    pthread_t thread;
};

struct replayer {
    int script;
    uint32_t feed; /* steps in each buffer */
    struct script_head head;
    struct order order;
    struct worker *worker;
    struct replayer_result *result;
    int rollup, statm;
    uint64_t before; /* resident, before the first step */
    uint32_t moment;
    pthread_barrier_t ready;
};

static void give_up(struct replayer *r, const char *what)
{
    snprintf(r->result->trouble, sizeof r->result->trouble, "%s", what);
    _exit(1);
}

/* Shared, so that it is not counted as the malloc's; all there, so that no time goes into its faults. */
static void *map_own(struct replayer *r, size_t bytes)
{
    void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED) {
        give_up(r, "no memory for the replay's own tables");
    }
    return p;
}

static void read_at(struct replayer *r, void *to, size_t bytes, uint64_t at)
{
    for (char *p = to; bytes > 0;) {
        ssize_t got = pread(r->script, p, bytes, (off_t)at);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            give_up(r, "the steps to replay cannot be read");
        }
        if (got > 0) {
            p += got;
            at += (uint64_t)got;
            bytes -= (size_t)got;
        }
    }
}

/* -- how much is resident -- */

/* Of a text with lines `Name: N kB`: bytes; 0: there is none. */
static uint64_t line_of(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line ? strtoull(line + strlen(name), NULL, 10) << 10 : 0;
}

static bool read_text(int fd, char *text, size_t room)
{
    ssize_t got = fd >= 0 ? pread(fd, text, room - 1, 0) : -1;
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* Anonymous memory of this process. Page by page, as the kernel's counters may be hundreds of pages behind; with much of it, by those. */
static uint64_t resident(struct replayer *r)
{
    char text[4096];
    unsigned long long all = 0, shared = 0;
    if (read_text(r->statm, text, sizeof text) && sscanf(text, "%*u %llu %llu", &all, &shared) != 2) {
        all = shared = 0;
    }
    uint64_t counted = all > shared ? (all - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    if (counted < EXACT && read_text(r->rollup, text, sizeof text)) {
        return line_of(text, "\nAnonymous:") + line_of(text, "\nSwap:") + line_of(text, "\nPrivate_Hugetlb:");
    }
    return counted;
}

static uint64_t above(uint64_t now, uint64_t before) { return now > before ? now - before : 0; }

static void measure(struct walk *walk)
{
    struct replayer *r = walk->arg;
    struct replayer_result *result = r->result;
    uint64_t now = above(resident(r), r->before);
    if (r->moment < SCRIPT_MOMENTS) {
        result->resident[r->moment++] = now;
    }
    result->peak = now > result->peak ? now : result->peak;
}

/* The kernel's own high-water mark, less what is not anonymous: it knows of peaks between moments. */
static uint64_t high_water(struct replayer *r)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    bool read = read_text(fd, text, sizeof text);
    close(fd);
    if (!read) {
        return 0;
    }
    return above(line_of(text, "\nVmHWM:"), line_of(text, "\nRssFile:") + line_of(text, "\nRssShmem:") + r->before);
}

/* -- threads -- */

static uint32_t refill(struct walk *walk, const struct step **steps)
{
    struct worker *w = (struct worker *)walk;
    uint64_t left = (w->end - w->at) / sizeof(struct step);
    uint32_t count = left < w->replayer->feed ? (uint32_t)left : w->replayer->feed;
    if (count > 0) {
        read_at(w->replayer, w->buffer, count * sizeof(struct step), w->at);
        w->at += count * sizeof(struct step);
        __atomic_fetch_add(&w->replayer->result->steps, count, __ATOMIC_RELAXED);
    }
    *steps = w->buffer;
    return count;
}

/* As deep as a malloc goes: else it would be counted as the malloc's. */
static __attribute__((noinline)) void touch_stack(void)
{
    volatile char deep[STACK];
    for (size_t i = 0; i < sizeof deep; i += WALK_PAGE) {
        deep[i] = 0;
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    touch_stack();
    pthread_barrier_wait(&w->replayer->ready); /* all are there */
    pthread_barrier_wait(&w->replayer->ready); /* and it has been looked how much was resident before */
    walk_do(&w->walk);
    return NULL;
}

static void set_up(struct replayer *r, enum replayer_mode mode)
{
    read_at(r, &r->head, sizeof r->head, 0);
    if (r->head.magic != SCRIPT_MAGIC || r->head.threads == 0 || r->head.threads > SCRIPT_THREADS) {
        give_up(r, "the steps to replay are of another version of allot");
    }
    uint32_t threads = r->head.threads;
    uint64_t *from = map_own(r, (threads + 1) * sizeof *from);
    read_at(r, from, (threads + 1) * sizeof *from, offsetof(struct script_head, thread));
    r->order.block = map_own(r, r->head.blocks * sizeof *r->order.block);
    r->order.left = map_own(r, r->head.epochs * sizeof *r->order.left);
    read_at(r, (void *)r->order.left, r->head.epochs * sizeof *r->order.left, r->head.left);

    uint64_t feed = FEED_ALL / sizeof(struct step) / threads;
    r->feed = feed > FEED_MOST ? FEED_MOST : feed < FEED_LEAST ? FEED_LEAST : (uint32_t)feed;
    r->worker = map_own(r, threads * sizeof *r->worker);
    struct step *buffers = map_own(r, (size_t)threads * r->feed * sizeof *buffers);
    char *scratch = map_own(r, WALK_SCRATCH);
    for (uint32_t i = 0; i < threads; i++) {
        r->worker[i] = (struct worker){.walk = {.order = &r->order,
                                                .number = i + 1,
                                                .mode = mode,
                                                .refill = refill,
                                                .measure = measure,
                                                .arg = r,
                                                .scratch = scratch},
                                       .replayer = r,
                                       .buffer = buffers + (size_t)i * r->feed,
                                       .at = from[i],
                                       .end = from[i + 1]};
    }
}

static void start_threads(struct replayer *r)
{
    if (r->head.threads == 1) {
        return;
    }
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    pthread_barrier_init(&r->ready, NULL, r->head.threads);
    for (uint32_t i = 1; i < r->head.threads; i++) {
        if (pthread_create(&r->worker[i].thread, &attr, work, &r->worker[i]) != 0) {
            give_up(r, "the system gives it no more threads");
        }
    }
    pthread_barrier_wait(&r->ready);
}

/* What a piece has of reading the clock: between two readings is one. The median, as some are disturbed. */
static uint64_t clock_cost(void)
{
    uint64_t cost[101];
    for (int i = 0; i < 101; i++) {
        uint64_t now = walk_clock(), took = walk_clock() - now;
        int at = i;
        for (; at > 0 && cost[at - 1] > took; at--) {
            cost[at] = cost[at - 1];
        }
        cost[at] = took;
    }
    return cost[50];
}

static uint64_t faults(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)use.ru_minflt + (uint64_t)use.ru_majflt;
}

static void replay(struct replayer *r)
{
    struct replayer_result *result = r->result;
    touch_stack();
    start_threads(r);
    r->before = resident(r);
    uint64_t faults_before = faults();
    if (r->head.threads > 1) {
        pthread_barrier_wait(&r->ready);
    }
    walk_do(&r->worker[0].walk);
    for (uint32_t i = 1; i < r->head.threads; i++) {
        pthread_join(r->worker[i].thread, NULL);
    }
    result->faults = faults() - faults_before;
    uint64_t high = high_water(r);
    result->peak = high > result->peak ? high : result->peak;
    uint64_t cost = clock_cost();
    for (uint32_t i = 0; i < r->head.threads; i++) {
        result->ns += above(r->worker[i].walk.ns, r->worker[i].walk.pieces * cost);
        result->refused += r->worker[i].walk.refused;
    }
}

/* -- the malloc -- */

/* What it says of itself, by the functions that each has for it. */
static void tell_version(struct replayer_result *result)
{
    char *out = result->version;
    size_t room = sizeof result->version;
    int (*mallctl)(const char *, void *, size_t *, void *, size_t) = dlsym(RTLD_DEFAULT, "mallctl");
    int (*mi_version)(void) = dlsym(RTLD_DEFAULT, "mi_version");
    const char *(*tc_version)(int *, int *, const char **) = dlsym(RTLD_DEFAULT, "tc_version");
    const char *(*libc_version)(void) = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    const char *text;
    size_t bytes = sizeof text;
    if (mi_version) {
        snprintf(out, room, "%d.%d.%d", mi_version() / 100, mi_version() / 10 % 10, mi_version() % 10);
    } else if (tc_version) {
        int major, minor;
        snprintf(out, room, "%s", tc_version(&major, &minor, &text));
    } else if (mallctl && mallctl("version", &text, &bytes, NULL, 0) == 0) {
        snprintf(out, room, "%s", text);
    } else if (libc_version && strstr(result->path, "libc.so")) {
        snprintf(out, room, "%s", libc_version());
    }
}

/* It has to be the malloc of that file: the dynamic linker goes on without a library that it cannot load. */
static void find_malloc(struct replayer *r, const char *library)
{
    Dl_info info;
    char path[4096];
    void *function = dlsym(RTLD_DEFAULT, "malloc");
    if (!function || !dladdr(function, &info) || !realpath(info.dli_fname, path)) {
        give_up(r, "it cannot be found whose malloc this is");
    }
    snprintf(r->result->path, sizeof r->result->path, "%.*s", (int)sizeof r->result->path - 1, path);
    char wanted[4096];
    if (*library && (!realpath(library, wanted) || strcmp(path, wanted) != 0)) {
        give_up(r, "it has no malloc, or the dynamic linker did not load it");
    }
    tell_version(r->result);
    r->result->loaded = 1;
}

int main(int argc, char **argv)
{
    static struct replayer r;
    if (argc != 5) {
        fprintf(stderr, "allot-replay: is started by allot compare\n");
        return 2;
    }
    r.script = atoi(argv[1]);
    r.result = mmap(NULL, sizeof *r.result, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(argv[2]), 0);
    if (r.result == MAP_FAILED) {
        fprintf(stderr, "allot-replay: no memory shared with allot compare\n");
        return 1;
    }
    find_malloc(&r, argv[4]);
    r.rollup = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    r.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    set_up(&r, (enum replayer_mode)atoi(argv[3]));
    replay(&r);
    r.result->done = 1;
    return 0;
}
