/* snap/leaks.c - the leaks of this process, found and said by itself. See include/allot/snapshot.h. All threads stand still while
 * it looks; then they go on, and it prints. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <allot/snapshot.h>

#include "base/here.h"
#include "graph/grow.h"
#include "heap/describe.h"
#include "heap/instance.h"
#include "os/fault.h"
#include "probe/calls.h"
#include "probe/record.h"
#include "probe/stack.h"
#include "snap/format.h"
#include "snap/suppress.h"
#include "snap/write.h"

/* Names by address, where there is somebody to ask. */
#pragma weak dladdr

/* What lived then: addresses, by address, as complements, which refer to nothing. */
struct allot_since {
    size_t count, room;
    uintptr_t hidden[];
};

/* What is known when the threads go on. */
struct found {
    struct snap_self self;
    struct graph_blocks blocks;
    struct graph graph;
    uint64_t *led;   /* of each definite block: bytes of all that go with it, its own included */
    uintptr_t *type; /* of each definite or possible one: its vtable, or 0 */
    bool *old;       /* lived at `since`; NULL: none */
    uint8_t *known;  /* of each stack's number, enum known_site: whether it is suppressed */
    size_t stacks;
};

static void give_up(struct found *f)
{
    size_t count = f->blocks.count;
    grow_free(f->led, count + 1, sizeof *f->led);
    grow_free(f->type, count + 1, sizeof *f->type);
    grow_free(f->old, count + 1, sizeof *f->old);
    grow_free(f->known, f->stacks, sizeof *f->known);
    if (f->graph.blocks) {
        graph_end(&f->graph);
    }
    snap_walk_free(&f->blocks);
    snap_self_end(&f->self);
}

static bool walk(struct found *f)
{
    struct snap_walk walk = {
        .image = &f->self.image, .desc = (uintptr_t)snap_self_desc(), .site = snap_own_site, .out = &f->blocks};
    return snap_walk(&walk) == SNAP_OK;
}

static bool lived(const struct allot_since *since, uintptr_t address)
{
    size_t from = 0, to = since->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (~since->hidden[middle] < address) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < since->count && ~since->hidden[from] == address;
}

/* What can be known only while all stand. */
static bool take_notes(struct found *f, const struct allot_since *since)
{
    size_t count = f->blocks.count;
    f->led = os_map((count + 1) * sizeof *f->led);
    f->type = os_map((count + 1) * sizeof *f->type);
    f->old = since ? os_map((count + 1) * sizeof *f->old) : NULL;
    if (!f->led || !f->type || (since && !f->old)) {
        return false;
    }
    graph_led(&f->graph, f->led);
    for (size_t i = 0; i < count; i++) {
        const struct graph_block *b = &f->blocks.block[i];
        uint8_t verdict = f->graph.verdict[i];
        if ((verdict == GRAPH_DEFINITE || verdict == GRAPH_POSSIBLE) && b->size >= sizeof(uintptr_t)) {
            f->type[i] = graph_vtable(&f->self.image, *(const uintptr_t *)b->address, 0);
        }
        if (since) {
            f->old[i] = lived(since, b->address);
        }
    }
    return true;
}

/* All threads stand still. */
static int look(struct found *f, const struct os_threads *threads, const struct allot_since *since)
{
    bool done = snap_self_begin(&f->self, threads, NULL, 0) && walk(f) &&
                graph_begin(&f->graph, &f->blocks, &f->self.image) && graph_mark(&f->graph) && take_notes(f, since);
    return done ? 0 : -ENOMEM;
}

/* -- in words -- */

/* Leaks that are alike: of one verdict, site, owner, type, and size. */
struct group {
    uint64_t key; /* first: snap_sort */
    uint32_t block;
    uint32_t blocks;
    uint64_t bytes, led;
};

static const char *name_of_type(uintptr_t vtable)
{
    Dl_info info;
    return vtable && dladdr && dladdr((const void *)vtable, &info) ? info.dli_sname : NULL;
}

