/* verdict/stacks.h - from a stack of the trace to its place, for who reads the trace again. */
#ifndef ALLOT_VERDICT_STACKS_H
#define ALLOT_VERDICT_STACKS_H

#include <stdlib.h>

#include "look.h"

struct stacks {
    struct stacks_of {
        uint32_t group, site; /* of look, of the profile; look->groups and 0: nothing was allocated there */
    } * of;
    uint32_t count;
    struct stacks_of other,
        before; /* for those beyond, which the profile counts together, and for what was live before recording */
};

/* Of one process, or (0) of all: a stack has the same place in each. False: out of memory. */
static inline bool stacks_begin(struct stacks *stacks, const struct look *look, uint32_t process)
{
    const struct profile *p = look->profile;
    struct stacks_of none = {look->groups, 0};
    *stacks = (struct stacks){.other = none, .before = none};
    trace_nodes(look->trace, &stacks->count);
    stacks->of = calloc((size_t)stacks->count + 1, sizeof *stacks->of);
    for (uint32_t i = 0; stacks->of && i < stacks->count; i++) {
        stacks->of[i] = none;
    }
    for (uint32_t i = 1; stacks->of && i <= p->sites; i++) {
        uint32_t stack = p->site[i].stack;
        struct stacks_of of = {look->group_of_site[i], i};
        if (process && p->site[i].process != process) {
            continue;
        }
        if (stack < stacks->count) {
            stacks->of[stack] = of;
        } else if (stack == PROFILE_STACK_OTHER) {
            stacks->other = of;
        } else if (stack == PROFILE_STACK_BEFORE) {
            stacks->before = of;
        }
    }
    return stacks->of != NULL;
}

static inline void stacks_end(struct stacks *stacks)
{
    free(stacks->of);
    stacks->of = NULL;
}

static inline struct stacks_of stacks_find(const struct stacks *stacks, uint32_t stack)
{
    return stack == PROFILE_STACK_BEFORE                     ? stacks->before
           : stack < stacks->count && stacks->of[stack].site ? stacks->of[stack]
                                                             : stacks->other;
}

#endif
