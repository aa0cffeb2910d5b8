/* pages/reading.h - what the readers of traces of references share. */
#ifndef ALLOT_PAGES_READING_H
#define ALLOT_PAGES_READING_H

#include "pages/refs.h"
#include "trace/input.h"

struct reading {
    struct refs *refs;
    const struct refs_wanted *wanted;
    const char *path;
    struct input *input;
    struct trace_about about;
    struct trace_error *error;
    const char *todo; /* what to do about the error; NULL: as always */
    uint64_t steps;   /* for progress */
    bool ended;       /* by wanted->until */
};

enum { READING_ON, READING_ENOUGH, READING_FAILED = -1 };

/* One reference more: READING_ENOUGH when the limit is reached. What an id is that the page table has no room for: `reading_beyond` says
 * so before. */
int reading_add(struct reading *r, uint64_t id);
int reading_add_text(struct reading *r, const char *text, size_t bytes);
static inline bool reading_beyond(const struct reading *r, uint64_t address)
{
    return r->wanted->address_bits < 64 && address >> r->wanted->address_bits;
}
/* Says that, of a word of a line; READING_FAILED. */
int reading_says_beyond(struct reading *r, const struct line *line, const char *at);

/* The next line; 1, 0 or -1 as input_line has it. 0 at wanted->until. */
int reading_line(struct reading *r, struct line *line);
void reading_step(struct reading *r);

/* The readers: to the end, or to READING_ENOUGH or READING_FAILED. */
int read_ids(struct reading *r);
int read_lackey(struct reading *r);
int read_csv(struct reading *r);
int read_oracle(struct reading *r);

/* Whether the beginning of a file is of that format. */
bool is_oracle(const unsigned char *head, size_t bytes);
bool is_lackey(const char *head, size_t bytes);
bool is_csv(const char *head, size_t bytes);

#endif
