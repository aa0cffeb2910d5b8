/* core/print.h - a dead process's heap in words: its sums, what is damaged and what is missing, every block; and limits for a build that
 * is to fail when more than so many blocks are lost. */
#ifndef ALLOT_CORE_PRINT_H
#define ALLOT_CORE_PRINT_H

#include "core/dead.h"
#include "leaks_print.h"

/* Blocks of each verdict at most. */
struct core_limits {
    uint64_t most[GRAPH_DEFINITE + 1];
};
#define CORE_LIMITS_NONE                                                           \
    {                                                                              \
        {                                                                          \
            UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX \
        }                                                                          \
    }

/* "definite=0,possible=10". False, and it is complained. */
bool core_limits_read(struct core_limits *limits, const char *text);
/* 0; 1, and it is complained, where there are more. Of definite ones those that are not suppressed. */
int core_limits_check(const struct core_limits *limits, const struct dead *dead, const struct leaks *leaks);

const char *core_verdict(enum graph_verdict verdict);
/* "arena NAME", "pool NAME" ...; NULL: the general heap. */
const char *core_owner(const struct dead *dead, uint32_t owner, char *out, size_t room);

/* Whether there is a heap that can be read; and why not. */
bool core_heap_known(const struct dead *dead);
const char *core_heap_trouble(const struct dead *dead);
/* What a reader of verdicts has to know: damage, memory and files that are missing; NULL: nothing. */
const char *core_note(const struct dead *dead, char *out, size_t room);

void core_print_heap(const struct dead *dead, const char *path, bool json);
bool core_print_list(const struct dead *dead, bool json); /* false: out of memory */

#endif
