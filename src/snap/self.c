/* snap/self.c - see snap/self.h. A look at each mapping, and at what is there of large ones; no lock, no libc that takes one. */
#define _GNU_SOURCE
#include "snap/self.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "graph/grow.h"

enum { RED_ZONE = 128 };

struct making {
    struct snap_self *self;
    bool no_memory;
};

static void add(struct making *m, uintptr_t from, uintptr_t to, enum image_kind kind, int tid, const char *name)
{
    struct snap_self *self = m->self;
    if (from >= to) {
        return;
    }
    if (!grow((void **)&self->range, &self->room, self->ranges + 1, sizeof *self->range)) {
        m->no_memory = true;
        return;
    }
    const void *bytes = (const void *)from;
    self->range[self->ranges++] = (struct image_range){from, to, bytes, kind, tid, name && *name ? name : NULL};
}

static void hold(struct making *m, uintptr_t address)
{
    struct snap_self *self = m->self;
    if (!grow((void **)&self->held, &self->held_room, self->helds + 1, sizeof *self->held)) {
        m->no_memory = true;
        return;
    }
    self->held[self->helds++] = address;
}

/* -- mappings -- */

static bool is_writable(const struct os_mapping *m)
{
    return (m->flags & (OS_MAP_READ | OS_MAP_WRITE)) == (OS_MAP_READ | OS_MAP_WRITE);
}

/* glibc's stacks begin behind a guard. */
static bool is_behind_guard(const struct os_maps *maps, const struct os_mapping *m)
{
    return m > maps->mapping && m[-1].to == m->from && (m[-1].flags & 7) == 0 && *m->name == 0 && *m[-1].name == 0;
}

/* Memory that others have as well: what is a file's, or a device's, is not looked at; nor is what allot's observers have. */
static bool is_others(const struct os_mapping *m)
{
    static const char *const memory[] = {"/dev/zero", "/dev/shm/", "/memfd:", "/SYSV"};
    if ((m->to - m->from) >> 40) {
        return true; /* terabytes are a reserve, or a sanitizer's */
    }
    if (!(m->flags & OS_MAP_SHARED)) {
        return m->name[0] == '[' && strcmp(m->name, "[heap]") != 0 && strncmp(m->name, "[stack", 6) != 0 &&
               strncmp(m->name, "[anon", 5) != 0;
    }
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        if (strncmp(m->name, memory[i], strlen(memory[i])) == 0) {
            return strncmp(m->name, "/memfd:allot", 12) == 0 || strncmp(m->name, "/dev/shm/#", 10) == 0;
        }
    }
    return true;
}

/* -- what a piece of a mapping is -- */

/* Special pieces, by address: what lies between them is as its mapping. */
struct special {
    uintptr_t from, to;
    enum image_kind kind; /* IMAGE_HEAP: no root */
    int tid;
};

struct specials {
    struct special *one;
    size_t count, room;
};

static void mark(struct making *m, struct specials *s, uintptr_t from, uintptr_t to, enum image_kind kind, int tid)
{
    if (from >= to) {
        return;
    }
    if (!grow((void **)&s->one, &s->room, s->count + 1, sizeof *s->one)) {
        m->no_memory = true;
        return;
    }
    s->one[s->count++] = (struct special){from, to, kind, tid};
}

/* A page that is there, in memory or swapped out; and one that is a file's as it is there. */
#define PAGE_IS_THERE ((uint64_t)3 << 62)
#define PAGE_IS_FILES ((uint64_t)1 << 61)

/* What is looked for in pages, and what it is. */
struct pages {
    bool own;                    /* pages that are there, and no longer as the file has them; else all that are there */
    enum image_kind kind, other; /* of those that are such; and of the others, IMAGE_HEAP: nothing is said of them */
    bool known;                  /* what they are where the kernel says nothing */
    const char *name;
};

