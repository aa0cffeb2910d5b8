/* probe/stack.h - the calls that led to where a thread is.
 *
 * By call frame information (probe/cfi.h), so it needs no frame pointers; code without any is crossed by its frame pointers,
 * where it has these. Allocates nothing and takes no lock: for use inside malloc, in a signal's handler, on any stack. Never
 * faults, whatever is on the stack, and always ends: a stack that is broken gives the frames up to there. Needs 5 KiB of stack.
 */
#ifndef PROBE_STACK_H
#define PROBE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The addresses to which the calls of the calling thread return, from this call's own on, the outermost last: how many, `most`
 * at most. Those in front that are in the library itself are left out, where it is not linked into the program. */
size_t stack_take(void **pcs, size_t most);

/* From where a signal came, given its handler's ucontext_t: first the instruction itself, then what its calls return to. */
size_t stack_take_at(void **pcs, size_t most, const void *context);

/* Whether the library is an object of its own and not linked into the program; and whether an instruction is in that. */
bool stack_library_is_apart(void);
bool stack_in_library(const void *pc);
void stack_library(uintptr_t *start, uintptr_t *end);

/* "function+0x1c (module+0x11c0)", or what of it is known, for one address of a stack; `exact` when it is that of an
 * instruction and not what a call returns to, as the first of stack_take_at is. Functions are known when others may link to
 * them; the module's offset is as in its file, for addr2line. Returns the length, which is below `size`; that is not 0. */
size_t stack_print(char *text, size_t size, const void *pc, bool exact);

#endif
