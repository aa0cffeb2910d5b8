/* Interning by open addressing, at most half full, over arrays that double; and the frame of tables that is written. */
#include <stdlib.h>
#include <string.h>

#include "record/nodes.h"
#include "trace/model.h"
#include "trace/tables_file.h"

struct module {
    char *path;
    unsigned char build_id[32];
    size_t path_bytes, build_id_bytes;
    uint64_t bias;
};
struct placed {
    uint64_t start, end, bias;
    uint32_t module;
};
struct frame {
    uint64_t offset;
    uint32_t module; /* UINT32_MAX: none */
    uint32_t next;   /* frame of the last node below one with this; MODEL_NONE */
};
struct node {
    uint32_t parent, frame;
};
struct pc_slot {
    uint64_t pc; /* 0: nothing */
    uint32_t frame;
};

struct nodes {
    struct module *module;
    uint32_t modules, module_room;
    struct frame *frame;
    uint32_t frames, frame_room;
    struct node *node; /* [0]: nobody */
    uint32_t nodes, node_room, nodes_written;
    uint32_t *frame_at, frame_mask; /* index + 1 */
    uint32_t *node_at, node_mask;
    uint32_t fresh; /* the first frame that no node has had */
    struct column_bytes column[TABLE_COLUMNS];
};

static uint32_t hash_of(uint64_t a, uint64_t b)
{
    uint64_t x = (a * 0x9e3779b97f4a7c15u ^ b) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(x >> 32);
}

struct nodes *nodes_new(void)
{
    struct nodes *n = calloc(1, sizeof *n);

    if (n && model_more((void **)&n->node, &n->node_room, 1, sizeof *n->node)) {
        n->node[0] = (struct node){0, 0};
        n->nodes = n->nodes_written = 1;
        return n;
    }
    free(n);
    return NULL;
}

void nodes_free(struct nodes *n)
{
    for (uint32_t i = 0; i < n->modules; i++) {
        free(n->module[i].path);
    }
    for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
        free(n->column[i].bytes);
    }
    free(n->module);
    free(n->frame);
    free(n->node);
    free(n->frame_at);
    free(n->node_at);
    free(n);
}

/* -- maps -- */

struct node_map *node_map_new(struct node_map *parent, uint32_t inherited)
{
    struct node_map *map = calloc(1, sizeof *map);

    if (!map) {
        return NULL;
    }
    map->references = 1;
    if (parent && inherited) {
        map->placed = calloc(parent->places ? parent->places : 1, sizeof *map->placed);
        if (!map->placed) {
            free(map);
            return NULL;
        }
        if (parent->places) {
            memcpy(map->placed, parent->placed, parent->places * sizeof *map->placed);
        }
        map->places = map->place_room = parent->places;
        map->parent = parent;
        map->inherited = inherited;
        parent->references++;
    }
    return map;
}

void node_map_drop(struct node_map *map)
{
    while (map && --map->references == 0) {
        struct node_map *parent = map->parent;
        free(map->node);
        free(map->placed);
        free(map->pc);
        free(map);
        map = parent;
    }
}

uint32_t node_map_inherited(const struct node_map *map, uint32_t id)
{
    while (map && id <= map->inherited) {
        map = map->parent;
    }
    return map && id - map->inherited <= map->count ? map->node[id - map->inherited - 1] : NODES_UNKNOWN;
}

static bool map_set(struct node_map *map, uint32_t id, uint32_t node)
{
    if (id <= map->inherited || id > TABLES_IDS_MOST) {
        return true;
    }
    uint32_t count = id - map->inherited;
    if (!model_more((void **)&map->node, &map->room, count, sizeof *map->node)) {
        return false;
    }
    for (; map->count < count; map->count++) {
        map->node[map->count] = NODES_UNKNOWN;
    }
    map->node[count - 1] = node;
    return true;
}

/* -- modules -- */

static uint32_t intern_module(struct nodes *n, const struct module_seen *seen)
{
    size_t id_bytes = size_min(seen->build_id_bytes, sizeof n->module->build_id);

    for (uint32_t i = n->modules; i-- > 0;) {
        const struct module *m = &n->module[i];
        if (m->path_bytes == seen->path_bytes && m->build_id_bytes == id_bytes &&
            memcmp(m->path, seen->path, seen->path_bytes) == 0 && memcmp(m->build_id, seen->build_id, id_bytes) == 0) {
            return i;
        }
    }
    char *path = malloc(seen->path_bytes + 1);
    unsigned char *at;
    struct column_bytes *column = &n->column[TABLE_MODULE];
    size_t bytes = 5 * FILE_NUMBER_BYTES + id_bytes + seen->path_bytes;
    if (!path || !model_more((void **)&n->module, &n->module_room, n->modules + 1, sizeof *n->module) ||
        !model_more((void **)&column->bytes, &column->room, column->used + (uint32_t)bytes, 1)) {
        free(path);
        return UINT32_MAX;
    }
    memcpy(path, seen->path, seen->path_bytes);
    path[seen->path_bytes] = 0;
    struct module *m = &n->module[n->modules];
    *m = (struct module){.path = path, .path_bytes = seen->path_bytes, .build_id_bytes = id_bytes, .bias = seen->bias};
    memcpy(m->build_id, seen->build_id, id_bytes);

    at = column->bytes + column->used;
    at = file_put_number(at, seen->start);
    at = file_put_number(at, seen->end);
    at = file_put_number(at, seen->bias);
    at = file_put_number(at, id_bytes);
    memcpy(at, seen->build_id, id_bytes);
    at = file_put_number(at + id_bytes, seen->path_bytes);
    memcpy(at, seen->path, seen->path_bytes);
    column->used = (uint32_t)(at + seen->path_bytes - column->bytes);
    return n->modules++;
}

