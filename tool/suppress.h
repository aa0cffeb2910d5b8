/* Leaks that somebody has decided not to hear of: files of LSan's and of memcheck's syntax, in one another as they come.
 *
 *   leak:PATTERN            LSan: some frame's function, file or module has the pattern in it; * any text, ^ begin, $ end. Here also
 *                           what the block is, or whose, as a leak without a stack can be named by nothing else
 *
 *   {                       memcheck: a name, kinds, and the innermost frames
 *      a name
 *      Memcheck:Leak
 *      match-leak-kinds: definite,possible
 *      fun:malloc           which may stand first though stacks here begin at its caller
 *      fun:parse_*          mangled or not
 *      ...                  any number of frames
 *      obj:*libfoo.so*      module
 *      src:parse.c:12
 *   }
 *
 * Of memcheck's only those for leaks count; others, as a file for both has them, are passed over. # begins a comment.
 */
#ifndef ALLOT_TOOL_SUPPRESS_H
#define ALLOT_TOOL_SUPPRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "graph/graph.h"
#include "symbols.h"

struct suppressions;
struct suppressions *suppressions_begin(void); /* NULL: out of memory */
void suppressions_end(struct suppressions *suppressions);

/* False, and it is complained: it cannot be read, or a line of it is neither. */
bool suppressions_read(struct suppressions *suppressions, const char *path);

/* Whether one of them is for a leak with these frames, innermost first. */
bool suppressions_match(struct suppressions *suppressions, enum graph_verdict verdict, const struct symbol_frame *frame,
                        size_t frames);

/* Whether an LSan line is for a leak of this class, or of this owner; NULL: of none. */
bool suppressions_name(const struct suppressions *suppressions, const char *name);

/* Whether all of the text is as the pattern says, which has * and ?. */
bool suppress_like(const char *pattern, const char *text);

#endif
