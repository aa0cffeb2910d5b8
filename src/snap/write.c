/* snap/write.c - see snap/write.h: walk, index, edges, and out they go through a buffer. */
#define _GNU_SOURCE
#include "snap/write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "graph/grow.h"
#include "probe/calls.h"
#include "probe/mapped.h"
#include "probe/object.h"
#include "snap/format.h"

struct out {
    int fd, error;
    size_t have;
    char buffer[32768];
};

static void flush(struct out *o)
{
    for (size_t at = 0; at < o->have && !o->error;) {
        long done = syscall(SYS_write, o->fd, o->buffer + at, o->have - at);
        if (done < 0 && errno != EINTR) {
            o->error = -errno;
        }
        at += done > 0 ? (size_t)done : 0;
    }
    o->have = 0;
}

static void put(struct out *o, const void *bytes, size_t count)
{
    const char *from = bytes;
    while (count && !o->error) {
        size_t now = size_min(count, sizeof o->buffer - o->have);
        memcpy(o->buffer + o->have, from, now);
        o->have += now;
        from += now;
        count -= now;
        if (o->have == sizeof o->buffer) {
            flush(o);
        }
    }
}

static void begin_section(struct out *o, enum snap_section section, size_t bytes)
{
    struct snap_part part = {.section = section, .bytes = bytes};
    put(o, &part, sizeof part);
}

static void end_section(struct out *o, size_t bytes)
{
    static const char zeros[8];
    put(o, zeros, -bytes % 8);
}

static void put_section(struct out *o, enum snap_section section, const void *bytes, size_t count)
{
    begin_section(o, section, count);
    put(o, bytes, count);
    end_section(o, count);
}

/* -- names -- */

struct names {
    char *text;
    size_t length, room, last; /* last: where the last one begins, as neighbours have the same */
    bool no_memory;
};

static uint32_t name(struct names *n, const char *text)
{
    if (!text || !*text || n->no_memory) {
        return 0;
    }
    if (n->last && strcmp(n->text + n->last, text) == 0) {
        return (uint32_t)n->last;
    }
    size_t bytes = strlen(text) + 1;
    if (n->length + bytes > UINT32_MAX || !grow((void **)&n->text, &n->room, n->length + bytes, 1)) {
        n->no_memory = true;
        return 0;
    }
    memcpy(n->text + n->length, text, bytes);
    n->last = n->length;
    n->length += bytes;
    return (uint32_t)n->last;
}

/* -- tables of the process -- */

struct tables {
    struct names names;
    struct snap_mapping *mapping;
    struct snap_range *range;
    struct snap_thread *thread;
    struct snap_owner *owner;
    size_t owners;
    struct snap_descriptor *descriptor;
    size_t descriptors, descriptor_room;
    struct snap_object *object;
    size_t objects, object_room;
    char command[4096];
    size_t command_bytes;
};

/* But those that are there for the snapshot: the folder that is read, and what it is written to. */
static void add_descriptor(struct tables *t, const char *digits, int folder, int output)
{
    char path[64] = "/proc/self/fd/", link[256];
    int fd = 0;
    for (const char *c = digits; *c >= '0' && *c <= '9'; c++) {
        fd = fd * 10 + (*c - '0');
    }
    if (fd == folder || fd == output) {
        return;
    }
    strncat(path, digits, 16);
    long length = syscall(SYS_readlinkat, AT_FDCWD, path, link, sizeof link - 1);
    link[length > 0 ? length : 0] = 0;
    if (length <= 0 || !grow((void **)&t->descriptor, &t->descriptor_room, t->descriptors + 1, sizeof *t->descriptor)) {
        return;
    }
    t->descriptor[t->descriptors++] = (struct snap_descriptor){fd, name(&t->names, link)};
}

static void list_descriptors(struct tables *t, int output)
{
    struct entry {
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(8) char buffer[4096];
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), got;
    while (fd >= 0 && (got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *e = (const struct entry *)(const void *)(buffer + at);
            if (e->name[0] >= '0' && e->name[0] <= '9') {
                add_descriptor(t, e->name, (int)fd, output);
            }
            at += e->length;
        }
    }
    if (fd >= 0) {
        syscall(SYS_close, fd);
    }
}

static uint64_t stack_of(const struct snap_self *self, int tid)
{
    for (size_t i = 0; i < self->ranges; i++) {
        if (self->range[i].kind == IMAGE_STACK && self->range[i].tid == tid) {
            return self->range[i].to - self->range[i].from;
        }
    }
    return 0;
}

