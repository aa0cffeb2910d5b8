/* objects.c - variables and vtables of a dead process's modules, by libdwfl; see objects.h. */
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/objects.h"

struct object {
    uint64_t from, to;
    size_t name; /* in the names */
};

/* Of one module: by address. */
struct table {
    bool read;
    struct object *object;
    size_t count, room;
    char *names;
    size_t bytes, name_room;
};

struct objects {
    const struct core_modules *modules;
    struct table *table;
};

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
};

struct objects *objects_begin(const struct core_modules *modules)
{
    struct objects *o = malloc(sizeof *o);
    struct table *table = calloc(modules->count + 1, sizeof *table);
    if (!o || !table) {
        free(o);
        free(table);
        return NULL;
    }
    *o = (struct objects){modules, table};
    return o;
}

void objects_end(struct objects *o)
{
    for (size_t i = 0; o && i < o->modules->count; i++) {
        free(o->table[i].object);
        free(o->table[i].names);
    }
    if (o) {
        free(o->table);
    }
    free(o);
}

static bool add(struct table *t, uint64_t from, uint64_t bytes, const char *name)
{
    size_t length = strlen(name) + 1;
    if (t->count == t->room) {
        size_t more = t->room ? 2 * t->room : 256;
        void *grown = realloc(t->object, more * sizeof *t->object);
        if (!grown) {
            return false;
        }
        t->object = grown;
        t->room = more;
    }
    if (t->bytes + length > t->name_room) {
        size_t more = 2 * t->name_room + length + 4096;
        void *grown = realloc(t->names, more);
        if (!grown) {
            return false;
        }
        t->names = grown;
        t->name_room = more;
    }
    memcpy(t->names + t->bytes, name, length);
    t->object[t->count++] = (struct object){from, from + bytes, t->bytes};
    t->bytes += length;
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct object *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Of the file of now, which may be another than the process had. */
static bool is_same_file(Dwfl_Module *module, const struct core_module *m)
{
    const unsigned char *id;
    GElf_Addr at;
    int bytes = dwfl_module_build_id(module, &id, &at);
    return bytes <= 0 || m->build_id_bytes == 0 ||
           ((unsigned)bytes == m->build_id_bytes && memcmp(id, m->build_id, m->build_id_bytes) == 0);
}

/* What memory is too little for is left out: names are a help, not the finding. */
static void read_module(const struct core_module *m, struct table *t)
{
    t->read = true;
    Dwfl *dwfl = m->map ? dwfl_begin(&callbacks) : NULL;
    if (!dwfl) {
        return;
    }
    dwfl_report_begin(dwfl);
    Dwfl_Module *module = dwfl_report_elf(dwfl, m->path, m->file, -1, m->bias, true);
    dwfl_report_end(dwfl, NULL, NULL);
    int symbols = module && is_same_file(module, m) ? dwfl_module_getsymtab(module) : 0;
    for (int i = 1; i < symbols; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *name = dwfl_module_getsym_info(module, i, &symbol, &address, NULL, NULL, NULL);
        if (name && GELF_ST_TYPE(symbol.st_info) == STT_OBJECT && symbol.st_size > 0 && address >= m->from &&
            address + symbol.st_size > address && !add(t, address, symbol.st_size, name)) {
            break;
        }
    }
    dwfl_end(dwfl);
    if (t->count > 1) {
        qsort(t->object, t->count, sizeof *t->object, compare);
    }
}

static struct table *table_of(struct objects *o, const struct core_module *m)
{
    struct table *t = &o->table[m - o->modules->module];
    if (!t->read) {
        read_module(m, t);
    }
    return t;
}

const char *objects_name(struct objects *o, uint64_t address, uint64_t *offset)
{
    const struct core_module *m = core_module_of(o->modules, address);
    const struct table *t = m ? table_of(o, m) : NULL;
    size_t low = 0, high = t ? t->count : 0;
    while (low < high) { /* the first that begins beyond it */
        size_t middle = low + (high - low) / 2;
        if (t->object[middle].from <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low, back = 0; i > 0 && back < 8; back++) { /* of several, one may be longer than its neighbour */
        const struct object *object = &t->object[--i];
        if (address < object->to) {
            *offset = address - object->from;
            return t->names + object->name;
        }
    }
    return NULL;
}

uint64_t objects_address(struct objects *o, const struct core_module *m, const char *name)
{
    const struct table *t = table_of(o, m);
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->names + t->object[i].name, name) == 0) {
            return t->object[i].from;
        }
    }
    return 0;
}
