/* names.c - see names.h. Each vtable is looked up once. */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/objects.h"
#include "snapshot/names.h"
#include "symbols.h"

struct known {
    uint64_t vtable; /* 0: nothing is here */
    char *name;      /* NULL: none is known */
};

struct snapshot_names {
    const struct snapshot *s;
    struct core_modules modules;
    struct objects *objects;
    struct known *known; /* by vtable, open addressing */
    size_t count, room;
};

/* How far a file lies from where it says: of one that is not to be moved, not at all. */
static uint64_t bias_of(const char *path, uint64_t from)
{
    Elf64_Ehdr head;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd < 0 ? 0 : pread(fd, &head, sizeof head, 0);
    if (fd >= 0) {
        close(fd);
    }
    return got == (ssize_t)sizeof head && head.e_type == ET_EXEC ? 0 : from;
}

static bool find_modules(struct snapshot_names *n)
{
    const struct snapshot *s = n->s;
    n->modules.module = calloc(s->mappings + 1, sizeof *n->modules.module);
    for (size_t i = 0; n->modules.module && i < s->mappings; i++) {
        const struct snap_mapping *m = &s->mapping[i];
        const char *path = s->names + m->name;
        struct core_module *last = n->modules.count ? &n->modules.module[n->modules.count - 1] : NULL;
        if (*path != '/' || m->flags & 8) {
            continue;
        }
        if (last && strcmp(last->path, path) == 0) {
            last->to = m->to;
        } else if (m->offset == 0) {
            n->modules.module[n->modules.count++] = (struct core_module){.path = path,
                                                                         .file = path,
                                                                         .from = m->from,
                                                                         .to = m->to,
                                                                         .bias = bias_of(path, m->from),
                                                                         .map = (const void *)path};
        }
    }
    return n->modules.module;
}

struct snapshot_names *snapshot_names_begin(const struct snapshot *s)
{
    struct snapshot_names *n = calloc(1, sizeof *n);
    if (!n) {
        return NULL;
    }
    n->s = s;
    n->room = 256;
    n->known = calloc(n->room, sizeof *n->known);
    n->objects = n->known && find_modules(n) ? objects_begin(&n->modules) : NULL;
    if (!n->objects) {
        snapshot_names_end(n);
        return NULL;
    }
    return n;
}

void snapshot_names_end(struct snapshot_names *n)
{
    if (!n) {
        return;
    }
    for (size_t i = 0; n->known && i < n->room; i++) {
        free(n->known[i].name);
    }
    objects_end(n->objects);
    free(n->modules.module);
    free(n->known);
    free(n);
}

static struct known *slot(struct known *known, size_t room, uint64_t vtable)
{
    size_t i = (vtable >> 3) * 0x9e3779b97f4a7c15u >> 32 & (room - 1);
    while (known[i].vtable != 0 && known[i].vtable != vtable) {
        i = (i + 1) & (room - 1);
    }
    return &known[i];
}

static char *class_of(struct snapshot_names *n, uint64_t vtable)
{
    static const char prefix[] = "vtable for ";
    uint64_t offset;
    const char *name = objects_name(n->objects, vtable, &offset);
    char *text = name && strncmp(name, "_ZTV", 4) == 0 ? symbols_demangle(name) : NULL;
    char *out = text && strncmp(text, prefix, sizeof prefix - 1) == 0 ? strdup(text + sizeof prefix - 1) : NULL;
    free(text);
    return out;
}

/* False: there is no room for another. */
static bool make_room(struct snapshot_names *n)
{
    if (2 * n->count < n->room) {
        return true;
    }
    struct known *more = calloc(2 * n->room, sizeof *more);
    for (size_t i = 0; more && i < n->room; i++) {
        if (n->known[i].vtable) {
            *slot(more, 2 * n->room, n->known[i].vtable) = n->known[i];
        }
    }
    if (more) {
        free(n->known);
        n->known = more;
        n->room *= 2;
    }
    return more;
}

const char *snapshot_type(struct snapshot_names *n, size_t block)
{
    uint64_t vtable = snapshot_vtable(n->s, block);
    if (vtable == 0 || !make_room(n)) {
        return NULL;
    }
    struct known *known = slot(n->known, n->room, vtable);
    if (known->vtable == 0) {
        *known = (struct known){vtable, class_of(n, vtable)};
        n->count++;
    }
    return known->name;
}

const char *snapshot_owner(const struct snapshot *s, size_t block, char *out, size_t room)
{
    static const char *const kinds[] = {"malloc", "heap", "tag", "arena", "pool", "cache", "region"};
    const struct graph_owner *o = &s->blocks.owner[s->blocks.block[block].owner];
    if (o->kind == GRAPH_MALLOC) {
        return NULL;
    }
    snprintf(out, room, o->name ? "%s \"%s\"" : "%s", kinds[o->kind], o->name);
    return out;
}

void snapshot_root(struct snapshot_names *n, const struct graph_root *root, char *out, size_t room)
{
    const struct image_range *r = &n->s->range[root->range];
    const char *file = r->name ? strrchr(r->name, '/') : NULL;
    uint64_t offset = 0;
    const char *name =
        r->kind == IMAGE_GLOBALS || r->kind == IMAGE_RELRO ? objects_name(n->objects, root->address, &offset) : NULL;
    char *text = name ? symbols_demangle(name) : NULL;
    file = file ? file + 1 : r->name;
    switch (r->kind) {
    case IMAGE_REGISTERS:
        snprintf(out, room, "a register of thread %d", r->tid);
        break;
    case IMAGE_STACK:
        snprintf(out, room, "the stack of thread %d, at 0x%" PRIx64, r->tid, root->address);
        break;
    case IMAGE_TLS:
        snprintf(out, room, "thread-local memory of thread %d, at 0x%" PRIx64, r->tid, root->address);
        break;
    case IMAGE_HELD:
        snprintf(out, room, "the C library's tables of thread-local memory");
        break;
    default:
        if (name) {
            snprintf(out, room, "%s+%" PRIu64 " in %s", text ? text : name, offset, file ? file : "a file");
        } else {
            snprintf(out, room, "%s%s, at 0x%" PRIx64,
                     r->kind == IMAGE_GLOBALS || r->kind == IMAGE_RELRO ? "globals of " : "",
                     file ? file : "memory that nobody explains", root->address);
        }
    }
    free(text);
}
