/* See tables.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page/catalogue.h"
#include "page/hash.h"
#include "words.h"

#define NONE        UINT32_MAX
#define SLOTS_LEAST ((size_t)1 << 10)

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return page_hash(hash);
}

static uint64_t hash_frame(const struct catalogue_frame *f)
{
    return page_hash(page_hash((uint64_t)f->function << 32 | f->line) ^ ((uint64_t)f->file << 32 | f->module));
}

static uint64_t hash_node(const struct catalogue_node *n) { return page_hash((uint64_t)n->parent << 32 | n->frame); }

typedef uint64_t hash_of(const struct catalogue *catalogue, uint32_t number);
static uint64_t of_text(const struct catalogue *t, uint32_t number) { return hash_text(t->text[number]); }
static uint64_t of_frame(const struct catalogue *t, uint32_t number) { return hash_frame(&t->frame[number]); }
static uint64_t of_node(const struct catalogue *t, uint32_t number) { return hash_node(&t->node[number]); }

/* Room for one more in an index whose numbers hash as `of` says, and in what it is of. */
static bool make_room(struct catalogue *t, struct catalogue_index *index, hash_of *of, void **array, uint32_t *room,
                      uint32_t count, size_t each)
{
    if (count == *room) {
        uint32_t more = *room ? 2 * *room : 256;
        void *grown = realloc(*array, more * each);
        if (!grown) {
            return false;
        }
        *array = grown;
        *room = more;
    }
    if (2 * (index->used + 1) <= index->slots) {
        return true;
    }
    size_t slots = index->slots ? 2 * index->slots : SLOTS_LEAST;
    uint32_t *grown = calloc(slots, sizeof *grown);
    if (!grown) {
        return false;
    }
    for (size_t i = 0; i < index->slots; i++) {
        if (index->slot[i]) {
            size_t to = of(t, index->slot[i] - 1) & (slots - 1);
            while (grown[to]) {
                to = (to + 1) & (slots - 1);
            }
            grown[to] = index->slot[i];
        }
    }
    free(index->slot);
    index->slot = grown;
    index->slots = slots;
    return true;
}

uint32_t catalogue_text(struct catalogue *t, const char *text)
{
    struct catalogue_index *index = &t->text_index;
    text = text ? text : "";
    if (!make_room(t, index, of_text, (void **)&t->text, &t->text_room, t->texts, sizeof *t->text)) {
        return NONE;
    }
    size_t i = hash_text(text) & (index->slots - 1);
    for (; index->slot[i]; i = (i + 1) & (index->slots - 1)) {
        if (strcmp(t->text[index->slot[i] - 1], text) == 0) {
            return index->slot[i] - 1;
        }
    }
    t->text[t->texts] = text;
    index->slot[i] = ++t->texts;
    index->used++;
    return t->texts - 1;
}

static uint32_t put_frame(struct catalogue *t, const struct catalogue_frame *f)
{
    struct catalogue_index *index = &t->frame_index;
    if (!make_room(t, index, of_frame, (void **)&t->frame, &t->frame_room, t->frames, sizeof *t->frame)) {
        return NONE;
    }
    size_t i = hash_frame(f) & (index->slots - 1);
    for (; index->slot[i]; i = (i + 1) & (index->slots - 1)) {
        const struct catalogue_frame *is = &t->frame[index->slot[i] - 1];
        if (is->function == f->function && is->file == f->file && is->line == f->line && is->module == f->module) {
            return index->slot[i] - 1;
        }
    }
    t->frame[t->frames] = *f;
    index->slot[i] = ++t->frames;
    index->used++;
    return t->frames - 1;
}

/* The text "libfoo.so+0x1234", or "0x1234". */
static uint32_t text_of_offset(struct catalogue *t, const struct symbol_frame *f)
{
    char text[300];
    snprintf(text, sizeof text, "%.255s%s0x%llx", f->module ? words_base(f->module) : "", f->module ? "+" : "",
             (unsigned long long)f->offset);
    uint32_t before = t->texts;
    if (t->owns == t->own_room) {
        uint32_t room = t->own_room ? 2 * t->own_room : 64;
        char **grown = realloc(t->own, room * sizeof *grown);
        if (!grown) {
            return NONE;
        }
        t->own = grown;
        t->own_room = room;
    }
    char *own = strdup(text);
    uint32_t number = own ? catalogue_text(t, own) : NONE;
    if (number == NONE || number < before) { /* it is known */
        free(own);
    } else {
        t->own[t->owns++] = own;
    }
    return number;
}

uint32_t catalogue_frame(struct catalogue *t, const struct symbol_frame *f)
{
    bool known = f->function || (!f->module && !f->offset);
    struct catalogue_frame frame = {known ? catalogue_text(t, f->function) : text_of_offset(t, f),
                                    catalogue_text(t, f->file), f->line, catalogue_text(t, f->module)};
    if (frame.function == NONE || frame.file == NONE || frame.module == NONE) {
        return NONE;
    }
    return put_frame(t, &frame);
}

static uint32_t put_node(struct catalogue *t, const struct catalogue_node *n)
{
    struct catalogue_index *index = &t->node_index;
    if (!make_room(t, index, of_node, (void **)&t->node, &t->node_room, t->nodes, sizeof *t->node)) {
        return NONE;
    }
    size_t i = hash_node(n) & (index->slots - 1);
    for (; index->slot[i]; i = (i + 1) & (index->slots - 1)) {
        const struct catalogue_node *is = &t->node[index->slot[i] - 1];
        if (is->parent == n->parent && is->frame == n->frame) {
            return index->slot[i] - 1;
        }
    }
    if (t->nodes == CATALOGUE_NODES) {
        return n->parent;
    }
    t->node[t->nodes] = *n;
    index->slot[i] = ++t->nodes;
    index->used++;
    return t->nodes - 1;
}

uint32_t catalogue_stack(struct catalogue *t, const struct symbol_frame *frame, size_t count)
{
    uint32_t node = 0;
    for (size_t i = count; i > 0 && node != NONE; i--) {
        uint32_t of = catalogue_frame(t, &frame[i - 1]);
        uint32_t parent = node;
        node = of == NONE ? NONE : put_node(t, &(struct catalogue_node){node, of});
        if (node == parent) { /* no more nodes */
            break;
        }
    }
    return node;
}

bool catalogue_begin(struct catalogue *t)
{
    *t = (struct catalogue){0};
    /* The root stands in no index: it is nobody's child, and no frame is it. */
    t->node = calloc(256, sizeof *t->node);
    t->node_room = t->node ? 256 : 0;
    t->nodes = 1;
    if (!t->node || catalogue_text(t, "") == NONE || put_frame(t, &(struct catalogue_frame){0}) == NONE) {
        catalogue_end(t);
        return false;
    }
    return true;
}

void catalogue_end(struct catalogue *t)
{
    for (uint32_t i = 0; i < t->owns; i++) {
        free(t->own[i]);
    }
    free(t->own);
    free(t->text);
    free(t->frame);
    free(t->node);
    free(t->text_index.slot);
    free(t->frame_index.slot);
    free(t->node_index.slot);
    *t = (struct catalogue){0};
}
