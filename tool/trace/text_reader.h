/* text_reader.h - a text while it is read: for text.c, and text_stacks.c, which has its words, modules and stacks. */
#ifndef ALLOT_TRACE_TEXT_READER_H
#define ALLOT_TRACE_TEXT_READER_H

#include "trace/alive.h"
#include "trace/input.h"
#include "trace/tables.h"
#include "trace/trace.h"

struct text_reader {
    struct input *input;
    struct trace_about *about;
    struct tables tables;
    struct alive live;
    struct line line;
    struct trace_error *error; /* of the call under way */
    uint64_t time;             /* of the event before */
    const char *id;            /* in the line: the block that it is about */
    char *text; /* of the event given last, and while a line is read */
    size_t text_room;
};

/* All of these return 0, or -1 with the error said. What is missing is said as `what`, and the word that stands there. */
int text_wrong(struct text_reader *reader, const char *at, const char *what);
int text_no_memory(struct text_reader *reader);
int text_next_word(struct text_reader *reader, struct line_words *words, struct word *word, const char *missing);
int text_next_number(struct text_reader *reader, struct line_words *words, uint64_t most, uint64_t *number,
                     const char *missing);
/* The word without its escapes, in reader->text. */
int text_next_text(struct text_reader *reader, struct line_words *words, const char *missing);
/* The same, kept; NULL: said. */
const char *text_kept(struct text_reader *reader, struct word word);
/* A block, as its address. */
int text_read_id(struct text_reader *reader, struct word word, uint64_t *address);
int text_next_id(struct text_reader *reader, struct line_words *words, uint64_t *address);
/* What stands behind `label` in the word: NULL when it does not begin so. */
const char *text_labelled(struct word word, const char *label, struct word *value);

/* The rest of a line that begins with m, or s. */
int text_read_module(struct text_reader *reader, struct line_words *words);
int text_read_node(struct text_reader *reader, struct line_words *words);

#endif