bool nodes_module(struct nodes *n, struct node_map *map, const struct module_seen *seen)
{
    uint32_t module = intern_module(n, seen), kept = 0;

    if (module == UINT32_MAX ||
        !model_more((void **)&map->placed, &map->place_room, map->places + 1, sizeof *map->placed)) {
        return false;
    }
    /* What lay there before is gone; and what was known of addresses there. */
    for (uint32_t i = 0; i < map->places; i++) {
        if (map->placed[i].end <= seen->start || map->placed[i].start >= seen->end) {
            map->placed[kept++] = map->placed[i];
        }
    }
    map->placed[kept] = (struct placed){seen->start, seen->end, seen->bias, module};
    map->places = kept + 1;
    free(map->pc);
    map->pc = NULL;
    map->pcs = map->pc_mask = 0;
    return true;
}

/* -- frames and nodes -- */

static bool put_number(struct nodes *n, enum table_column which, uint64_t number)
{
    struct column_bytes *c = &n->column[which];
    if (!model_more((void **)&c->bytes, &c->room, c->used + FILE_NUMBER_BYTES, 1)) {
        return false;
    }
    c->used = (uint32_t)(file_put_number(c->bytes + c->used, number) - c->bytes);
    return true;
}

static uint32_t *find_frame(const struct nodes *n, uint32_t module, uint64_t offset)
{
    uint32_t at = hash_of(offset, module) & n->frame_mask;
    for (; n->frame_at[at]; at = (at + 1) & n->frame_mask) {
        const struct frame *f = &n->frame[n->frame_at[at] - 1];
        if (f->module == module && f->offset == offset) {
            break;
        }
    }
    return &n->frame_at[at];
}

static uint32_t *find_node(const struct nodes *n, uint32_t parent, uint32_t frame)
{
    uint32_t at = hash_of(parent, frame) & n->node_mask;
    for (; n->node_at[at]; at = (at + 1) & n->node_mask) {
        const struct node *node = &n->node[n->node_at[at] - 1];
        if (node->parent == parent && node->frame == frame) {
            break;
        }
    }
    return &n->node_at[at];
}

/* A table of twice the size, empty; false: no memory. */
static bool widen(uint32_t **table, uint32_t *mask)
{
    uint32_t wider = *table ? *mask * 2 + 1 : 1023;
    uint32_t *fresh = calloc((size_t)wider + 1, sizeof *fresh);
    if (!fresh) {
        return false;
    }
    free(*table);
    *table = fresh;
    *mask = wider;
    return true;
}

static uint32_t intern_frame(struct nodes *n, uint32_t module, uint64_t offset)
{
    if (!n->frame_at || n->frames * 2 > n->frame_mask) {
        if (!widen(&n->frame_at, &n->frame_mask)) {
            return MODEL_NONE;
        }
        for (uint32_t i = 0; i < n->frames; i++) {
            *find_frame(n, n->frame[i].module, n->frame[i].offset) = i + 1;
        }
    }
    uint32_t *slot = find_frame(n, module, offset);
    if (*slot) {
        return *slot - 1;
    }
    if (n->frames >= FILE_NODES_MOST ||
        !model_more((void **)&n->frame, &n->frame_room, n->frames + 1, sizeof *n->frame) ||
        !put_number(n, TABLE_FRAME_MODULE, module + 1) || !put_number(n, TABLE_FRAME_OFFSET, offset)) {
        return MODEL_NONE;
    }
    n->frame[n->frames] = (struct frame){offset, module, MODEL_NONE};
    *slot = ++n->frames;
    return n->frames - 1;
}

