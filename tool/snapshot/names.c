/* names.c - see names.h. Each vtable and each return address is looked up once. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/classes.h"
#include "snapshot/names.h"

struct snapshot_names {
    const struct snapshot *s;
    struct core_modules modules;
    struct objects *objects;
    struct symbols *symbols;
    int *number; /* of each object among the symbols' modules */
    struct classes *classes;
};

static bool find_modules(struct snapshot_names *n)
{
    const struct snapshot *s = n->s;
    n->modules.module = calloc(s->objects + 1, sizeof *n->modules.module);
    n->number = malloc((s->objects + 1) * sizeof *n->number);
    for (size_t i = 0; n->modules.module && n->number && i < s->objects; i++) {
        const struct snap_object *o = &s->object[i];
        const char *path = s->names + o->name;
        struct core_module *m = &n->modules.module[n->modules.count++];
        *m = (struct core_module){.path = path, .file = path, .from = o->from, .to = o->to, .bias = o->bias};
        m->map = (const void *)path; /* there is a file to be asked */
        m->build_id_bytes = o->build_id_bytes;
        memcpy(m->build_id, o->build_id, o->build_id_bytes);
        n->number[i] = symbols_module(n->symbols, path, o->build_id, o->build_id_bytes);
    }
    return n->modules.module && n->number;
}

struct snapshot_names *snapshot_names_begin(const struct snapshot *s)
{
    struct snapshot_names *n = calloc(1, sizeof *n);
    if (!n) {
        return NULL;
    }
    n->s = s;
    n->symbols = symbols_begin();
    n->objects = n->symbols && find_modules(n) ? objects_begin(&n->modules) : NULL;
    n->classes = n->objects ? classes_begin(n->objects) : NULL;
    if (!n->classes) {
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
    classes_end(n->classes);
    objects_end(n->objects);
    if (n->symbols) {
        symbols_end(n->symbols);
    }
    free(n->modules.module);
    free(n->number);
    free(n);
}

const char *snapshot_type(struct snapshot_names *n, size_t block)
{
    return classes_name(n->classes, snapshot_vtable(n->s, block));
}

size_t snapshot_stack(struct snapshot_names *n, uint32_t site, struct symbol_frame *out, size_t most)
{
    size_t count = 0;
    for (const struct snap_frame *f = snapshot_frame(n->s, site); f && count < most;
         f = snapshot_frame(n->s, f->caller)) {
        const struct symbol_frame *found;
        if (f->pc <= SNAP_ELIDED) {
            out[count++] = (struct symbol_frame){.function = "(callers left out)"};
            continue;
        }
        int module = f->object ? n->number[f->object - 1] : -1;
        uint64_t bias = f->object ? n->s->object[f->object - 1].bias : 0;
        size_t frames = symbols_find(n->symbols, module, f->pc - bias, true, &found);
        for (size_t i = 0; i < frames && count < most; i++) {
            out[count++] = found[i];
        }
    }
    return count;
}

const char *snapshot_owner_name(const struct graph_owner *o, char *out, size_t room)
{
    if (o->kind == GRAPH_MALLOC) {
        return NULL;
    }
    snprintf(out, room, o->name ? "%s \"%s\"" : "%s", graph_owner_kind_name(o->kind), o->name);
    return out;
}

const char *snapshot_owner(const struct snapshot *s, size_t block, char *out, size_t room)
{
    return snapshot_owner_name(&s->blocks.owner[s->blocks.block[block].owner], out, room);
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

void snapshot_beginning(struct snapshot_names *n, size_t root, size_t first, char *out, size_t room)
{
    char owner[128];
    if (root == GRAPH_NONE) {
        snprintf(out, room, "its own heap, %s", snapshot_owner(n->s, first, owner, sizeof owner));
    } else {
        snapshot_root(n, &n->s->graph.root[root], out, room);
    }
}
