/* heap/lease.c - see heap/lease.h. */
#include "heap/lease.h"

#include <allot/control.h>

#include "heap/choice.h"
#include "heap/sample.h"
#include "os/process.h"
#include "probe/control.h"

enum { MEAN_LEAST = 64 * 1024 };

atomic_uint_fast64_t lease_until;
atomic_uint_fast32_t lease_visits;
static size_t
    mean_set; /* by a lease: what sampling is at, unless the program has changed that since; 0: it is not ours */

bool lease_is_over(void)
{
    uint64_t until = atomic_load_explicit(&lease_until, memory_order_relaxed);
    return until && os_milliseconds() > until;
}

bool lease_renew(size_t mean)
{
    size_t now = choice_sample_mean();
    if (mean == 0) {
        return false;
    }
    mean = mean < MEAN_LEAST ? MEAN_LEAST : mean > CHOICE_MEAN_MOST ? CHOICE_MEAN_MOST : mean;
    if (now != mean && (now == 0 || now == mean_set) && sample_set(mean)) {
        mean_set = mean;
    }
    atomic_store_explicit(&lease_until, os_milliseconds() + ALLOT_CONTROL_LEASE_MS, memory_order_relaxed);
    return true;
}

void lease_end(void)
{
    if (mean_set && choice_sample_mean() == mean_set) {
        sample_set(0);
    }
    mean_set = 0;
    atomic_store_explicit(&lease_until, 0, memory_order_relaxed);
}