static const char *name_of_owner(const struct found *f, size_t i, char out[96])
{
    const struct graph_owner *o = &f->blocks.owner[f->blocks.block[i].owner];
    if (!o->name) {
        return graph_owner_kind_name(o->kind);
    }
    snprintf(out, 96, "%s \"%.80s\"", graph_owner_kind_name(o->kind), o->name);
    for (char *c = out; *c; c++) {
        *c = *c < 32 || *c == 127 ? '?' : *c;
    }
    return out;
}

static uint64_t key_of(const struct found *f, size_t i)
{
    const struct graph_block *b = &f->blocks.block[i];
    const uint64_t parts[] = {f->graph.verdict[i], b->site, b->owner, f->type[i], b->size};
    uint64_t h = 0;
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        h = (h ^ parts[k]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

enum { SITE_FRAMES = 24 };
enum known_site { SITE_NOT_ASKED, SITE_SUPPRESSED, SITE_IS_NEWS };

/* A function or file of the stack's is. */
static bool site_is_suppressed(const struct found *f, uint32_t site, const struct suppressions *s)
{
    uintptr_t pc[SITE_FRAMES];
    if (site >= f->stacks) {
        return false;
    }
    size_t count = f->known[site] == SITE_NOT_ASKED ? calls_frames(site, pc, SITE_FRAMES) : 0;
    for (size_t i = 0; i < count && f->known[site] != SITE_SUPPRESSED; i++) {
        char text[256];
        stack_print(text, sizeof text, (const void *)pc[i], false);
        f->known[site] = suppress_has(s, text) ? SITE_SUPPRESSED : SITE_IS_NEWS;
    }
    return f->known[site] == SITE_SUPPRESSED;
}

static bool is_suppressed(const struct found *f, size_t i, const struct suppressions *s)
{
    char owner[96];
    return s->length && (suppress_has(s, name_of_type(f->type[i])) || suppress_has(s, name_of_owner(f, i, owner)) ||
                         site_is_suppressed(f, f->blocks.block[i].site, s));
}

static bool is_wanted(const struct found *f, size_t i)
{
    uint8_t verdict = f->graph.verdict[i];
    return (verdict == GRAPH_DEFINITE || verdict == GRAPH_POSSIBLE) && !(f->old && f->old[i]);
}

struct groups {
    struct group *group;
    size_t count, room;
};

/* False with memory out. */
static bool make_groups(const struct found *f, const struct suppressions *s, struct groups *out,
                        struct allot_leaks_sum *suppressed)
{
    for (size_t i = 0; i < f->blocks.count; i++) {
        if (!is_wanted(f, i)) {
            continue;
        }
        uint64_t size = f->blocks.block[i].size;
        if (is_suppressed(f, i, s)) {
            suppressed->blocks++;
            suppressed->bytes += size;
            f->graph.verdict[i] = GRAPH_UNKNOWN;
            continue;
        }
        if (!grow((void **)&out->group, &out->room, out->count + 1, sizeof *out->group)) {
            return false;
        }
        out->group[out->count++] =
            (struct group){key_of(f, i), (uint32_t)i, 1, size, f->led[i] > size ? f->led[i] - size : 0};
    }
    snap_sort(out->group, out->count, sizeof *out->group);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        struct group *last = kept ? &out->group[kept - 1] : NULL, *now = &out->group[i];
        if (last && last->key == now->key) {
            last->blocks++;
            last->bytes += now->bytes;
            last->led += now->led;
        } else {
            out->group[kept++] = *now;
        }
    }
    out->count = kept;
    for (size_t i = 0; i < kept; i++) { /* the worst first */
        out->group[i].key = UINT64_MAX - out->group[i].bytes - out->group[i].led;
    }
    snap_sort(out->group, kept, sizeof *out->group);
    return true;
}

/* Where it was allocated. */
static void say_site(uint32_t site)
{
    uintptr_t pc[SITE_FRAMES];
    size_t count = calls_frames(site, pc, SITE_FRAMES);
    for (size_t i = 0; i < count; i++) {
        char text[256];
        stack_print(text, sizeof text, (const void *)pc[i], false);
        os_say("    %s", text);
    }
}

static void say_groups(const struct found *f, const struct groups *g, enum graph_verdict verdict)
{
    enum { MOST = 50 };
    size_t said = 0, more = 0;
    for (size_t i = 0; i < g->count; i++) {
        const struct group *one = &g->group[i];
        if (f->graph.verdict[one->block] != verdict) {
            continue;
        }
        if (said++ >= MOST) {
            more++;
            continue;
        }
        char owner[96], led[64] = "";
        const struct graph_block *b = &f->blocks.block[one->block];
        const char *type = name_of_type(f->type[one->block]);
        if (one->led) {
            snprintf(led, sizeof led, ", and %llu that go with them", (unsigned long long)one->led);
        }
        os_say("  %u of %llu bytes: %llu bytes%s; %s%s%.120s; one at %p", one->blocks, (unsigned long long)b->size,
               (unsigned long long)one->bytes, led, name_of_owner(f, one->block, owner), type ? ", type " : "",
               type ? type : "", (const void *)b->address);
        if (b->site) {
            say_site(b->site);
        }
    }
    if (more) {
        os_say("  and %zu other groups", more);
    }
}

static void say_sum(const char *what, struct allot_leaks_sum sum)
{
    os_say("%s: %llu blocks, %llu bytes", what, (unsigned long long)sum.blocks, (unsigned long long)sum.bytes);
}

static void say(const struct found *f, const struct groups *g, const struct allot_leaks *all)
{
    os_say("leaks of process %d", f->self.pid);
    say_sum("definite (nobody points to them)", all->definite);
    say_groups(f, g, GRAPH_DEFINITE);
    say_sum("indirect (only definite ones do)", all->indirect);
    say_sum("possible (only pointers into their middle)", all->possible);
    say_groups(f, g, GRAPH_POSSIBLE);
    say_sum("reachable", all->reachable);
    say_sum("thread-only (stacks and registers)", all->thread_only);
    if (all->suppressed.blocks) {
        say_sum("suppressed", all->suppressed);
    }
    if (all->unstopped) {
        os_say("%u threads did not stop: their stacks were looked at as a whole, their registers not", all->unstopped);
    }
}

static void add_up(const struct found *f, struct allot_leaks *out)
{
    struct allot_leaks_sum *const of[] = {NULL,           &out->reachable, &out->thread_only,
                                          &out->possible, &out->indirect,  &out->definite};
    for (size_t i = 0; i < f->blocks.count; i++) {
        struct allot_leaks_sum *sum = f->old && f->old[i] ? NULL : of[f->graph.verdict[i]];
        if (sum) {
            sum->blocks++;
            sum->bytes += f->blocks.block[i].size;
        }
    }
    out->unstopped = f->self.unstopped;
}

/* -- the calls -- */

/* `sp`: all that is in use of the stack up to here is looked at, and nothing of what is found must lie there. */
static int stop_and_look(struct found *f, const struct allot_since *since, uintptr_t sp)
{
    struct os_threads threads = snap_stop(sp);
    int error = look(f, &threads, since);
    snap_go();
    return error ? error : threads.trouble;
}

static int __attribute__((noinline))
find_leaks(const struct allot_leaks_opts *opts, struct allot_leaks *out, uintptr_t sp)
{
    struct found f = {0};
    struct suppressions s = {0};
    struct groups g = {0};
    int error = opts->suppressions ? suppress_read(&s, opts->suppressions) : 0;
    *out = (struct allot_leaks){0};
    error = error ? error : stop_and_look(&f, opts->since, sp);
    if (!error && s.length) {
        f.stacks = calls_nodes() + (size_t)1;
        f.known = os_map(f.stacks * sizeof *f.known);
        f.stacks = f.known ? f.stacks : 0;
    }
    if (!error) {
        error = make_groups(&f, &s, &g, &out->suppressed) ? 0 : -ENOMEM;
    }
    if (!error) {
        add_up(&f, out);
        if (opts->print && !(opts->quiet_if_none && out->definite.blocks + out->possible.blocks == 0)) {
            say(&f, &g, out);
        }
    }
    grow_free(g.group, g.room, sizeof *g.group);
    suppress_free(&s);
    give_up(&f);
    return error;
}

int allot_leaks(const struct allot_leaks_opts *opts, struct allot_leaks *out)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->leaks(opts, out);
    }
    static const struct allot_leaks_opts none;
    int saved = errno, error = find_leaks(opts ? opts : &none, out, stack_with_registers());
    errno = saved;
    return error;
}

