/* See blocks.h. A name is found once for each stack, class, and size of each owner: `known` has what was found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/classes.h"
#include "core/frames.h"
#include "core/print.h"
#include "heap/classes.h"
#include "map/blocks.h"
#include "map/labels.h"
#include "snapshot/names.h"
#include "words.h"

struct known {
    uint64_t key; /* 0: none */
    uint32_t label;
};

struct naming {
    const struct graph_blocks *blocks;
    const struct snapshot *snapshot; /* one of the two */
    struct snapshot_names *names;
    const struct dead *dead;
    struct frames *frames;
    struct classes *classes;
    struct labels labels;
    struct known *known;
    size_t count, room;
    uint32_t *label; /* of each block */
};

/* -- what a key is called -- */

static uint32_t *find_known(struct naming *n, uint64_t key)
{
    if (2 * (n->count + 1) > n->room) {
        size_t room = n->room ? 2 * n->room : 1024;
        struct known *old = n->known, *known = calloc(room, sizeof *known);
        if (!known) {
            return NULL;
        }
        for (size_t i = 0; i < n->room; i++) {
            size_t at = (old[i].key * 0x9e3779b97f4a7c15u >> 20) & (room - 1);
            while (old[i].key && known[at].key) {
                at = (at + 1) & (room - 1);
            }
            known[at] = old[i].key ? old[i] : known[at];
        }
        free(old);
        n->known = known;
        n->room = room;
    }
    size_t at = (key * 0x9e3779b97f4a7c15u >> 20) & (n->room - 1);
    while (n->known[at].key && n->known[at].key != key) {
        at = (at + 1) & (n->room - 1);
    }
    if (!n->known[at].key) {
        n->known[at] = (struct known){key, UINT32_MAX};
        n->count++;
    }
    return &n->known[at].label;
}

static uint32_t label_of_stack(struct naming *n, uint32_t site)
{
    static struct symbol_frame stack[SNAPSHOT_DEEPEST];
    const struct symbol_frame *frame = stack;
    size_t count;
    if (n->snapshot) {
        count = snapshot_stack(n->names, site, stack, SNAPSHOT_DEEPEST);
    } else {
        frame = frames_of(n->frames, site, &count);
    }
    return count ? labels_of_stack(&n->labels, frame, count) : labels_of(&n->labels, "(stack unknown)");
}

static uint32_t label_of_text(struct naming *n, const char *text)
{
    char *safe = NULL;
    size_t length;
    FILE *to = open_memstream(&safe, &length);
    if (to) {
        words_put(to, text, 100);
    }
    uint32_t label = to && fclose(to) == 0 ? labels_of(&n->labels, safe) : UINT32_MAX;
    free(safe);
    return label;
}

static const char *owner_of(struct naming *n, const struct graph_block *b, char *room, size_t size)
{
    return n->snapshot ? snapshot_owner_name(&n->blocks->owner[b->owner], room, size)
                       : core_owner(n->dead, b->owner, room, size);
}

/* By class of sizes, as sizes of blocks are usable ones as a rule. */
static uint64_t size_class(uint64_t size)
{
    return size <= SLAB_MAX ? class_size(class_of_size(size ? size : 1)) : (size + 4095) & ~(uint64_t)4095;
}

static uint32_t label_of_size(struct naming *n, const struct graph_block *b)
{
    char owner[128], text[256];
    const char *of = owner_of(n, b, owner, sizeof owner);
    uint64_t size = size_class(b->size);
    if (size > SLAB_MAX) {
        snprintf(text, sizeof text, "%s, blocks above %s", of ? of : "malloc", words_bytes(SLAB_MAX).text);
    } else {
        snprintf(text, sizeof text, "%s, blocks of up to %s", of ? of : "malloc", words_bytes(size).text);
    }
    return label_of_text(n, text);
}

/* The class that its first word, as a pointer to a vtable, tells; or NULL. */
static const char *class_of(struct naming *n, size_t i)
{
    if (n->snapshot) {
        return snapshot_type(n->names, i);
    }
    uint64_t word = core_word(&n->dead->core, n->blocks->block[i].address);
    return core_module_of(&n->dead->core.modules, word) ? classes_name(n->classes, word) : NULL;
}

enum { KEY_SITE = 1, KEY_TYPE, KEY_SIZE };
static uint64_t key_of(unsigned what, uint64_t number) { return number << 2 | what; }

static bool label_block(struct naming *n, size_t i)
{
    const struct graph_block *b = &n->blocks->block[i];
    const char *type = b->site ? NULL : class_of(n, i);
    uint64_t size = size_class(b->size), large = size > SLAB_MAX ? SLAB_MAX + 16 : size;
    uint64_t key = b->site ? key_of(KEY_SITE, b->site)
                   : type  ? key_of(KEY_TYPE, (uintptr_t)type)
                           : key_of(KEY_SIZE, (uint64_t)b->owner << 32 | large);
    uint32_t *label = find_known(n, key);
    if (label && *label == UINT32_MAX) {
        *label = b->site ? label_of_stack(n, b->site) : type ? label_of_text(n, type) : label_of_size(n, b);
    }
    n->label[i] = label ? *label : UINT32_MAX;
    return n->label[i] != UINT32_MAX;
}

/* -- the picture -- */

static bool each(void *from, heap_map_visit *visit, void *to)
{
    const struct naming *n = from;
    for (size_t i = 0; i < n->blocks->count; i++) {
        const struct graph_block *b = &n->blocks->block[i];
        if (!visit(to, b->address, b->size, n->label[i])) {
            return false;
        }
    }
    return true;
}

static bool make(struct naming *n, uint64_t page, uint32_t rows, struct picture *out)
{
    const struct graph_blocks *blocks = n->blocks;
    struct heap_map *m = out->map = heap_map_begin(page, rows);
    n->label = malloc((blocks->count + 1) * sizeof *n->label);
    bool done = m && n->label;
    for (size_t i = 0; done && i < blocks->count; i++) {
        done = heap_map_see(m, blocks->block[i].address, blocks->block[i].size) && label_block(n, i);
    }
    done = done && heap_map_fold(m, 1);
    for (size_t i = 0; done && i < blocks->count; i++) {
        heap_map_take(m, blocks->block[i].address, blocks->block[i].size);
        out->bytes += blocks->block[i].size;
    }
    if (!done) {
        return false;
    }
    heap_map_column(m);
    out->blocks = m->blocks;
    out->held = m->held;
    done = heap_map_look(m, each, n, &out->look);
    out->label = n->labels.text;
    out->labels = n->labels.count;
    n->labels.text = NULL;
    n->labels.count = 0;
    return done;
}

static void end(struct naming *n)
{
    labels_end(&n->labels);
    free(n->known);
    free(n->label);
}

bool picture_of_snapshot(const struct snapshot *s, uint32_t rows, struct picture *out)
{
    struct naming n = {.blocks = &s->blocks, .snapshot = s, .names = snapshot_names_begin(s)};
    uint64_t page = s->header.page;
    bool done = n.names && make(&n, page >= 512 && (page & (page - 1)) == 0 ? page : 4096, rows, out);
    snapshot_names_end(n.names);
    end(&n);
    return done;
}

bool picture_of_core(const struct dead *dead, uint32_t rows, struct picture *out)
{
    struct naming n = {
        .blocks = &dead->blocks, .dead = dead, .frames = frames_begin(dead), .classes = classes_begin(dead->objects)};
    bool done = n.frames && n.classes && make(&n, 4096, rows, out);
    frames_end(n.frames);
    classes_end(n.classes);
    end(&n);
    return done;
}
