/* profile/sites.h - what happens at a site: for profile.c only. */
#ifndef ALLOT_PROFILE_SITES_H
#define ALLOT_PROFILE_SITES_H

#include "profile/profile.h"

bool sites_begin(struct profile *profile);
void sites_end(struct profile *profile);

/* The number of the stack's site in that process, made when there is none; 0: out of memory. */
uint32_t sites_of(struct profile *profile, struct profile_process *process, uint32_t stack);

/* Asks for what an allocation at the stack will touch. */
void sites_prefetch(const struct profile *profile, const struct profile_process *process, uint32_t stack);

/* The trace's reader takes so much: what is left for sites. */
void sites_beside(struct profile *profile, size_t reader);
/* Before what a site holds changes: notes what it held at the peak, and how little in the windows since it last did. */
void sites_catch_up(const struct profile *profile, struct profile_site *site);
static inline void sites_touch(const struct profile *profile, struct profile_site *site)
{
    if (__builtin_expect(site->peak_stamp != profile->peaks, 0)) {
        site->peak_stamp = profile->peaks;
        site->peak_blocks = site->live_blocks;
        site->peak_bytes = site->live_bytes;
    }
    if (__builtin_expect(site->window != profile->windows, 0)) {
        sites_catch_up(profile, site);
    }
}

/* Begins the window that `now` lies in. */
void sites_next_window(struct profile *profile);

/* `thread` allocates at the site. */
void sites_thread(struct profile *profile, uint32_t site, uint32_t thread);

/* The process has ended, or the trace: what it holds is left. */
void sites_leave(struct profile *profile, struct profile_process *process);

#endif
