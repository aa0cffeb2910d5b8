/* See symbols.h. Each address once: here is what remembers; how a file is asked is in symbols_file.c. */
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#include "symbols.h"
#include "symbols_file.h"

#define TEXTS_BLOCK  ((size_t)64 << 10)
#define MANGLED_MOST 16384 /* a longer name stays as it is: demangling takes more than linear time */

struct text_block {
    struct text_block *next;
    size_t used, room;
    char bytes[];
};

struct answer {
    uint64_t offset;
    int module; /* -2: the slot is empty */
    uint32_t count;
    const struct symbol_frame *frame;
};

struct symbols {
    struct symbols_file **file;
    size_t files, files_room;
    struct answer *answer; /* by module and offset, at most half full */
    size_t answers, answer_room;
    const char **text; /* all texts, each once */
    size_t texts, text_room;
    struct text_block *block;
};

struct symbols *symbols_begin(void) { return calloc(1, sizeof(struct symbols)); }

void symbols_end(struct symbols *symbols)
{
    if (!symbols) {
        return;
    }
    for (size_t i = 0; i < symbols->files; i++) {
        symbols_file_close(symbols->file[i]);
    }
    while (symbols->block) {
        struct text_block *next = symbols->block->next;
        free(symbols->block);
        symbols->block = next;
    }
    free(symbols->file);
    free(symbols->answer);
    free(symbols->text);
    free(symbols);
}

/* -- memory that stays until the end -- */

static void *keep(struct symbols *symbols, size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    struct text_block *b = symbols->block;
    if (!b || b->room - b->used < bytes) {
        size_t room = bytes > TEXTS_BLOCK ? bytes : TEXTS_BLOCK;
        b = malloc(sizeof *b + room);
        if (!b) {
            return NULL;
        }
        *b = (struct text_block){.next = symbols->block, .room = room};
        symbols->block = b;
    }
    b->used += bytes;
    return b->bytes + b->used - bytes;
}

static size_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return (size_t)(hash ^ hash >> 29);
}

static const char **text_slot(const char **text, size_t room, const char *wanted)
{
    size_t i = hash_text(wanted) & (room - 1);
    while (text[i] && strcmp(text[i], wanted) != 0) {
        i = (i + 1) & (room - 1);
    }
    return &text[i];
}

/* The one copy of the text: equal texts are equal pointers. NULL of NULL, and where memory is out. */
static const char *keep_text(struct symbols *symbols, const char *text)
{
    if (!text) {
        return NULL;
    }
    if (2 * (symbols->texts + 1) > symbols->text_room) {
        size_t room = symbols->text_room ? 2 * symbols->text_room : 1024;
        const char **grown = calloc(room, sizeof *grown);
        if (!grown) {
            return NULL;
        }
        for (size_t i = 0; i < symbols->text_room; i++) {
            if (symbols->text[i]) {
                *text_slot(grown, room, symbols->text[i]) = symbols->text[i];
            }
        }
        free(symbols->text);
        symbols->text = grown;
        symbols->text_room = room;
    }
    const char **slot = text_slot(symbols->text, symbols->text_room, text);
    if (!*slot) {
        size_t bytes = strlen(text) + 1;
        char *copy = keep(symbols, bytes);
        if (!copy) {
            return NULL;
        }
        memcpy(copy, text, bytes);
        *slot = copy;
        symbols->texts++;
    }
    return *slot;
}

/* -- names -- */

char *symbols_demangle(const char *name)
{
    /* Only what has the mark of a mangled name: else plain words of C would be taken for types. */
    if ((strncmp(name, "_Z", 2) != 0 && strncmp(name, "_R", 2) != 0) || strnlen(name, MANGLED_MOST) == MANGLED_MOST) {
        return NULL;
    }
    return cplus_demangle(name, DMGL_AUTO | DMGL_PARAMS | DMGL_ANSI);
}

/* -- answers -- */

static struct answer *answer_slot(struct answer *answer, size_t room, int module, uint64_t offset)
{
    uint64_t hash = (offset + 1) * 0x9e3779b97f4a7c15u + (uint64_t)(module + 2) * 0xff51afd7ed558ccdu;
    size_t i = (size_t)(hash >> 20) & (room - 1);
    while (answer[i].module != -2 && (answer[i].module != module || answer[i].offset != offset)) {
        i = (i + 1) & (room - 1);
    }
    return &answer[i];
}