static void add_pages(struct making *m, uintptr_t from, uintptr_t to, const struct pages *what)
{
    enum { LOOK = 512 };
    uint64_t page[LOOK];
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uintptr_t begun = from, at = from;
    bool before = what->known;
    while (fd >= 0 && at < to) {
        long got = syscall(SYS_pread64, fd, page, sizeof page, (off_t)(at / os_page * sizeof *page));
        if (got < (long)sizeof *page) {
            break;
        }
        for (long i = 0; i < got / (long)sizeof *page && at < to; i++, at += os_page) {
            bool is = (page[i] & PAGE_IS_THERE) && !(what->own && page[i] & PAGE_IS_FILES);
            if (is != before && (before ? what->kind : what->other) != IMAGE_HEAP) {
                add(m, begun, at, before ? what->kind : what->other, 0, what->name);
            }
            begun = is != before ? at : begun;
            before = is;
        }
    }
    if (fd >= 0) {
        syscall(SYS_close, fd);
    }
    if ((before ? what->kind : what->other) != IMAGE_HEAP) {
        add(m, begun, to, before ? what->kind : what->other, 0, what->name);
    }
}

/* Pages of a file that has become shorter cannot be read. */
static void add_what_can_be_read(struct making *m, uintptr_t from, uintptr_t to, enum image_kind kind, const char *name)
{
    uintptr_t begun = from;
    for (uintptr_t at = from; at < to; at = (at | (os_page - 1)) + 1) {
        if (!os_readable(at & ~(uintptr_t)7)) {
            add(m, begun, at, kind, 0, name);
            begun = (at | (os_page - 1)) + 1;
        }
    }
    add(m, begun, to, kind, 0, name);
}

static void add_plain(struct making *m, const struct os_mapping *map, uintptr_t from, uintptr_t to,
                      enum image_kind kind)
{
    enum { LARGE = 1 << 20 };
    if (from >= to) {
        return;
    }
    if (kind == IMAGE_CONSTANT) {
        add_pages(m, from, to, &(struct pages){.own = true, .kind = IMAGE_RELRO, .other = kind, .name = map->name});
    } else if (map->name[0] == '/') {
        add_what_can_be_read(m, from, to, kind, map->name);
    } else if (to - from > LARGE) {
        /* The rest is zero, and would be made by looking at it. */
        add_pages(m, from & ~(os_page - 1), to, &(struct pages){.kind = kind, .other = IMAGE_HEAP, .known = true});
    } else {
        add(m, from, to, kind, 0, map->name);
    }
}

/* Of the mapping what no special piece covers; specials that begin before `next` are passed. */
static void add_mapping(struct making *m, const struct os_mapping *map, enum image_kind kind, const struct specials *s,
                        size_t *next)
{
    uintptr_t at = map->from;
    while (*next < s->count && s->one[*next].to <= map->from) {
        ++*next;
    }
    for (size_t i = *next; i < s->count && s->one[i].from < map->to; i++) {
        const struct special *one = &s->one[i];
        if (one->from > at) {
            add_plain(m, map, at, one->from, kind);
        }
        uintptr_t from = size_max(at, one->from), to = size_min(map->to, one->to);
        if (one->kind != IMAGE_HEAP && kind != IMAGE_CONSTANT) {
            add(m, from, to, one->kind, one->tid, map->name);
        }
        at = size_max(at, to);
    }
    add_plain(m, map, at, map->to, kind);
}

static enum image_kind kind_of(const struct os_maps *maps, const struct os_mapping *m, enum image_kind before)
{
    bool follows = m > maps->mapping && m[-1].to == m->from && *m->name == 0;
    if (!is_writable(m)) {
        return IMAGE_CONSTANT;
    }
    bool file = m->name[0] == '/' && !(m->flags & OS_MAP_SHARED);
    return file || (follows && before == IMAGE_GLOBALS) ? IMAGE_GLOBALS : IMAGE_OTHER;
}

static void add_mappings(struct making *m, const struct specials *s)
{
    const struct os_maps *maps = &m->self->maps;
    enum image_kind before = IMAGE_OTHER;
    size_t next = 0;
    for (size_t i = 0; i < maps->count && !m->no_memory; i++) {
        const struct os_mapping *map = &maps->mapping[i];
        enum image_kind kind = kind_of(maps, map, before);
        before = kind;
        bool constant = kind == IMAGE_CONSTANT && map->name[0] == '/' && map->flags & OS_MAP_READ &&
                        !(map->flags & (OS_MAP_WRITE | OS_MAP_SHARED));
        if (constant || (kind != IMAGE_CONSTANT && !is_others(map))) {
            add_mapping(m, map, kind, s, &next);
        }
    }
}

/* -- threads -- */