/* The object that a mapping is part of, unless it is the one before. False: memory is out. */
static bool add_object(struct tables *t, const struct os_mapping *m, uint32_t name)
{
    struct object object;
    struct mapped of;
    if (!(m->flags & OS_MAP_READ) || (*m->name != '/' && strcmp(m->name, "[vdso]") != 0) ||
        (t->objects && m->from < t->object[t->objects - 1].to) || !object_find(m->from, &object)) {
        return true;
    }
    if (!grow((void **)&t->object, &t->object_room, t->objects + 1, sizeof *t->object)) {
        return false;
    }
    struct snap_object *o = &t->object[t->objects++];
    *o = (struct snap_object){.from = object.start, .to = object.end, .bias = object_bias(&object), .name = name};
    if (mapped_find(m->from, &of)) {
        o->build_id_bytes = (uint32_t)of.id_length;
        memcpy(o->build_id, of.id, of.id_length);
    }
    return true;
}

static bool make_tables(struct tables *t, const struct snap_self *self, const struct graph_blocks *blocks, int output)
{
    t->owners = blocks->owners;
    t->mapping = os_map((self->maps.count + 1) * sizeof *t->mapping);
    t->range = os_map((self->ranges + 1) * sizeof *t->range);
    t->thread = os_map((self->threads.count + 1) * sizeof *t->thread);
    t->owner = os_map((t->owners + 1) * sizeof *t->owner);
    if (!t->mapping || !t->range || !t->thread || !t->owner || !grow((void **)&t->names.text, &t->names.room, 1, 1)) {
        return false;
    }
    t->names.length = 1;
    for (size_t i = 0; i < self->maps.count; i++) {
        const struct os_mapping *m = &self->maps.mapping[i];
        t->mapping[i] = (struct snap_mapping){m->from, m->to, m->offset, m->flags, name(&t->names, m->name)};
        if (!add_object(t, m, t->mapping[i].name)) {
            return false;
        }
    }
    for (size_t i = 0; i < self->ranges; i++) {
        const struct image_range *r = &self->range[i];
        t->range[i] = (struct snap_range){r->from, r->to, r->kind, r->tid, name(&t->names, r->name), 0};
    }
    for (size_t i = 0; i < self->threads.count; i++) {
        const struct os_thread *from = &self->threads.thread[i];
        t->thread[i] = (struct snap_thread){from->tid, from->stopped, from->sp, stack_of(self, from->tid), {0}};
        memcpy(t->thread[i].name, from->name, sizeof from->name);
    }
    for (size_t i = 0; i < t->owners; i++) {
        const struct graph_owner *o = &blocks->owner[i];
        t->owner[i] = (struct snap_owner){o->kind, name(&t->names, o->name), o->object_bytes};
    }
    list_descriptors(t, output);
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    long got = fd < 0 ? 0 : syscall(SYS_read, fd, t->command, sizeof t->command - 1);
    t->command_bytes = got > 0 ? (size_t)got : 0;
    if (fd >= 0) {
        syscall(SYS_close, fd);
    }
    return !t->names.no_memory;
}

static void free_tables(struct tables *t, const struct snap_self *self)
{
    grow_free(t->mapping, self->maps.count + 1, sizeof *t->mapping);
    grow_free(t->range, self->ranges + 1, sizeof *t->range);
    grow_free(t->thread, self->threads.count + 1, sizeof *t->thread);
    grow_free(t->owner, t->owners + 1, sizeof *t->owner);
    grow_free(t->descriptor, t->descriptor_room, sizeof *t->descriptor);
    grow_free(t->object, t->object_room, sizeof *t->object);
    grow_free(t->names.text, t->names.room, 1);
}

static void put_tables(struct out *o, const struct tables *t, const struct snap_self *self)
{
    put_section(o, SNAP_NAMES, t->names.text, t->names.length);
    put_section(o, SNAP_COMMAND, t->command, t->command_bytes);
    put_section(o, SNAP_MAPPINGS, t->mapping, self->maps.count * sizeof *t->mapping);
    put_section(o, SNAP_RANGES, t->range, self->ranges * sizeof *t->range);
    put_section(o, SNAP_THREADS, t->thread, self->threads.count * sizeof *t->thread);
    put_section(o, SNAP_DESCRIPTORS, t->descriptor, t->descriptors * sizeof *t->descriptor);
    put_section(o, SNAP_OWNERS, t->owner, t->owners * sizeof *t->owner);
    put_section(o, SNAP_OBJECTS, t->object, t->objects * sizeof *t->object);
}

/* -- stacks -- */

/* Frames by number, a bit for each that some block's stack has. */
struct wanted {
    uint64_t *map;
    size_t words, count;
};

static bool find_wanted(struct wanted *w, const struct graph_blocks *blocks)
{
    w->words = calls_nodes() / 64 + 1;
    w->map = os_map(w->words * sizeof *w->map);
    for (size_t i = 0; w->map && i < blocks->count; i++) {
        for (uint32_t at = blocks->block[i].site; at / 64 < w->words && at && !bitmap_test(w->map, at);) {
            uintptr_t pc;
            bitmap_set(w->map, at);
            w->count++;
            calls_node(at, &at, &pc);
        }
    }
    return w->map;
}

