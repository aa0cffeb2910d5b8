/* Arrays that double, and texts in blocks that never move. */
#include <stdlib.h>
#include <string.h>

#include "trace/tables.h"

#define BLOCK ((size_t)64 << 10)

struct text_block {
    struct text_block *older;
    size_t used, room;
    char bytes[];
};
struct text_slot {
    const char *text; /* NULL: nothing */
    uint32_t hash, length, number;
};

void tables_done(struct tables *tables)
{
    while (tables->texts) {
        struct text_block *older = tables->texts->older;
        free(tables->texts);
        tables->texts = older;
    }
    tables_settle(tables);
    free(tables->node);
    free(tables->frame);
    free(tables->module);
    *tables = (struct tables){0};
}

void tables_settle(struct tables *tables)
{
    free(tables->text);
    free(tables->same);
    free(tables->named);
    tables->text = NULL;
    tables->same = tables->named = NULL;
    tables->text_mask = tables->text_count = tables->same_mask = tables->same_count = tables->named_room = 0;
}

/* Room for one more of `bytes` each: false when there is none to be had. */
static bool more(void **array, uint32_t count, uint32_t *room, size_t bytes)
{
    if (count < *room) {
        return true;
    }
    if (*room > TABLES_FULL / 4) {
        return false;
    }
    uint32_t wanted = *room ? *room * 2 : 64;
    void *moved = reallocarray(*array, wanted, bytes);
    if (!moved) {
        return false;
    }
    *array = moved;
    *room = wanted;
    return true;
}

uint32_t tables_node(struct tables *tables, uint32_t parent, uint32_t frame)
{
    if (!more((void **)&tables->node, tables->nodes + 1, &tables->node_room, sizeof *tables->node)) {
        return TABLES_FULL;
    }
    if (tables->nodes == 0) {
        tables->node[tables->nodes++] = (struct trace_node){0, 0};
    }
    tables->node[tables->nodes] = (struct trace_node){parent, frame};
    return tables->nodes++;
}

uint32_t tables_frame(struct tables *tables, const struct trace_frame *frame)
{
    if (!more((void **)&tables->frame, tables->frames, &tables->frame_room, sizeof *tables->frame)) {
        return TABLES_FULL;
    }
    tables->frame[tables->frames] = *frame;
    return tables->frames++;
}

static bool is_same(const struct trace_frame *a, const struct trace_frame *b)
{
    return a->pc == b->pc && a->offset == b->offset && a->function == b->function && a->file == b->file &&
           a->module == b->module && a->line == b->line;
}

static uint32_t *find_same(const struct tables *tables, const struct trace_frame *frame)
{
    uint64_t hash = frame->pc ^ frame->offset << 20 ^ (uintptr_t)frame->function ^ (uintptr_t)frame->file << 24 ^
                    (uint64_t)frame->line << 40 ^ frame->module;
    uint32_t at = (uint32_t)(hash * 0x9e3779b97f4a7c15u >> 32) & tables->same_mask;

    while (tables->same[at] && !is_same(&tables->frame[tables->same[at] - 1], frame)) {
        at = (at + 1) & tables->same_mask;
    }
    return &tables->same[at];
}

static bool grow_same(struct tables *tables)
{
    struct tables larger = *tables;

    larger.same_mask = tables->same ? tables->same_mask * 2 + 1 : 255;
    larger.same = calloc((size_t)larger.same_mask + 1, sizeof *larger.same);
    if (!larger.same) {
        return false;
    }
    for (uint32_t i = 0; tables->same && i <= tables->same_mask; i++) {
        if (tables->same[i]) {
            *find_same(&larger, &tables->frame[tables->same[i] - 1]) = tables->same[i];
        }
    }
    free(tables->same);
    *tables = larger;
    return true;
}

uint32_t tables_frame_once(struct tables *tables, const struct trace_frame *frame)
{
    if ((!tables->same || tables->same_count > tables->same_mask / 2) && !grow_same(tables)) {
        return TABLES_FULL;
    }
    uint32_t *slot = find_same(tables, frame);
    if (*slot == 0) {
        uint32_t added = tables_frame(tables, frame);
        if (added == TABLES_FULL) {
            return TABLES_FULL;
        }
        *slot = added + 1;
        tables->same_count++;
    }
    return *slot - 1;
}

uint32_t tables_module(struct tables *tables, const struct trace_module *module)
{
    if (!more((void **)&tables->module, tables->modules, &tables->module_room, sizeof *tables->module)) {
        return TABLES_FULL;
    }
    tables->module[tables->modules] = *module;
    return tables->modules++;
}

static uint32_t hash_of(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    }
    return (uint32_t)(hash >> 32 ^ hash);
}

