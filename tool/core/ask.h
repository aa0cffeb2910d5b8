/* core/ask.h - questions about one block of a dead process: who points to it, how it was reached, what would have gone with it. */
#ifndef ALLOT_CORE_ASK_H
#define ALLOT_CORE_ASK_H

#include "core/dead.h"

enum ask_what { ASK_NOTHING, ASK_WHO, ASK_PATH, ASK_RETAINED };
struct ask {
    enum ask_what what;
    uint64_t address;
};

/* Prints the answer on standard output; what is being done goes to `told` (NULL: that is over). The exit status; -1: out of memory.
 * After dead_mark. */
int ask_answer(const struct ask *ask, struct dead *dead, bool json, void (*told)(const char *what));

#endif