static struct allot_since *__attribute__((noinline)) note_all(uintptr_t sp)
{
    struct found f = {0};
    struct allot_since *since = NULL;
    struct os_threads threads = snap_stop(sp);
    if (snap_self_begin(&f.self, &threads, NULL, 0) && walk(&f)) {
        size_t room = sizeof *since + f.blocks.count * sizeof *since->hidden;
        since = os_map(room);
        for (size_t i = 0; since && i < f.blocks.count; i++) {
            since->hidden[i] = ~f.blocks.block[i].address;
        }
        if (since) {
            since->count = f.blocks.count;
            since->room = room;
        }
    }
    snap_go();
    give_up(&f);
    return since;
}

static bool __attribute__((noinline))
tell_verdicts(void (*visit)(void *arg, const void *block, uint64_t retains, unsigned verdict), void *arg, uintptr_t sp)
{
    struct found f = {0};
    bool done = stop_and_look(&f, NULL, sp) == 0;
    for (size_t i = 0; done && i < f.blocks.count; i++) {
        const struct graph_block *b = &f.blocks.block[i];
        visit(arg, (const void *)b->address, f.led[i] > b->size ? f.led[i] : 0, f.graph.verdict[i]);
    }
    give_up(&f);
    return done;
}

bool snap_verdicts(void (*visit)(void *arg, const void *block, uint64_t retains, unsigned verdict), void *arg)
{
    return tell_verdicts(visit, arg, stack_with_registers());
}