static uint32_t object_of(const struct tables *t, uint64_t pc)
{
    size_t from = 0, to = t->objects;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (t->object[middle].to <= pc) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < t->objects && t->object[from].from <= pc ? (uint32_t)from + 1 : 0;
}

static void put_frames(struct out *o, const struct tables *t, const struct wanted *w)
{
    begin_section(o, SNAP_FRAMES, w->count * sizeof(struct snap_frame));
    for (size_t i = 0; i < w->words; i++) {
        for (uint64_t bits = w->map[i]; bits; bits &= bits - 1) {
            struct snap_frame frame = {.number = (uint32_t)(i * 64 + lowest_bit(bits))};
            uintptr_t pc;
            calls_node(frame.number, &frame.caller, &pc);
            frame.pc = pc;
            frame.object = calls_is_loaded(frame.number) ? object_of(t, pc - 1) : 0;
            put(o, &frame, sizeof frame);
        }
    }
}

/* -- the graph -- */

_Static_assert(CALLS_ELIDED == SNAP_ELIDED, "addresses go out as they are");
_Static_assert(sizeof(struct snap_block) == sizeof(struct graph_block), "blocks go out as they are");

/* The vtable that a block's first word points to, or 0. */
static uintptr_t type_of(const struct graph *g, size_t i)
{
    const struct graph_block *b = &g->blocks->block[i];
    const uintptr_t *word = b->size >= sizeof *word ? image_at(g->image, b->address, sizeof *word) : NULL;
    return word ? graph_vtable(g->image, *word, 0) : 0;
}

static void put_types(struct out *o, const struct graph *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->blocks->count; i++) {
        count += type_of(g, i) != 0;
    }
    begin_section(o, SNAP_TYPES, count * sizeof(struct snap_type));
    for (size_t i = 0; i < g->blocks->count; i++) {
        struct snap_type type = {.vtable = type_of(g, i), .block = (uint32_t)i};
        if (type.vtable) {
            put(o, &type, sizeof type);
        }
    }
}

static void put_graph(struct out *o, const struct graph *g)
{
    size_t blocks = g->blocks->count;
    put_section(o, SNAP_BLOCKS, g->blocks->block, blocks * sizeof *g->blocks->block);
    put_types(o, g);
    begin_section(o, SNAP_ROOTS, g->roots * sizeof(struct snap_root));
    for (size_t i = 0; i < g->roots; i++) {
        const struct graph_root *r = &g->root[i];
        struct snap_root root = {r->address, r->block, r->range * 2u + r->middle};
        put(o, &root, sizeof root);
    }
    begin_section(o, SNAP_COUNTS, blocks * sizeof(uint32_t));
    for (size_t i = 0; i < blocks; i++) {
        uint32_t count = (uint32_t)(g->edges.first[i + 1] - g->edges.first[i]);
        put(o, &count, sizeof count);
    }
    end_section(o, blocks * sizeof(uint32_t));
    put_section(o, SNAP_EDGES, g->edges.to, g->edges.count * sizeof *g->edges.to);
    put_section(o, SNAP_END, NULL, 0);
}

static void put_header(struct out *o, const struct snap_self *self, uint32_t flags, size_t missing)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct snap_header header = {.version = SNAP_VERSION,
                                 .flags = flags | (self->unstopped ? SNAP_SOME_UNSTOPPED : 0),
                                 .time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
                                 .pid = self->pid,
                                 .page = (uint32_t)os_page,
                                 .missing = missing};
    memcpy(header.magic, SNAP_MAGIC, sizeof header.magic);
    put(o, &header, sizeof header);
}

int snap_write(int fd, const struct snap_self *self, uint32_t flags)
{
    struct graph_blocks blocks = {0};
    struct snap_walk walk = {
        .image = &self->image, .desc = (uintptr_t)snap_self_desc(), .site = snap_own_site, .out = &blocks};
    struct out o = {.fd = fd, .error = -ENOMEM};
    struct graph g;
    if (snap_walk(&walk) != SNAP_OK) {
        return -ENOMEM;
    }
    if (graph_begin(&g, &blocks, &self->image)) {
        struct tables t = {.owners = 0};
        struct wanted frames = {.count = 0};
        if (graph_make_edges(&g) && make_tables(&t, self, &blocks, fd) && find_wanted(&frames, &blocks)) {
            o.error = 0;
            put_header(&o, self, flags, walk.missing);
            put_tables(&o, &t, self);
            put_frames(&o, &t, &frames);
            put_graph(&o, &g);
            flush(&o);
        }
        grow_free(frames.map, frames.words, sizeof *frames.map);
        free_tables(&t, self);
        graph_end(&g);
    }
    snap_walk_free(&blocks);
    return o.error;
}
