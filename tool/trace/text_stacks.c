/* A text's words, and what stacks are made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/text.h"
#include "trace/text_reader.h"

/* -- words -- */

int text_wrong(struct text_reader *reader, const char *at, const char *what)
{
    return line_wrong(reader->error, &reader->line, at, what);
}

int text_no_memory(struct text_reader *reader)
{
    snprintf(reader->error->line, sizeof reader->error->line, "out of memory at line %llu",
             (unsigned long long)reader->line.number);
    return -1;
}

int text_next_word(struct text_reader *reader, struct line_words *words, struct word *word, const char *missing)
{
    return word_next(words, word) ? 0 : text_wrong(reader, word->text, missing);
}

int text_next_number(struct text_reader *reader, struct line_words *words, uint64_t most, uint64_t *number,
                     const char *missing)
{
    struct word word;

    if (text_next_word(reader, words, &word, missing) != 0) {
        return -1;
    }
    return word_number(word, number) && *number <= most ? 0 : text_wrong(reader, word.text, missing);
}

/* The word without its escapes, terminated, in reader->text. */
static int plain(struct text_reader *reader, struct word word)
{
    size_t length = 0;

    if (word.length >= reader->text_room) {
        char *larger = realloc(reader->text, word.length + 64);
        if (!larger) {
            return text_no_memory(reader);
        }
        reader->text = larger;
        reader->text_room = word.length + 64;
    }
    for (size_t i = 0; i < word.length; i++) {
        char c = word.text[i];
        if (c == '%' && word.length > 1) {
            uint64_t value;
            if (word.length - i < 3 || !word_hex((struct word){word.text + i + 1, 2}, &value) || value == 0) {
                return text_wrong(reader, word.text, "no %XX");
            }
            c = (char)value;
            i += 2;
        }
        reader->text[length++] = c;
    }
    if (word.length == 1 && word.text[0] == '%') {
        length = 0;
    }
    reader->text[length] = 0;
    return 0;
}

int text_next_text(struct text_reader *reader, struct line_words *words, const char *missing)
{
    struct word word;
    return text_next_word(reader, words, &word, missing) == 0 ? plain(reader, word) : -1;
}

/* The same, kept. */
const char *text_kept(struct text_reader *reader, struct word word)
{
    if (plain(reader, word) != 0) {
        return NULL;
    }
    const char *text = tables_text(&reader->tables, reader->text, strlen(reader->text), NULL);
    if (!text) {
        text_no_memory(reader);
    }
    return text;
}

int text_read_id(struct text_reader *reader, struct word word, uint64_t *address)
{
    bool as_address = word.length > 2 && word.text[0] == '0' && word.text[1] == 'x';

    if (!word_number(word, address) || (as_address && *address == 0)) {
        return text_wrong(reader, word.text, "no block's number or address:");
    }
    if (*address >= (as_address ? ALIVE_ADDRESSES : TEXT_IDS)) {
        return text_wrong(reader, word.text, "too large a block's number or address:");
    }
    if (as_address != reader->about->has_addresses) {
        return text_wrong(reader, word.text,
                          as_address ? "an address where blocks have numbers:"
                                     : "a number where blocks have addresses:");
    }
    if (!as_address) {
        *address = text_address_of(*address);
    }
    return 0;
}

int text_next_id(struct text_reader *reader, struct line_words *words, uint64_t *address)
{
    struct word word;

    if (text_next_word(reader, words, &word, "no block") != 0) {
        return -1;
    }
    reader->id = word.text;
    return text_read_id(reader, word, address);
}

/* -- stacks -- */

static int read_build_id(struct text_reader *reader, struct word word, struct trace_module *module)
{
    if (word_is(word, "-")) {
        return 0;
    }
    if (word.length % 2 || word.length / 2 > sizeof module->build_id) {
        return text_wrong(reader, word.text, "no build-id:");
    }
    for (size_t i = 0; i < word.length; i += 2) {
        uint64_t byte;
        if (!word_hex((struct word){word.text + i, 2}, &byte)) {
            return text_wrong(reader, word.text, "no build-id:");
        }
        module->build_id[module->build_id_bytes++] = (unsigned char)byte;
    }
    return 0;
}

int text_read_module(struct text_reader *reader, struct line_words *words)
{
    struct trace_module module = {0};
    struct word word;
    uint64_t number;

    if (text_next_number(reader, words, UINT32_MAX, &number, "no module's number:") != 0) {
        return -1;
    }
    if (number != (uint64_t)reader->tables.modules + 1) {
        return text_wrong(reader, words->at, "modules are not numbered 1, 2, 3 ... before");
    }
    if (text_next_number(reader, words, UINT64_MAX, &module.start, "no start:") != 0 ||
        text_next_number(reader, words, UINT64_MAX, &module.end, "no end:") != 0 ||
        text_next_number(reader, words, UINT64_MAX, &module.bias, "no bias:") != 0 ||
        text_next_word(reader, words, &word, "no build-id") != 0 || read_build_id(reader, word, &module) != 0 ||
        text_next_word(reader, words, &word, "no path") != 0 || !(module.path = text_kept(reader, word))) {
        return -1;
    }
    return tables_module(&reader->tables, &module) == TABLES_FULL ? text_no_memory(reader) : 0;
}