#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
/* What the C library has at a thread pointer: a table of TLS blocks, each with what is to be freed; before it, how many. */
struct dtv {
    uintptr_t value, to_free;
};
#if defined(__x86_64__)
enum { DTV_AT = 8, THREAD_BYTES = 2304, THREAD_BEFORE = 0 };
#else
enum { DTV_AT = 0, THREAD_BYTES = 1 << 20, THREAD_BEFORE = 2304 }; /* TLS lies behind it, as far as the mapping goes */
#endif

/* Where the thread's static TLS begins, that lies from `low` on, before its thread pointer; the pointer itself where that is not known.
 * Holds what the table itself, and the other blocks, lie in. */
static uintptr_t tls_begins(struct making *m, uintptr_t tp, uintptr_t low)
{
    const struct os_maps *maps = &m->self->maps;
    uintptr_t begins = size_max(tp - THREAD_BEFORE, low);
    if (!os_maps_can_read(maps, tp, DTV_AT + 8)) {
        return tp;
    }
    const struct dtv *dtv = (const struct dtv *)*(const uintptr_t *)(tp + DTV_AT);
    if ((uintptr_t)dtv % 8 || !os_maps_can_read(maps, (uintptr_t)(dtv - 1), 2 * sizeof *dtv)) {
        return tp;
    }
    size_t count = dtv[-1].value;
    if (count > 1 << 20 || !os_maps_can_read(maps, (uintptr_t)dtv, (count + 1) * sizeof *dtv)) {
        return tp;
    }
    hold(m, (uintptr_t)(dtv - 1));
    for (size_t i = 1; i <= count; i++) {
        if (dtv[i].value != UINTPTR_MAX && dtv[i].value) {
            hold(m, dtv[i].value);
            hold(m, dtv[i].to_free);
            begins = dtv[i].value >= low && dtv[i].value < begins ? dtv[i].value : begins;
        }
    }
    return begins;
}

#else
enum { THREAD_BYTES = 2048 };
static uintptr_t tls_begins(struct making *m, uintptr_t tp, uintptr_t low)
{
    (void)m;
    (void)low;
    return tp;
}
#endif

static bool is_in_areas(const struct snap_areas *areas, uintptr_t address)
{
    for (size_t i = 0; i < areas->count; i++) {
        if (address - areas->area[i].from < areas->area[i].to - areas->area[i].from) {
            return true;
        }
    }
    return false;
}

static void add_thread(struct making *m, struct specials *s, const struct os_thread *t)
{
    const struct os_maps *maps = &m->self->maps;
    const struct os_mapping *stack = os_maps_find(maps, t->sp), *tls = os_maps_find(maps, t->tp);
    int tid = t->tid;
    uintptr_t sp = t->self ? t->sp : t->sp - RED_ZONE;
    if (t->registers_bytes) { /* and what follows them up to the stack in use: the other registers */
        bool below = t->registers < sp && sp - t->registers < 65536;
        add(m, t->registers, below ? sp : t->registers + t->registers_bytes, IMAGE_REGISTERS, tid, NULL);
    }
    uintptr_t tls_from = 0;
    if (tls && is_writable(tls)) {
        bool of_stack = tls == stack && t->tp > t->sp;
        tls_from = tls_begins(m, t->tp, of_stack ? t->sp : tls->from);
        uintptr_t to = size_min(tls->to, align_up(t->tp + THREAD_BYTES, os_page));
        mark(m, s, tls_from, to, IMAGE_TLS, tid);
        tls_from = of_stack ? tls_from : 0;
    }
    if (is_in_areas(&m->self->areas, t->sp)) {
        hold(m, t->sp); /* a stack that is a block */
    } else if (stack && (tls_from || strncmp(stack->name, "[stack", 6) == 0)) {
        bool known = stack->name[0] == '[' || is_behind_guard(maps, stack);
        mark(m, s, stack->from, known ? sp : stack->from, IMAGE_HEAP, tid);
        mark(m, s, sp, tls_from ? tls_from : stack->to, IMAGE_STACK, tid);
    }
}

#if defined(__GLIBC__) && defined(__x86_64__)
/* What the C library has at the upper end of a thread's stack, which says itself where it is; 0: nothing such. */
static uintptr_t thread_at_end(uintptr_t from, uintptr_t to)
{
    enum { LOOK = 64 << 10, STEP = 64, SELF = 16 };
    if (to - from < THREAD_BYTES) {
        return 0;
    }
    uintptr_t least = to - size_min(LOOK, to - from);
    for (uintptr_t at = (to - THREAD_BYTES) & ~(uintptr_t)(STEP - 1); at > least; at -= STEP) {
        const uintptr_t *word = (const uintptr_t *)at;
        if (word[0] == at && word[SELF / 8] == at) {
            return at;
        }
    }
    return 0;
}

