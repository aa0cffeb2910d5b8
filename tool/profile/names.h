/* profile/names.h - the stacks of a trace in words, and sites that are one in words as one.
 *
 *   node -> frame -> (module, offset) -> functions, inlined ones among them      (symbols.h)
 *
 * A stack's place is the innermost frame that is nobody's business but the program's: calls of operator new, of containers and
 * allocators of the standard library, of xmalloc and its like are passed over. By their places sites become groups.
 *
 * The trace has been read to its end, and stays open as long as this.
 */
#ifndef ALLOT_PROFILE_NAMES_H
#define ALLOT_PROFILE_NAMES_H

#include <stdio.h>

#include "json.h"
#include "profile/profile.h"
#include "symbols.h"

#define NAMES_DEEPEST 256 /* frames of a stack that are looked at: those nearest to the allocation */

struct names;
struct names *names_begin(const struct trace *trace, struct symbols *symbols); /* NULL: out of memory */
void names_end(struct names *names);

/* The frames of a stack, innermost first: how many were written, `most` at most. Stacks that stand for others (profile.h) have one
 * frame, which says so. */
size_t names_stack(struct names *names, uint32_t stack, struct symbol_frame *out, size_t most);
/* Which of these frames is the stack's place. */
size_t names_place(const struct symbol_frame *frame, size_t count);
/* Whether the frame belongs to an allocator or a container. */
bool names_is_allocator(const struct symbol_frame *frame);

/* What tells places apart, also between runs and builds: function, file and line, else function and module, else module and offset. */
bool names_same(const struct symbol_frame *a, const struct symbol_frame *b);
int names_compare(const struct symbol_frame *a, const struct symbol_frame *b);

struct group {
    struct symbol_frame place;
    struct profile_site sum;
    uint32_t sites;  /* how many stacks */
    uint32_t widest; /* the site of those that allocated most bytes: its stack stands for the group */
};

/* Sites by place, in the order of first sight. NULL: out of memory.
 * `group_of_site`, if given: for each site its group, to be freed. */
struct group *names_group(struct names *names, const struct profile *profile, uint32_t *count,
                          uint32_t **group_of_site);

/* Of a function's name the bytes before what it takes: "f<void ()>(int)" has 10. 0 where there is but that. */
size_t names_length(const char *function);

/* "parse_line at parse.c:12", "malloc in libc.so.6", "libfoo.so+0x1234", in at most `width` columns (0: all). How many were used. */
size_t names_put(FILE *to, const struct symbol_frame *frame, size_t width);
/* Its function, file, line and module, as members of the object that is open; and a stack as an array of such objects. */
void names_json_place(struct json *json, const struct symbol_frame *frame);
void names_json(struct json *json, const char *key, const struct symbol_frame *frame, size_t count);

#endif