static bool room_for_answer(struct symbols *symbols)
{
    if (2 * (symbols->answers + 1) <= symbols->answer_room) {
        return true;
    }
    size_t room = symbols->answer_room ? 2 * symbols->answer_room : 4096;
    struct answer *grown = malloc(room * sizeof *grown);
    if (!grown) {
        return false;
    }
    for (size_t i = 0; i < room; i++) {
        grown[i].module = -2;
    }
    for (size_t i = 0; i < symbols->answer_room; i++) {
        if (symbols->answer[i].module != -2) {
            *answer_slot(grown, room, symbols->answer[i].module, symbols->answer[i].offset) = symbols->answer[i];
        }
    }
    free(symbols->answer);
    symbols->answer = grown;
    symbols->answer_room = room;
    return true;
}

int symbols_module(struct symbols *symbols, const char *path, const unsigned char *build_id, unsigned build_id_bytes)
{
    for (size_t i = 0; i < symbols->files; i++) {
        if (symbols_file_is(symbols->file[i], path, build_id, build_id_bytes)) {
            return (int)i;
        }
    }
    if (symbols->files == symbols->files_room) {
        size_t room = symbols->files_room ? 2 * symbols->files_room : 64;
        struct symbols_file **grown = realloc(symbols->file, room * sizeof(*grown));
        if (!grown) {
            return -1;
        }
        symbols->file = grown;
        symbols->files_room = room;
    }
    struct symbols_file *file = symbols_file_open(path, build_id, build_id_bytes);
    if (!file) {
        return -1;
    }
    symbols->file[symbols->files++] = file;
    return (int)symbols->files - 1;
}

/* The frame with its texts kept, and its function's name in words. */
static bool keep_frame(struct symbols *symbols, struct symbol_frame *to, const struct symbol_frame *found)
{
    char *plain = found->symbol ? symbols_demangle(found->symbol) : NULL;
    *to = *found;
    to->function = keep_text(symbols, plain ? plain : found->function ? found->function : found->symbol);
    to->symbol = plain ? keep_text(symbols, found->symbol) : NULL;
    to->file = keep_text(symbols, found->file);
    to->module = keep_text(symbols, found->module);
    free(plain);
    return (to->function || !(found->function || found->symbol)) && (to->file || !found->file) &&
           (to->module || !found->module);
}

size_t symbols_find(struct symbols *symbols, int module, uint64_t offset, bool returns, const struct symbol_frame **out)
{
    uint64_t place = returns && offset ? offset - 1 : offset;
    if (!room_for_answer(symbols)) {
        return 0;
    }
    struct answer *a = answer_slot(symbols->answer, symbols->answer_room, module, place);
    if (a->module == -2) {
        struct symbol_frame found[SYMBOLS_DEEPEST] = {{.offset = offset}};
        size_t count = 1;
        if (module >= 0 && (size_t)module < symbols->files) {
            count = symbols_file_find(symbols->file[module], place, found);
        }
        struct symbol_frame *kept = keep(symbols, count * sizeof *kept);
        for (size_t i = 0; kept && i < count; i++) {
            found[i].offset = offset;
            if (!keep_frame(symbols, &kept[i], &found[i])) {
                kept = NULL;
            }
        }
        if (!kept) {
            return 0;
        }
        *a = (struct answer){.offset = place, .module = module, .count = (uint32_t)count, .frame = kept};
        symbols->answers++;
    }
    *out = a->frame;
    return a->count;
}

size_t symbols_known(struct symbols *symbols, const char *function, const char *file, uint32_t line, const char *module,
                     uint64_t offset, const struct symbol_frame **out)
{
    struct symbol_frame *kept = keep(symbols, sizeof *kept);
    struct symbol_frame known = {
        .function = function, .symbol = function, .file = file, .module = module, .offset = offset, .line = line};
    if (!kept || !keep_frame(symbols, kept, &known)) {
        return 0;
    }
    *out = kept;
    return 1;
}

size_t symbols_changed(const struct symbols *symbols, const char **path)
{
    size_t count = 0;
    *path = NULL;
    for (size_t i = 0; i < symbols->files; i++) {
        const char *changed = symbols_file_changed(symbols->file[i]);
        if (changed) {
            count++;
            *path = *path ? *path : changed;
        }
    }
    return count;
}
