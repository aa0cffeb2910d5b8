/* Modules, frames and nodes of a file. */
#include <stdlib.h>
#include <string.h>

#include "trace/allot.h"
#include "trace/tables_file.h"

struct span {
    const unsigned char *at, *end;
};

static bool number(struct span *from, uint64_t *value)
{
    const unsigned char *after = file_get_number(from->at, from->end, value);
    if (!after) {
        return false;
    }
    from->at = after;
    return true;
}

static bool one_module(struct tables *t, struct span *from)
{
    struct trace_module module = {0};
    uint64_t id_bytes, path_bytes;

    if (!number(from, &module.start) || !number(from, &module.end) || !number(from, &module.bias) ||
        !number(from, &id_bytes) || id_bytes > sizeof module.build_id || id_bytes > (size_t)(from->end - from->at)) {
        return false;
    }
    memcpy(module.build_id, from->at, id_bytes);
    module.build_id_bytes = (unsigned)id_bytes;
    from->at += id_bytes;
    if (!number(from, &path_bytes) || path_bytes > (size_t)(from->end - from->at)) {
        return false;
    }
    module.path = tables_text(t, (const char *)from->at, path_bytes, NULL);
    from->at += path_bytes;
    return module.path && tables_module(t, &module) != TABLES_FULL;
}

static const char *frames_of(struct tables *t, struct span modules, struct span offsets)
{
    while (modules.at < modules.end) {
        uint64_t module, offset;
        if (!number(&modules, &module) || !number(&offsets, &offset) || module > t->modules ||
            t->frames >= FILE_NODES_MOST) {
            return "a frame of no module";
        }
        struct trace_frame frame = {.pc = offset, .module = (uint32_t)module - 1, .offset = offset};
        if (module) {
            frame.pc += t->module[module - 1].bias;
        }
        if (tables_frame(t, &frame) == TABLES_FULL) {
            return "no memory";
        }
    }
    return offsets.at == offsets.end ? NULL : "frames do not fit";
}

static const char *one_node(struct table_state *s, unsigned first, struct span *parents, struct span *frames)
{
    struct tables *t = &s->tables;
    uint64_t at = t->nodes ? t->nodes : 1, parent = at - 1, frame = 0, back;
    unsigned up = first & TABLE_BY_NUMBER;

    if (up == TABLE_BY_NUMBER) {
        if (!number(parents, &back) || back == 0 || back > at) {
            return "a node of no parent";
        }
        parent = at - back;
    } else {
        for (; up > 0; up--) {
            if (parent == 0) {
                return "a node of no parent";
            }
            parent = t->node[parent].parent;
        }
    }
    uint32_t above = parent ? t->node[parent].frame : 0;
    uint32_t *expected = tables_slot(&s->next, &s->next_room, above);
    if (!expected) {
        return "no memory";
    }
    if (first & TABLE_FRAME_FRESH) {
        frame = s->fresh++;
    } else if (first & TABLE_FRAME_EXPECTED) {
        if (*expected == 0) {
            return "a node of no frame";
        }
        frame = *expected - 1;
    } else if (!number(frames, &frame)) {
        return "a node of no frame";
    }
    if (frame >= t->frames || at >= FILE_NODES_MOST + 1) {
        return "a node of no frame";
    }
    *expected = (uint32_t)frame + 1;
    return tables_node(t, (uint32_t)parent, (uint32_t)frame) == TABLES_FULL ? "no memory" : NULL;
}

const char *tables_unpack(struct table_state *s, const unsigned char *raw, size_t bytes, uint32_t nodes)
{
    uint32_t length[TABLE_COLUMNS];
    struct span column[TABLE_COLUMNS];
    const unsigned char *at = raw + sizeof length, *end = raw + bytes;
    const char *wrong = NULL;

    if (bytes < sizeof length) {
        return "tables too short";
    }
    memcpy(length, raw, sizeof length);
    for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
        if (length[i] > (size_t)(end - at)) {
            return "a column longer than its tables";
        }
        column[i] = (struct span){at, at + length[i]};
        at += length[i];
    }
    if (at != end || length[TABLE_NODE] != nodes) {
        return "columns that do not fit their tables";
    }
    while (column[TABLE_MODULE].at < column[TABLE_MODULE].end) {
        if (!one_module(&s->tables, &column[TABLE_MODULE])) {
            return "a broken module";
        }
    }
    wrong = frames_of(&s->tables, column[TABLE_FRAME_MODULE], column[TABLE_FRAME_OFFSET]);
    while (!wrong && column[TABLE_NODE].at < column[TABLE_NODE].end) {
        wrong = one_node(s, *column[TABLE_NODE].at++, &column[TABLE_NODE_PARENT], &column[TABLE_NODE_FRAME]);
    }
    return wrong;
}

void table_state_done(struct table_state *s)
{
    tables_done(&s->tables);
    free(s->next);
    *s = (struct table_state){0};
}
