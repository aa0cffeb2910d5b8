/* snapshot.c - see snapshot.h. The file is read into memory once; blocks are used as they lie there, edges and roots are copied. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/grow.h"
#include "graph/image.h"
#include "snapshot/snapshot.h"

/* A section as it lies in the file. */
struct piece {
    const unsigned char *at;
    size_t bytes;
    bool there;
};

struct reading {
    struct snapshot *s;
    struct piece piece[SNAP_END + 1];
    struct snapshot_error *error;
};

__attribute__((format(printf, 3, 4))) static bool bad(struct reading *r, size_t at, const char *format, ...)
{
    va_list args;
    int length = snprintf(r->error->line, sizeof r->error->line, "byte %zu: ", at);
    va_start(args, format);
    vsnprintf(r->error->line + length, sizeof r->error->line - (size_t)length, format, args);
    va_end(args);
    return false;
}

static size_t where(const struct reading *r, const void *at)
{
    return (size_t)((const unsigned char *)at - r->s->bytes);
}

static bool no_memory(struct reading *r)
{
    snprintf(r->error->line, sizeof r->error->line, "no memory for its graph, have more memory");
    return false;
}

/* -- sections -- */

static bool find_sections(struct reading *r)
{
    const struct snapshot *s = r->s;
    size_t at = sizeof(struct snap_header);
    while (!r->piece[SNAP_END].there) {
        struct snap_part part;
        if (s->length - at < sizeof part) {
            return bad(r, at, "it ends within, the process has not written all of it, take another");
        }
        memcpy(&part, s->bytes + at, sizeof part);
        if (part.section == 0 || part.section > SNAP_END || r->piece[part.section].there) {
            return bad(r, at, "section %" PRIu32 ", which %s, take another snapshot", part.section,
                       part.section == 0 || part.section > SNAP_END ? "nobody knows" : "was there before");
        }
        at += sizeof part;
        if (part.bytes > s->length - at) {
            return bad(r, at, "it ends within a section, the process has not written all of it, take another");
        }
        r->piece[part.section] = (struct piece){s->bytes + at, part.bytes, true};
        at += part.bytes;
        at += size_min(-at % 8, s->length - at);
    }
    for (unsigned i = 1; i < SNAP_END; i++) {
        if (!r->piece[i].there) {
            return bad(r, at, "section %u is missing, take another snapshot", i);
        }
    }
    return true;
}

/* The entries of a section of a table. */
static bool table(struct reading *r, enum snap_section section, size_t each, const void **out, size_t *count)
{
    const struct piece *p = &r->piece[section];
    *out = p->at;
    *count = p->bytes / each;
    return p->bytes % each == 0 ||
           bad(r, where(r, p->at), "section %u is cut within an entry, take another snapshot", section);
}

static bool is_name(const struct reading *r, uint32_t name) { return name < r->piece[SNAP_NAMES].bytes; }

static bool ends_with_zero(const struct piece *p) { return p->bytes && p->at[p->bytes - 1] == 0; }

static bool read_tables(struct reading *r)
{
    struct snapshot *s = r->s;
    const struct piece *names = &r->piece[SNAP_NAMES], *command = &r->piece[SNAP_COMMAND];
    const void *at;
    if (!ends_with_zero(names) || names->at[0] != 0) {
        return bad(r, where(r, names->at), "names that do not end, take another snapshot");
    }
    s->names = (const char *)names->at;
    s->command = ends_with_zero(command) ? (const char *)command->at : "";
    if (!table(r, SNAP_MAPPINGS, sizeof *s->mapping, &at, &s->mappings)) {
        return false;
    }
    s->mapping = at;
    for (size_t i = 0; i < s->mappings; i++) {
        const struct snap_mapping *m = &s->mapping[i];
        if (!is_name(r, m->name) || m->from >= m->to || (i && m->from < m[-1].to)) {
            return bad(r, where(r, m), "a mapping that cannot be, take another snapshot");
        }
    }
    if (!table(r, SNAP_THREADS, sizeof *s->thread, &at, &s->threads)) {
        return false;
    }
    s->thread = at;
    for (size_t i = 0; i < s->threads; i++) {
        if (memchr(s->thread[i].name, 0, sizeof s->thread[i].name) == NULL) {
            return bad(r, where(r, &s->thread[i]), "a thread's name that does not end, take another snapshot");
        }
    }
    if (!table(r, SNAP_DESCRIPTORS, sizeof *s->descriptor, &at, &s->descriptors)) {
        return false;
    }
    s->descriptor = at;
    for (size_t i = 0; i < s->descriptors; i++) {
        if (!is_name(r, s->descriptor[i].name)) {
            return bad(r, where(r, &s->descriptor[i]), "a descriptor without a name, take another snapshot");
        }
    }
    return true;
}