static bool is_alive(const struct os_threads *all, uintptr_t tp)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->thread[i].tid && all->thread[i].tp == tp) {
            return true;
        }
    }
    return false;
}

/* A stack that the C library keeps for the next thread: what is there was a thread's that has ended. What is mapped behind it may be one
 * mapping with it: then its end is where that is ours, or as far as stacks are long. */
static void pass_over_dead_stack(struct making *m, struct specials *s, const struct os_mapping *map)
{
    const struct snap_areas *areas = &m->self->areas;
    struct rlimit usual;
    uintptr_t thread = thread_at_end(map->from, map->to);
    for (size_t i = 0; i < areas->count && !thread; i++) {
        uintptr_t end = areas->area[i].from;
        thread = end > map->from && end < map->to ? thread_at_end(map->from, end) : 0;
        if (end > map->from) {
            break;
        }
    }
    if (!thread && getrlimit(RLIMIT_STACK, &usual) == 0 && usual.rlim_cur - os_page < map->to - map->from) {
        thread = thread_at_end(map->from, map->from - os_page + usual.rlim_cur);
    }
    if (thread && !is_alive(&m->self->threads, thread)) {
        mark(m, s, map->from, size_min(map->to, align_up(thread + THREAD_BYTES, os_page)), IMAGE_HEAP, 0);
        tls_begins(m, thread, thread); /* its tables wait with it */
    }
}
#else
static void pass_over_dead_stack(struct making *m, struct specials *s, const struct os_mapping *map)
{
    (void)m;
    (void)s;
    (void)map;
}
#endif

static void find_special(struct making *m, struct specials *s)
{
    struct snap_self *self = m->self;
    for (size_t i = 0; i < self->threads.count; i++) {
        const struct os_thread *t = &self->threads.thread[i];
        if (t->tid && t->stopped) {
            add_thread(m, s, t);
        }
        self->unstopped += t->tid && !t->stopped;
    }
    for (size_t i = 0; i < self->maps.count && self->unstopped == 0; i++) {
        const struct os_mapping *map = &self->maps.mapping[i];
        if (is_writable(map) && map->to - map->from >= 2 * os_page && is_behind_guard(&self->maps, map)) {
            pass_over_dead_stack(m, s, map);
        }
    }
    for (size_t i = 0; i < self->areas.count; i++) {
        mark(m, s, self->areas.area[i].from, self->areas.area[i].to, IMAGE_HEAP, 0);
    }
}

static const void *at_own(const struct image *image, uintptr_t address, size_t bytes)
{
    (void)image;
    (void)bytes;
    return (const void *)address;
}

bool snap_self_make(struct snap_self *self, const struct os_threads *threads, const void *apart, size_t apart_bytes,
                    snap_find_areas *find, void *arg)
{
    struct making m = {.self = self};
    struct specials s = {0};
    const struct image own = {.own = true, .at = at_own};
    *self = (struct snap_self){.threads = *threads, .pid = threads->pid};
    if (!os_maps_read(&self->maps) || !find(arg, self, &own)) {
        snap_self_end(self);
        return false;
    }
    mark(&m, &s, (uintptr_t)apart, (uintptr_t)apart + apart_bytes, IMAGE_HEAP, 0);
    find_special(&m, &s);
    snap_sort(s.one, s.count, sizeof *s.one);
    if (self->helds) {
        add(&m, 0, self->helds * sizeof *self->held, IMAGE_HELD, 0, NULL);
        self->range[self->ranges - 1].bytes = self->held;
    }
    add_mappings(&m, &s);
    grow_free(s.one, s.room, sizeof *s.one);
    self->image = (struct image){.range = self->range, .ranges = self->ranges, .own = true, .at = at_own};
    if (m.no_memory) {
        snap_self_end(self);
    }
    return !m.no_memory;
}

void snap_self_end(struct snap_self *self)
{
    grow_free(self->range, self->room, sizeof *self->range);
    grow_free(self->held, self->held_room, sizeof *self->held);
    grow_free(self->areas.area, self->areas.room, sizeof *self->areas.area);
    os_maps_free(&self->maps);
    *self = (struct snap_self){0};
}
