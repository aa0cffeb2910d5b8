/* live.h - a hash from (process, address), or any two numbers of which the first is not 0, to one word. Open addressing, at most half
 * full; removal closes the gap, so its memory (24 bytes a slot) follows the most that it held at once. All zero at first. */
#ifndef ALLOT_TRACE_LIVE_H
#define ALLOT_TRACE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct live_slot {
    uint64_t address, value;
    uint32_t process; /* 0: nothing */
};
struct live {
    struct live_slot *slot;
    size_t mask, count;
};

void live_done(struct live *live);
struct live_slot *live_find(const struct live *live, uint32_t process, uint64_t address);
/* The slot of an address that is not there yet; NULL: no memory. */
struct live_slot *live_add(struct live *live, uint32_t process, uint64_t address, uint64_t value);
void live_remove(struct live *live, struct live_slot *slot);

#endif