/* What stacks are made of. */
static bool read_frames(struct reading *r)
{
    struct snapshot *s = r->s;
    const void *at;
    if (!table(r, SNAP_OBJECTS, sizeof *s->object, &at, &s->objects)) {
        return false;
    }
    s->object = at;
    for (size_t i = 0; i < s->objects; i++) {
        const struct snap_object *o = &s->object[i];
        if (!is_name(r, o->name) || o->from >= o->to || (i && o->from < o[-1].to) ||
            o->build_id_bytes > sizeof o->build_id) {
            return bad(r, where(r, o), "an object that cannot be, take another snapshot");
        }
    }
    if (!table(r, SNAP_FRAMES, sizeof *s->frame, &at, &s->frames)) {
        return false;
    }
    s->frame = at;
    for (size_t i = 0; i < s->frames; i++) {
        const struct snap_frame *f = &s->frame[i];
        if (f->caller >= f->number || f->object > s->objects || (i && f->number <= f[-1].number)) {
            return bad(r, where(r, f), "a frame that cannot be, take another snapshot");
        }
    }
    return true;
}

static bool read_ranges(struct reading *r)
{
    const struct snap_range *from;
    const void *at;
    size_t count;
    if (!table(r, SNAP_RANGES, sizeof *from, &at, &count)) {
        return false;
    }
    from = at;
    r->s->range = calloc(count + 1, sizeof *r->s->range);
    if (!r->s->range) {
        return no_memory(r);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_name(r, from[i].name) || from[i].kind > IMAGE_RELRO || from[i].from > from[i].to) {
            return bad(r, where(r, &from[i]), "a range that cannot be, take another snapshot");
        }
        const char *name = r->s->names + from[i].name;
        r->s->range[i] = (struct image_range){.from = from[i].from,
                                              .to = from[i].to,
                                              .kind = (enum image_kind)from[i].kind,
                                              .tid = from[i].tid,
                                              .name = *name ? name : NULL};
    }
    r->s->graph.range = r->s->range;
    r->s->graph.ranges = count;
    return true;
}

/* -- blocks -- */

static bool read_owners(struct reading *r)
{
    struct graph_blocks *blocks = &r->s->blocks;
    const struct snap_owner *from;
    const void *at;
    if (!table(r, SNAP_OWNERS, sizeof *from, &at, &blocks->owners)) {
        return false;
    }
    from = at;
    blocks->owner = calloc(blocks->owners + 1, sizeof *blocks->owner);
    if (!blocks->owner) {
        return no_memory(r);
    }
    for (size_t i = 0; i < blocks->owners; i++) {
        if (!is_name(r, from[i].name) || from[i].kind >= GRAPH_OWNER_KINDS) {
            return bad(r, where(r, &from[i]), "an owner that cannot be, take another snapshot");
        }
        const char *name = r->s->names + from[i].name;
        blocks->owner[i] =
            (struct graph_owner){(enum graph_owner_kind)from[i].kind, *name ? name : NULL, from[i].object_bytes};
    }
    return true;
}

_Static_assert(sizeof(struct snap_block) == sizeof(struct graph_block) &&
                   offsetof(struct snap_block, site) == offsetof(struct graph_block, site),
               "blocks are used as they lie in the file");

static bool read_blocks(struct reading *r)
{
    struct graph_blocks *blocks = &r->s->blocks;
    const void *at;
    if (!table(r, SNAP_BLOCKS, sizeof(struct snap_block), &at, &blocks->count)) {
        return false;
    }
    blocks->block = (struct graph_block *)(uintptr_t)at;
    if (blocks->count >= UINT32_MAX / 2) {
        return bad(r, where(r, at), "%zu blocks, more than there can be, take another snapshot", blocks->count);
    }
    for (size_t i = 0; i < blocks->count; i++) {
        const struct graph_block *b = &blocks->block[i];
        bool overlaps = i && b->address - b[-1].address < size_max(b[-1].size, 1);
        if (b->owner >= blocks->owners || b->size > UINT64_MAX - b->address || (i && b->address <= b[-1].address) ||
            overlaps) {
            return bad(r, where(r, b), "a block that cannot be, take another snapshot");
        }
    }
    if (!table(r, SNAP_TYPES, sizeof *r->s->type, &at, &r->s->types)) {
        return false;
    }
    r->s->type = at;
    for (size_t i = 0; i < r->s->types; i++) {
        const struct snap_type *t = &r->s->type[i];
        if (t->block >= blocks->count || (i && t->block <= t[-1].block)) {
            return bad(r, where(r, t), "a type of no block, take another snapshot");
        }
    }
    return true;
}

/* -- who points to whom -- */

static bool read_roots(struct reading *r)
{
    struct graph *g = &r->s->graph;
    const struct snap_root *from;
    const void *at;
    size_t count;
    if (!table(r, SNAP_ROOTS, sizeof *from, &at, &count)) {
        return false;
    }
    from = at;
    if (!grow((void **)&g->root, &g->root_room, size_max(count, 1), sizeof *g->root)) {
        return no_memory(r);
    }
    for (size_t i = 0; i < count; i++) {
        if (from[i].block >= g->blocks->count || from[i].range / 2 >= g->ranges) {
            return bad(r, where(r, &from[i]), "a root of no block, take another snapshot");
        }
        g->root[i] = (struct graph_root){from[i].address, from[i].block, from[i].range / 2, from[i].range % 2};
    }
    g->roots = count;
    return true;
}