/* The frame of an address in the process as its modules lie now. */
static uint32_t frame_of(struct nodes *n, struct node_map *map, uint64_t pc)
{
    if (!map->pc || map->pcs * 2 > map->pc_mask) {
        uint32_t wider = map->pc ? map->pc_mask * 2 + 1 : 255;
        struct pc_slot *fresh = calloc((size_t)wider + 1, sizeof *fresh);
        if (!fresh) {
            return MODEL_NONE;
        }
        for (uint32_t i = 0; map->pc && i <= map->pc_mask; i++) {
            if (map->pc[i].pc) {
                uint32_t at = hash_of(map->pc[i].pc, 0) & wider;
                while (fresh[at].pc) {
                    at = (at + 1) & wider;
                }
                fresh[at] = map->pc[i];
            }
        }
        free(map->pc);
        map->pc = fresh;
        map->pc_mask = wider;
    }
    uint32_t at = hash_of(pc, 0) & map->pc_mask;
    while (map->pc[at].pc && map->pc[at].pc != pc) {
        at = (at + 1) & map->pc_mask;
    }
    if (map->pc[at].pc == pc && pc) {
        return map->pc[at].frame;
    }
    uint32_t module = UINT32_MAX;
    uint64_t offset = pc;
    /* An address to return to may lie just behind the last call of an object. */
    for (uint32_t i = 0; i < map->places; i++) {
        if (pc - 1 >= map->placed[i].start && pc - 1 < map->placed[i].end) {
            module = map->placed[i].module;
            offset = pc - map->placed[i].bias;
        }
    }
    uint32_t frame = intern_frame(n, module, offset);
    if (frame != MODEL_NONE && pc) {
        map->pc[at] = (struct pc_slot){pc, frame};
        map->pcs++;
    }
    return frame;
}

/* Where the parent of a node that is to be written stands, from the one written before: so many steps out, or by number. */
static bool put_node(struct nodes *n, uint32_t parent, uint32_t frame)
{
    uint32_t before = n->nodes - 1, up = 0;
    unsigned first = 0;

    while (before != parent && before && up < TABLE_BY_NUMBER) {
        before = n->node[before].parent;
        up++;
    }
    if (before != parent || up >= TABLE_BY_NUMBER) {
        up = TABLE_BY_NUMBER;
        if (!put_number(n, TABLE_NODE_PARENT, n->nodes - parent)) {
            return false;
        }
    }
    uint32_t *expected = &n->frame[parent ? n->node[parent].frame : 0].next;
    if (frame == n->fresh) {
        first = TABLE_FRAME_FRESH;
        n->fresh++;
    } else if (*expected == frame) {
        first = TABLE_FRAME_EXPECTED;
    } else if (!put_number(n, TABLE_NODE_FRAME, frame)) {
        return false;
    }
    *expected = frame;
    struct column_bytes *c = &n->column[TABLE_NODE];
    if (!model_more((void **)&c->bytes, &c->room, c->used + 1, 1)) {
        return false;
    }
    c->bytes[c->used++] = (unsigned char)(first | up);
    return true;
}

bool nodes_add(struct nodes *n, struct node_map *map, uint32_t id, uint32_t parent_id, uint64_t pc)
{
    uint32_t parent = node_map_find(map, parent_id);
    uint32_t frame = frame_of(n, map, pc);

    if (parent == NODES_UNKNOWN) {
        parent = 0;
    }
    if (frame == MODEL_NONE || (n->nodes >= FILE_NODES_MOST && n->node_mask)) {
        return map_set(map, id, parent) && (frame != MODEL_NONE || n->frames >= FILE_NODES_MOST);
    }
    if (!n->node_at || n->nodes * 2 > n->node_mask) {
        if (!widen(&n->node_at, &n->node_mask)) {
            return false;
        }
        for (uint32_t i = 1; i < n->nodes; i++) {
            *find_node(n, n->node[i].parent, n->node[i].frame) = i + 1;
        }
    }
    uint32_t *slot = find_node(n, parent, frame);
    if (!*slot) {
        if (!model_more((void **)&n->node, &n->node_room, n->nodes + 1, sizeof *n->node) ||
            !put_node(n, parent, frame)) {
            return false;
        }
        n->node[n->nodes] = (struct node){parent, frame};
        *slot = ++n->nodes;
    }
    return map_set(map, id, *slot - 1);
}

uint32_t nodes_count(const struct nodes *n) { return n->nodes; }

size_t nodes_pending(const struct nodes *n)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
        bytes += n->column[i].used;
    }
    return bytes;
}

void nodes_write(struct nodes *n, struct writer *writer, uint64_t since)
{
    struct part part[1 + TABLE_COLUMNS];
    uint32_t length[TABLE_COLUMNS];

    if (nodes_pending(n) == 0) {
        return;
    }
    part[0] = (struct part){length, sizeof length};
    for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
        length[i] = n->column[i].used;
        part[1 + i] = (struct part){n->column[i].bytes, length[i]};
        n->column[i].used = 0;
    }
    writer_frame(writer,
                 (struct file_frame){.kind = FILE_KIND_TABLES, .since = since, .count = n->nodes - n->nodes_written},
                 part, 1 + TABLE_COLUMNS);
    n->nodes_written = n->nodes;
}
