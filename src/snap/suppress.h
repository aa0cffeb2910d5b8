/* snap/suppress.h - leaks that are known: lines `leak:PATTERN`, as LeakSanitizer reads them, `*` for anything, ^ and $ for the ends;
 * # begins a comment. A leak is suppressed when one of the names that belong to it has the pattern in it: its class, its owner, and
 * where stacks are kept the functions (as symbols of their files) and files in its stack. */
#ifndef SNAP_SUPPRESS_H
#define SNAP_SUPPRESS_H

#include <stdbool.h>
#include <stddef.h>

struct suppressions {
    char *text; /* the file, its lines ended by 0 */
    size_t length, room;
};

/* 0 or -errno. */
int suppress_read(struct suppressions *s, const char *path);
void suppress_free(struct suppressions *s);
bool suppress_has(const struct suppressions *s, const char *name);

#endif