static bool read_edges(struct reading *r)
{
    struct graph *g = &r->s->graph;
    struct graph_edges *e = &g->edges;
    const uint32_t *counts, *to;
    const void *at;
    size_t count;
    if (!table(r, SNAP_COUNTS, sizeof *counts, &at, &count)) {
        return false;
    }
    counts = at;
    if (count != g->blocks->count) {
        return bad(r, where(r, counts), "%zu counts of edges for %zu blocks, take another snapshot", count,
                   g->blocks->count);
    }
    if (!table(r, SNAP_EDGES, sizeof *to, &at, &e->count)) {
        return false;
    }
    to = at;
    e->blocks = count;
    e->first = os_map((count + 1) * sizeof *e->first);
    if (!e->first || !grow((void **)&e->to, &e->room, size_max(e->count, 1), sizeof *e->to)) {
        return no_memory(r);
    }
    for (size_t i = 0; i < count; i++) {
        e->first[i + 1] = e->first[i] + counts[i];
    }
    if (e->first[count] != e->count) {
        return bad(r, where(r, to), "%zu edges where %" PRIu64 " were counted, take another snapshot", e->count,
                   e->first[count]);
    }
    for (size_t i = 0; i < e->count; i++) {
        if (to[i] / 2 >= count) {
            return bad(r, where(r, &to[i]), "an edge to no block, take another snapshot");
        }
        e->to[i] = to[i];
    }
    return true;
}

bool snapshot_is(const unsigned char *head, size_t bytes)
{
    return bytes >= sizeof SNAP_MAGIC - 1 && memcmp(head, SNAP_MAGIC, sizeof SNAP_MAGIC - 1) == 0;
}

/* s->bytes and s->length are the file; which is freed with the rest. */
static bool read_all(struct snapshot *s, struct snapshot_error *error)
{
    struct reading r = {.s = s, .error = error};
    os_memory_init();
    s->graph.blocks = &s->blocks;
    if (!snapshot_is(s->bytes, s->length) || s->length < sizeof s->header) {
        return bad(&r, 0, "it is no snapshot, give one that allot snap has made");
    }
    memcpy(&s->header, s->bytes, sizeof s->header);
    if (s->header.version != SNAP_VERSION) {
        return bad(&r, 8, "version %" PRIu32 " of snapshots, this is for %u, use the allot that it was made with",
                   s->header.version, SNAP_VERSION);
    }
    bool done = find_sections(&r) && read_tables(&r) && read_frames(&r) && read_ranges(&r) && read_owners(&r) &&
                read_blocks(&r) && read_roots(&r) && read_edges(&r);
    return done && (graph_mark(&s->graph) || no_memory(&r));
}

bool snapshot_read(struct snapshot *s, const unsigned char *bytes, size_t length, struct snapshot_error *error)
{
    *s = (struct snapshot){.bytes = malloc(length + 1), .length = length};
    if (!s->bytes) {
        snprintf(error->line, sizeof error->line, "no memory to read it, have more memory");
        return false;
    }
    memcpy(s->bytes, bytes, length);
    if (!read_all(s, error)) {
        snapshot_close(s);
        return false;
    }
    return true;
}

bool snapshot_open(struct snapshot *s, const char *path, struct snapshot_error *error)
{
    struct stat file;
    *s = (struct snapshot){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && fstat(fd, &file) == 0;
    errno = done && !S_ISREG(file.st_mode) ? EINVAL : errno;
    done = done && S_ISREG(file.st_mode);
    s->length = done ? (size_t)file.st_size : 0;
    s->bytes = done ? malloc(s->length + 1) : NULL;
    for (size_t at = 0; s->bytes && at < s->length && done;) {
        ssize_t got = read(fd, s->bytes + at, s->length - at);
        done = got > 0 || (got < 0 && errno == EINTR);
        at += got > 0 ? (size_t)got : 0;
    }
    if (!done || !s->bytes) {
        snprintf(error->line, sizeof error->line, "%s, give a snapshot that can be read", strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!done || !s->bytes || !read_all(s, error)) {
        snapshot_close(s);
        return false;
    }
    return true;
}

void snapshot_close(struct snapshot *s)
{
    if (s->graph.blocks) {
        graph_end(&s->graph);
    }
    free(s->blocks.owner);
    free(s->range);
    free(s->bytes);
    *s = (struct snapshot){0};
}

const struct snap_frame *snapshot_frame(const struct snapshot *s, uint32_t number)
{
    size_t from = 0, to = s->frames;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (s->frame[middle].number < number) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < s->frames && s->frame[from].number == number ? &s->frame[from] : NULL;
}

uint64_t snapshot_vtable(const struct snapshot *s, size_t block)
{
    size_t from = 0, to = s->types;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (s->type[middle].block < block) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < s->types && s->type[from].block == block ? s->type[from].vtable : 0;
}
