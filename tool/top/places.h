/* top/places.h - stacks of a process that runs, in words: a number and what its calls return to, looked up once, in the files that are
 * mapped there now. Printable as they are. */
#ifndef ALLOT_TOP_PLACES_H
#define ALLOT_TOP_PLACES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <allot/control.h>

struct places;
struct places *places_begin(pid_t pid); /* NULL: out of memory */
void places_end(struct places *places);

struct place {
    uint64_t id;
    char *label;   /* "parse_line at parse.c:12" */
    char **caller; /* all frames likewise, innermost first */
    size_t callers;
};

/* Of a stack; never NULL, and good until places_end. */
const struct place *places_of(struct places *places, const struct allot_control_site *site);

#endif
