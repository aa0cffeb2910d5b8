/* pages/record.h - references recorded from a program that runs.
 *
 *   allot --supervise--> valgrind, its tool lackey --> the program, unchanged
 *     ^                        |
 *     `--- a thread reads <----'  a pipe: a line for each instruction, load and store; what is kept of it are numbers of pages
 *
 * Each reference there is, of code, data, stack and libraries, in order; what the kernel touches for the program is not there. Each of them is
 * a line of text, a million and a half of them a second: the program takes a thousand times as long. Threads run one at a time; children run on unrecorded.
 */
#ifndef ALLOT_PAGES_RECORD_H
#define ALLOT_PAGES_RECORD_H

#include "pages/refs.h"

/* Runs argv to its end. 0, or the exit status for what kept it from being recorded: it is complained. */
int record_refs(struct refs *refs, char **argv, const struct refs_wanted *wanted);

#endif
