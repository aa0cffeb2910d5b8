/* See places.h. */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile/names.h"
#include "reach.h"
#include "symbols.h"
#include "top/places.h"
#include "words.h"

enum { HEADERS_MOST = 64, STACK_MOST = 128, ELIDED = 1 };

struct object {
    uint64_t from, to, bias;
    int number; /* of symbols.h */
};

struct places {
    pid_t pid;
    bool near; /* it sees our files */
    struct symbols *symbols;
    struct object *object; /* by address */
    size_t objects, object_room;
    unsigned stale;       /* addresses that no object had, since the list was made */
    struct place **place; /* by id: open addressing */
    size_t count, room;
    struct place unknown;
};

/* -- what is mapped -- */

/* What is to be taken off an address in a file that is mapped from its beginning at `from`. */
static uint64_t bias_of(const char *path, uint64_t from)
{
    Elf64_Ehdr e;
    Elf64_Phdr header[HEADERS_MOST];
    uint64_t base = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool good = fd >= 0 && pread(fd, &e, sizeof e, 0) == sizeof e && memcmp(e.e_ident, ELFMAG, SELFMAG) == 0 &&
                e.e_ident[EI_CLASS] == ELFCLASS64 && e.e_phentsize == sizeof *header && e.e_phnum <= HEADERS_MOST;
    size_t bytes = good ? e.e_phnum * sizeof *header : 0;
    good = good && pread(fd, header, bytes, (off_t)e.e_phoff) == (ssize_t)bytes;
    for (size_t i = 0; good && i < e.e_phnum; i++) {
        if (header[i].p_type == PT_LOAD) {
            base = (header[i].p_vaddr - header[i].p_offset) & ~(page - 1);
            break;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return from - base;
}

static void add_object(struct places *p, const char *path, uint64_t from, uint64_t to)
{
    char there[PATH_MAX + 32];
    char root[32] = "";
    if (!p->near) {
        snprintf(root, sizeof root, "/proc/%d/root", (int)p->pid);
    }
    snprintf(there, sizeof there, "%s%s", root, path);
    if (p->objects == p->object_room) {
        size_t room = p->object_room ? 2 * p->object_room : 64;
        struct object *object = realloc(p->object, room * sizeof *object);
        if (!object) {
            return;
        }
        p->object = object;
        p->object_room = room;
    }
    p->object[p->objects++] =
        (struct object){from, to, bias_of(there, from), symbols_module(p->symbols, there, NULL, 0)};
}

/* Mappings of one file, the first of them from its beginning, are an object. */
static void read_objects(struct places *p)
{
    char name[64], line[PATH_MAX + 128], path[PATH_MAX] = "", at[PATH_MAX + 1];
    uint64_t begin = 0, end = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", (int)p->pid);
    FILE *maps = fopen(name, "re");
    p->objects = 0;
    p->stale = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        uint64_t from, to, offset;
        at[0] = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095[^\n]", &from, &to, &offset, at) < 3 ||
            at[0] != '/') {
            continue;
        }
        if (offset != 0 && strcmp(at, path) == 0) {
            end = to;
            continue;
        }
        if (path[0]) {
            add_object(p, path, begin, end);
        }
        begin = from;
        end = to;
        strcpy(path, at);
    }
    if (path[0]) {
        add_object(p, path, begin, end);
    }
    if (maps) {
        fclose(maps);
    }
}

static const struct object *object_of(const struct places *p, uint64_t pc)
{
    for (size_t i = 0; i < p->objects; i++) {
        if (pc >= p->object[i].from && pc < p->object[i].to) {
            return &p->object[i];
        }
    }
    return NULL;
}

struct places *places_begin(pid_t pid)
{
    struct places *p = calloc(1, sizeof *p);
    if (!p) {
        return NULL;
    }
    p->pid = pid;
    p->near = reach_is_near(pid);
    p->unknown.label = (char *)"(stack unknown)";
    p->symbols = symbols_begin();
    if (!p->symbols) {
        free(p);
        return NULL;
    }
    read_objects(p);
    return p;
}

void places_end(struct places *p)
{
    if (!p) {
        return;
    }
    for (size_t i = 0; i < p->room; i++) {
        struct place *place = p->place[i];
        for (size_t c = 0; place && c < place->callers; c++) {
            free(place->caller[c]);
        }
        if (place) {
            free(place->caller);
            free(place->label);
            free(place);
        }
    }
    free(p->place);
    free(p->object);
    symbols_end(p->symbols);
    free(p);
}

/* -- stacks -- */

static char *frame_text(const struct symbol_frame *frame)
{
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    if (!to) {
        return NULL;
    }
    names_put(to, frame, 0);
    return fclose(to) == 0 ? text : NULL;
}

static size_t find_frames(struct places *p, const struct allot_control_site *site, struct symbol_frame *out)
{
    size_t count = 0;
    for (size_t i = 0; i < site->frames && i < ALLOT_CONTROL_FRAMES && count < STACK_MOST; i++) {
        uint64_t pc = site->frame[i];
        const struct symbol_frame *found;
        const struct object *object = object_of(p, pc);
        if (pc <= ELIDED) {
            break;
        }
        if (!object && p->stale++ == 0) { /* something has been loaded since */
            read_objects(p);
            p->stale = 1;
            object = object_of(p, pc);
        }
        size_t frames =
            symbols_find(p->symbols, object ? object->number : -1, object ? pc - object->bias : pc, true, &found);
        for (size_t f = 0; f < frames && count < STACK_MOST; f++) {
            out[count++] = found[f];
        }
    }
    return count;
}

static struct place *make(struct places *p, const struct allot_control_site *site)
{
    static struct symbol_frame frame[STACK_MOST];
    struct place *place = calloc(1, sizeof *place);
    size_t count = place ? find_frames(p, site, frame) : 0;
    if (count) {
        place->caller = calloc(count, sizeof *place->caller);
        place->label = frame_text(&frame[names_place(frame, count)]);
    }
    for (size_t i = 0; place && place->caller && i < count; i++) {
        place->caller[i] = frame_text(&frame[i]);
        place->callers += place->caller[i] != NULL;
    }
    if (place && !place->label) {
        place->label = strdup(p->unknown.label);
    }
    if (place) {
        place->id = site->id;
    }
    return place && place->label ? place : NULL;
}

static bool grow(struct places *p)
{
    size_t room = p->room ? 2 * p->room : 512;
    struct place **place = calloc(room, sizeof *place);
    if (!place) {
        return false;
    }
    for (size_t i = 0; i < p->room; i++) {
        if (p->place[i]) {
            size_t at = (p->place[i]->id * 0x9e3779b97f4a7c15u >> 20) & (room - 1);
            while (place[at]) {
                at = (at + 1) & (room - 1);
            }
            place[at] = p->place[i];
        }
    }
    free(p->place);
    p->place = place;
    p->room = room;
    return true;
}

const struct place *places_of(struct places *p, const struct allot_control_site *site)
{
    if (2 * (p->count + 1) > p->room && !grow(p)) {
        return &p->unknown;
    }
    size_t at = (site->id * 0x9e3779b97f4a7c15u >> 20) & (p->room - 1);
    while (p->place[at] && p->place[at]->id != site->id) {
        at = (at + 1) & (p->room - 1);
    }
    if (!p->place[at]) {
        p->place[at] = make(p, site);
        p->count += p->place[at] != NULL;
    }
    return p->place[at] ? p->place[at] : &p->unknown;
}
