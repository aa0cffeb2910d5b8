/* heap/lease.h - another process looks on for a while (allot/control.h): what is done for its sake ends when it has gone, however it went.
 *
 *   renewed   renewed   renewed                ALLOT_CONTROL_LEASE_MS later, on a slow path
 *   |---------|---------|----------------------|
 *   sampling on, where it was off              off again; and the page that was made for it goes
 *
 * Everything here but lease_may_be_over is for who holds the lock of heap/share.c.
 */
#ifndef HEAP_LEASE_H
#define HEAP_LEASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

/* Somebody looks on until then (os_milliseconds); 0: nobody does. */
extern atomic_uint_fast64_t lease_until;
extern atomic_uint_fast32_t lease_visits;

bool lease_is_over(void);

/* The clock is looked at now and then only. */
static inline bool lease_may_be_over(void)
{
    if (likely(atomic_load_explicit(&lease_until, memory_order_relaxed) == 0)) {
        return false;
    }
    uint32_t visits = (uint32_t)atomic_load_explicit(&lease_visits, memory_order_relaxed) + 1;
    atomic_store_explicit(&lease_visits, visits, memory_order_relaxed);
    return visits % 256 == 0 && lease_is_over();
}

/* Renewed: one byte of so many is to be sampled, unless the program samples by itself. False: 0, who looked on has gone. */
bool lease_renew(size_t mean);
void lease_end(void);

#endif
