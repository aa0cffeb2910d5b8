/* types.c - what a block was, by what is in it; see types.h.
 *
 *   object:     | vtable + 16 | ...               -> symbol "vtable for X" of a module
 *   list node:  | next | previous | ...           -> next's previous and previous's next are it
 *   tree node:  | colour | parent | left | right | ...   -> the parent has it on one side, or is the root's header
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/classes.h"
#include "core/types.h"
#include "symbols.h"

enum { LEAST_TEXT = 8, TEXT_LOOKED_AT = 64 };

struct types {
    const struct dead *dead;
    struct classes *classes;
    char text[512];
};

struct types *types_begin(const struct dead *dead)
{
    struct types *t = malloc(sizeof *t);
    struct classes *classes = classes_begin(dead->objects);
    if (!t || !classes) {
        free(t);
        classes_end(classes);
        return NULL;
    }
    *t = (struct types){.dead = dead, .classes = classes};
    return t;
}

void types_end(struct types *t)
{
    if (t) {
        classes_end(t->classes);
    }
    free(t);
}

/* -- shapes -- */

static bool is_list_node(const struct core *core, uint64_t at, const uint64_t *word)
{
    return word[0] != at && word[1] != at && core_word(core, word[0] + 8) == at && core_word(core, word[1]) == at;
}

static bool is_tree_node(const struct core *core, uint64_t at, const uint64_t *word)
{
    uint64_t up = word[1];
    if (word[0] >> 1 != 0 || up == 0 || up == at) {
        return false;
    }
    bool held = core_word(core, up + 8) == at || core_word(core, up + 16) == at || core_word(core, up + 24) == at;
    return held && (word[2] == 0 || core_word(core, word[2] + 8) == at) &&
           (word[3] == 0 || core_word(core, word[3] + 8) == at);
}

static bool is_text(const unsigned char *at, uint64_t bytes)
{
    uint64_t length = 0;
    while (length < bytes && length < TEXT_LOOKED_AT &&
           (isprint(at[length]) || at[length] == '\n' || at[length] == '\t')) {
        length++;
    }
    return length >= LEAST_TEXT && (length == TEXT_LOOKED_AT || (length < bytes && at[length] == 0));
}

const char *types_of(struct types *t, const struct graph_block *block)
{
    const struct core *core = &t->dead->core;
    uint64_t word[4] = {0}, bytes = block->size < sizeof word ? block->size : sizeof word;
    const unsigned char *at = core_at(core, block->address, block->size);
    if (at) {
        memcpy(word, at, bytes);
    }
    const char *name = core_module_of(&core->modules, word[0]) ? classes_name(t->classes, word[0]) : NULL;
    if (name) {
        return name;
    }
    const char *shape = !at                                                       ? NULL
                        : bytes >= 32 && is_tree_node(core, block->address, word) ? "tree node"
                        : bytes >= 16 && is_list_node(core, block->address, word) ? "list node"
                        : is_text(at, block->size)                                ? "text"
                                                                                  : NULL;
    snprintf(t->text, sizeof t->text, "%s%s%" PRIu64 " bytes", shape ? shape : "", shape ? ", " : "",
             (uint64_t)block->size);
    return t->text;
}

const char *types_variable(struct types *t, uint64_t address)
{
    const struct core_module *m = core_module_of(&t->dead->core.modules, address);
    if (!m) {
        return NULL;
    }
    uint64_t offset;
    const char *base = strrchr(m->path, '/'), *name = objects_name(t->dead->objects, address, &offset);
    base = base ? base + 1 : m->path;
    char *plain = name ? symbols_demangle(name) : NULL;
    if (name && offset) {
        snprintf(t->text, sizeof t->text, "%.300s+%" PRIu64 " in %.128s", plain ? plain : name, offset, base);
    } else if (name) {
        snprintf(t->text, sizeof t->text, "%.300s in %.128s", plain ? plain : name, base);
    } else {
        snprintf(t->text, sizeof t->text, "%.128s+%#" PRIx64, base, address - m->bias);
    }
    free(plain);
    return t->text;
}