static struct text_slot *find_text(const struct tables *tables, const char *text, size_t length, uint32_t hash)
{
    uint32_t at = hash & tables->text_mask;

    while (tables->text[at].text && (tables->text[at].hash != hash || tables->text[at].length != length ||
                                     memcmp(tables->text[at].text, text, length) != 0)) {
        at = (at + 1) & tables->text_mask;
    }
    return &tables->text[at];
}

static bool grow_texts(struct tables *tables)
{
    struct tables larger = *tables;
    larger.text_mask = tables->text ? tables->text_mask * 2 + 1 : 255;
    larger.text = calloc((size_t)larger.text_mask + 1, sizeof *larger.text);
    if (!larger.text) {
        return false;
    }
    for (uint32_t i = 0; tables->text && i <= tables->text_mask; i++) {
        const struct text_slot *old = &tables->text[i];
        if (old->text) {
            *find_text(&larger, old->text, old->length, old->hash) = *old;
        }
    }
    free(tables->text);
    *tables = larger;
    return true;
}

static char *new_text(struct tables *tables, const char *text, size_t length)
{
    struct text_block *block = tables->texts;

    if (!block || block->room - block->used <= length) {
        size_t room = length >= BLOCK / 4 ? length + 1 : BLOCK;
        struct text_block *fresh = malloc(sizeof *fresh + room);
        if (!fresh) {
            return NULL;
        }
        *fresh = (struct text_block){block, 0, room};
        tables->texts = block = fresh;
        tables->text_bytes += sizeof *fresh + room;
    }
    char *copy = block->bytes + block->used;
    memcpy(copy, text, length);
    copy[length] = 0;
    block->used += length + 1;
    return copy;
}

const char *tables_text(struct tables *tables, const char *text, size_t length, uint32_t *number)
{
    const char *zero = memchr(text, 0, length);
    length = zero ? (size_t)(zero - text) : length;
    if (length >= TABLES_FULL ||
        ((!tables->text || tables->text_count > tables->text_mask / 2) && !grow_texts(tables))) {
        return NULL;
    }
    uint32_t hash = hash_of(text, length);
    struct text_slot *slot = find_text(tables, text, length, hash);
    if (!slot->text) {
        const char *copy = new_text(tables, text, length);
        if (!copy) {
            return NULL;
        }
        *slot = (struct text_slot){copy, hash, (uint32_t)length, ++tables->text_count};
    }
    if (number) {
        *number = slot->number;
    }
    return slot->text;
}

uint32_t *tables_slot(uint32_t **array, uint32_t *room, uint32_t number)
{
    if (number >= *room) {
        uint32_t wanted = number < 512 ? 1024 : number < UINT32_MAX / 2 ? number * 2 : UINT32_MAX;
        uint32_t *moved = number < wanted ? reallocarray(*array, wanted, sizeof *moved) : NULL;
        if (!moved) {
            return NULL;
        }
        memset(moved + *room, 0, (size_t)(wanted - *room) * sizeof *moved);
        *array = moved;
        *room = wanted;
    }
    return &(*array)[number];
}

uint32_t tables_module_named(struct tables *tables, const char *path, size_t length)
{
    uint32_t text, *slot = NULL;
    struct trace_module module = {.path = tables_text(tables, path, length, &text)};

    if (module.path) {
        slot = tables_slot(&tables->named, &tables->named_room, text);
    }
    if (!slot) {
        return TABLES_FULL;
    }
    if (*slot == 0) {
        uint32_t added = tables_module(tables, &module);
        if (added == TABLES_FULL) {
            return TABLES_FULL;
        }
        *slot = added + 1;
    }
    return *slot - 1;
}

size_t tables_memory(const struct tables *tables)
{
    return tables->node_room * sizeof *tables->node + tables->frame_room * sizeof *tables->frame +
           tables->module_room * sizeof *tables->module +
           (tables->same ? ((size_t)tables->same_mask + 1) * sizeof *tables->same : 0) + tables->text_bytes +
           (tables->text ? ((size_t)tables->text_mask + 1) * sizeof *tables->text : 0);
}

const struct trace_node *tables_nodes(const struct tables *tables, uint32_t *count)
{
    static const struct trace_node nobody;

    *count = tables->nodes ? tables->nodes : 1;
    return tables->nodes ? tables->node : &nobody;
}

const struct trace_frame *tables_frames(const struct tables *tables, uint32_t *count)
{
    *count = tables->frames;
    return tables->frame;
}

const struct trace_module *tables_modules(const struct tables *tables, uint32_t *count)
{
    *count = tables->modules;
    return tables->module;
}
