/* classes.c - see classes.h. By vtable in a table of open addressing, at most half full; those that are none are in it as well. */
#include <stdlib.h>
#include <string.h>

#include "core/classes.h"
#include "symbols.h"

struct name {
    uint64_t vtable; /* 0: nothing is here */
    char *text;      /* NULL: no vtable is there */
};

struct classes {
    struct objects *objects;
    struct name *name;
    size_t names, room;
};

struct classes *classes_begin(struct objects *objects)
{
    struct classes *c = malloc(sizeof *c);
    struct name *name = calloc(256, sizeof *name);
    if (!c || !name) {
        free(c);
        free(name);
        return NULL;
    }
    *c = (struct classes){.objects = objects, .name = name, .room = 256};
    return c;
}

void classes_end(struct classes *c)
{
    for (size_t i = 0; c && i < c->room; i++) {
        free(c->name[i].text);
    }
    if (c) {
        free(c->name);
    }
    free(c);
}

static struct name *slot(struct name *name, size_t room, uint64_t vtable)
{
    size_t i = (vtable >> 3) * 0x9e3779b97f4a7c15u >> 32 & (room - 1);
    while (name[i].vtable != 0 && name[i].vtable != vtable) {
        i = (i + 1) & (room - 1);
    }
    return &name[i];
}

/* False: there is no room for another. */
static bool make_room(struct classes *c)
{
    if (2 * c->names < c->room) {
        return true;
    }
    struct name *more = calloc(2 * c->room, sizeof *more);
    if (!more) {
        return false;
    }
    for (size_t i = 0; i < c->room; i++) {
        if (c->name[i].vtable) {
            *slot(more, 2 * c->room, c->name[i].vtable) = c->name[i];
        }
    }
    free(c->name);
    c->name = more;
    c->room *= 2;
    return true;
}

static char *look_up(struct classes *c, uint64_t vtable)
{
    static const char prefix[] = "vtable for ", thunk[] = "construction vtable for ";
    uint64_t offset;
    const char *name = objects_name(c->objects, vtable, &offset);
    if (!name || strncmp(name, "_ZT", 3) != 0 || offset < 16) {
        return NULL;
    }
    char *text = symbols_demangle(name), *out = NULL;
    if (text && strncmp(text, prefix, sizeof prefix - 1) == 0) {
        out = strdup(text + sizeof prefix - 1);
    } else if (text && strncmp(text, thunk, sizeof thunk - 1) == 0) {
        out = strdup(text + sizeof thunk - 1);
    }
    free(text);
    return out;
}

const char *classes_name(struct classes *c, uint64_t vtable)
{
    if (vtable == 0 || vtable % 8 != 0 || !make_room(c)) {
        return NULL;
    }
    struct name *known = slot(c->name, c->room, vtable);
    if (known->vtable == 0) {
        *known = (struct name){vtable, look_up(c, vtable)};
        c->names++;
    }
    return known->text;
}