/* The module that has this path, in files that name them so. */
static int module_by_path(struct text_reader *reader, struct word word, uint32_t *index)
{
    if (plain(reader, word) != 0) {
        return -1;
    }
    *index = tables_module_named(&reader->tables, reader->text, strlen(reader->text));
    return *index == TABLES_FULL ? text_no_memory(reader) : 0;
}

/* Where a call is: #MODULE+0xOFFSET, PATH+0xOFFSET, 0xPC, ? or a function's name. */
static int read_where(struct text_reader *reader, struct word word, struct trace_frame *frame)
{
    uint64_t number;
    const char *plus = memrchr(word.text, '+', word.length);
    bool offset = plus &&
                  word_hex((struct word){plus + 1, word.length - (size_t)(plus + 1 - word.text)}, &frame->offset) &&
                  plus[1] == '0' && plus + 2 < word.text + word.length && plus[2] == 'x';

    if (word_is(word, "?")) {
        return 0;
    }
    if (word.length > 1 && word.text[0] == '0' && word.text[1] == 'x') {
        if (!word_hex(word, &frame->pc)) {
            return text_wrong(reader, word.text, "no address:");
        }
        frame->offset = frame->pc;
        return 0;
    }
    if (!offset) {
        frame->offset = 0;
        return (frame->function = text_kept(reader, word)) ? 0 : -1;
    }
    if (word.text[0] == '#') {
        if (!word_number((struct word){word.text + 1, (size_t)(plus - word.text - 1)}, &number) || number == 0 ||
            number > reader->tables.modules) {
            return text_wrong(reader, word.text, "no such module:");
        }
        frame->module = (uint32_t)number - 1;
    } else if (module_by_path(reader, (struct word){word.text, (size_t)(plus - word.text)}, &frame->module) != 0) {
        return -1;
    }
    frame->pc = frame->offset + reader->tables.module[frame->module].bias;
    return 0;
}

/* NULL: it is not labelled so. */
const char *text_labelled(struct word word, const char *label, struct word *value)
{
    size_t length = strlen(label);

    if (word.length <= length || memcmp(word.text, label, length) != 0) {
        return NULL;
    }
    *value = (struct word){word.text + length, word.length - length};
    return value->text;
}

static int read_frame(struct text_reader *reader, struct line_words words, struct trace_frame *frame)
{
    struct word word, value;

    *frame = (struct trace_frame){.module = UINT32_MAX};
    if (text_next_word(reader, &words, &word, "no place of the call") != 0 || read_where(reader, word, frame) != 0) {
        return -1;
    }
    while (word_next(&words, &word)) {
        uint64_t line;
        const char *colon;
        if (text_labelled(word, "pc=", &value)) {
            if (!word_number(value, &frame->pc)) {
                return text_wrong(reader, word.text, "no address:");
            }
        } else if (text_labelled(word, "fn=", &value)) {
            if (!(frame->function = text_kept(reader, value))) {
                return -1;
            }
        } else if (text_labelled(word, "at=", &value)) {
            colon = memrchr(value.text, ':', value.length);
            struct word digits = {colon ? colon + 1 : NULL,
                                  colon ? (size_t)(value.text + value.length - colon - 1) : 0};
            if (!colon || !word_number(digits, &line) || line > UINT32_MAX) {
                return text_wrong(reader, word.text, "no FILE:LINE:");
            }
            frame->line = (uint32_t)line;
            if (!(frame->file = text_kept(reader, (struct word){value.text, (size_t)(colon - value.text)}))) {
                return -1;
            }
        } else {
            return text_wrong(reader, word.text, "what is");
        }
    }
    return 0;
}

int text_read_node(struct text_reader *reader, struct line_words *words)
{
    uint64_t number, parent;
    struct trace_frame frame;
    uint32_t next = reader->tables.nodes ? reader->tables.nodes : 1;

    if (text_next_number(reader, words, UINT32_MAX, &number, "no stack's number:") != 0) {
        return -1;
    }
    if (number != next) {
        return text_wrong(reader, words->at, "stacks are not numbered 1, 2, 3 ... before");
    }
    if (text_next_number(reader, words, number - 1, &parent, "no stack that this one was called from:") != 0) {
        return -1;
    }
    if (read_frame(reader, *words, &frame) != 0) {
        return -1;
    }
    uint32_t number_of_frame = tables_frame_once(&reader->tables, &frame);
    reader->about->memory = tables_memory(&reader->tables);
    return number_of_frame == TABLES_FULL ||
                   tables_node(&reader->tables, (uint32_t)parent, number_of_frame) == TABLES_FULL
               ? text_no_memory(reader)
               : 0;
}