struct allot_since *allot_since(void)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->since();
    }
    int saved = errno;
    struct allot_since *since = note_all(stack_with_registers());
    errno = since ? saved : ENOMEM;
    return since;
}

void allot_since_done(struct allot_since *since)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->since_done(since);
    } else if (since) {
        os_unmap(since, since->room);
    }
}

/* -- leaks=exit -- */

struct snap_exit snap_exit = {.status = 23};

/* With "%p" in it replaced by the process's number. */
static void own_path(char out[300], const char *path)
{
    const char *mark = strstr(path, "%p");
    if (mark) {
        snprintf(out, 300, "%.*s%d%s", (int)(mark - path), path, (int)getpid(), mark + 2);
    } else {
        snprintf(out, 300, "%s", path);
    }
}

static int __attribute__((noinline)) write_at_exit(const char *pattern, uintptr_t sp)
{
    char path[300];
    struct stat file;
    own_path(path, pattern);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600), error = fd < 0 ? -errno : 0;
    if (error) {
        return error;
    }
    struct sigaction on_size; /* a file that is too long is an error, and not this process's end */
    sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, &on_size);
    struct snap_self self;
    struct os_threads threads = snap_stop(sp);
    error = snap_self_begin(&self, &threads, NULL, 0) ? snap_write(fd, &self, SNAP_AT_EXIT) : -ENOMEM;
    snap_go();
    snap_self_end(&self);
    sigaction(SIGXFSZ, &on_size, NULL);
    if (error && fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
        unlink(path);
    }
    close(fd);
    return error;
}

void snap_at_exit(void)
{
    if (!snap_exit.leaks) {
        return;
    }
    struct allot_leaks_opts opts = {.print = true, .quiet_if_none = true};
    struct allot_leaks all = {.unstopped = 0};
    opts.suppressions = snap_exit.suppress[0] ? snap_exit.suppress : NULL;
    int error = snap_exit.file[0] ? write_at_exit(snap_exit.file, stack_with_registers()) : allot_leaks(&opts, &all);
    bool told = recorder_on() && recorder_flags() & RING_LEAKS_AT_EXIT; /* to who records: this is what comes on top */
    if (error && !told) {
        os_say("leaks=exit: %s%s%s; nothing is known of leaks", snap_exit.file, snap_exit.file[0] ? ": " : "",
               strerror(-error));
    } else if (!error && all.definite.blocks && snap_exit.status) {
        fflush(NULL); /* libc would do it after this */
        _exit(snap_exit.status);
    }
}
