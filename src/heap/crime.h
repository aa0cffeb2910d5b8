/* heap/crime.h - what is said of a crime: one line that names it, the block and its size; then the stacks that are known. */
#ifndef HEAP_CRIME_H
#define HEAP_CRIME_H

#include <stdbool.h>
#include <stddef.h>

#define CRIME_FRAMES 24

/* Where a thread was. */
struct crime_stack {
    int thread; /* the kernel's id; 0: nothing is known */
    unsigned count;
    void *pc[CRIME_FRAMES];
};
void crime_take_stack(struct crime_stack *out);

/* From now on a fault of any part is followed by the stack of the thread that committed it. */
void crime_init(void) __attribute__((cold));

/* And a bad access (SIGSEGV) is explained where it can be, before it goes its way: to the handler that was there, or the end of
 * the process by that signal. False when the system refuses. A handler that the program sets later takes this one's place. */
bool crime_watch(void);

/* Lines, as above; `context`: of the signal that tells of it, or NULL. */
void crime_tell(const char *line, const void *context);
/* A bad access at `address` to a block, or beside it; one that is not live has been freed. */
void crime_tell_access(const char *kind, const void *block, size_t size, bool live, const void *address,
                       const void *context);
void crime_tell_stack(const char *what, const struct crime_stack *stack);

#endif
