/* core/stack.h - stacks that glibc has mapped for threads: where one begins and ends, by the struct of its thread; and those that it
 * keeps for threads to come.
 *
 *   | guard | stack ...        | TLS blocks | thread's struct: itself | dtv | itself | ... | stack's address | its bytes | ... |
 *
 * With the guard pages of Linux 6.13 (glibc 2.42) nothing lies between one stack and the next, and all are one mapping.
 */
#ifndef ALLOT_CORE_STACK_H
#define ALLOT_CORE_STACK_H

#include "core/core.h"

enum { THREAD_STRUCT = 0x900 }; /* more than glibc's struct pthread has */

struct core_stack {
    uint64_t from, to; /* guard and thread's struct included */
};

/* The stack of a thread, by its thread pointer. False: it is not one that glibc mapped, as the first thread's. */
bool core_stack_of(const struct core *core, uint64_t local, struct core_stack *out);

/* The thread pointer of one of which a core does not tell it, as those that qemu writes on arm64; 0: it is not found. */
uint64_t core_local_of(const struct core *core, const struct core_thread *thread);

/* Paints the stacks of threads that are no more as dead. x86-64: there a thread's struct knows itself. False: out of memory. */
bool core_stacks_kept(struct core *core);

#endif
