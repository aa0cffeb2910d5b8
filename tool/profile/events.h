/* profile/events.h - what an event does to a profile's figures: for profile.c only. */
#ifndef ALLOT_PROFILE_EVENTS_H
#define ALLOT_PROFILE_EVENTS_H

#include "profile/profile.h"

/* What is in budget.error when it is no errno. */
enum { EVENTS_TOO_MANY_PROCESSES = -1 };

/* The event has its time in profile->now. 0, or -1: no memory, no disk, too many processes: budget.error says which. */
int events_take(struct profile *profile, const struct trace_event *event);

/* The process is no more, and its heap with it: what lived is left. */
void events_end_process(struct profile *profile, struct profile_process *process);

#endif
