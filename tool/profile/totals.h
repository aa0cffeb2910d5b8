/* profile/totals.h - the figures of a trace that is a profile already (trace_totals): for profile.c only. */
#ifndef ALLOT_PROFILE_TOTALS_H
#define ALLOT_PROFILE_TOTALS_H

#include "profile/profile.h"

/* After the last event, of which the process was one. False: no memory. Of such a trace there are no sizes, lifetimes, times, threads or
 * temporary blocks. */
bool totals_take(struct profile *profile, const struct trace *trace);

#endif
