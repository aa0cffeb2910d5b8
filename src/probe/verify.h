/* probe/verify.h - whether a stack is what libunwind says, for every stack of a process whose recorder wants that: slow, and for who
 * doubts. libunwind is looked up when the library is loaded; what is allocated before is not compared. */
#ifndef PROBE_VERIFY_H
#define PROBE_VERIFY_H

#include <stdint.h>

/* Says so when libunwind is not loaded: then nothing is compared. */
void verify_begin(void);

/* Compares a number that calls_here has just given with the stack of the caller. The first few that differ are printed. */
void verify_stack(uint32_t id);

/* Prints how many have been compared and how many were others, on a line. */
void verify_end(void);

#endif
