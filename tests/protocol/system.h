/* system.h - what stands for the system below the heap. See system.c. */
#ifndef PROTOCOL_SYSTEM_H
#define PROTOCOL_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

/* Where all memory comes from. */
enum { ARENA_SIZE = 16 << 20 };
extern char *const arena;

void system_setup_done(void);
void system_begin(void); /* an execution */

/* The running thread forks: true in the child. Or comes to its end. */
bool system_fork(void);
void system_thread_ends(void);

#endif
