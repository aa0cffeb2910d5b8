/* page/frail.h - a store for tests: a disk that fails when it is told to, and forgets or tears what was not synced when its machine
 * dies.
 *
 *   write --sector by sector--> now[]  <-- read            machine: `left` sectors, and calls, until all power is gone: every call is EIO
 *             `--> log: sector, bytes --sync--> durable[]
 *   crash: each logged sector, in order, is written to durable[] or not, at random; now[] is durable[]
 *
 * Sectors are 512 bytes, and whole. Several disks may be of one machine.
 */
#ifndef PAGE_FRAIL_H
#define PAGE_FRAIL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/pager.h>

#include "common/random.h"

enum { SECTOR = 512 };

struct machine {
    long left; /* negative: for ever */
    bool dead;
};

struct frail {
    struct machine *machine;
    size_t bytes;
    unsigned char *now, *durable;
    struct logged {
        size_t sector;
        unsigned char bytes[SECTOR];
    } * log;
    size_t logged, log_room;

    struct random random;
    unsigned fail_reads, fail_writes, fail_syncs; /* so many of 1000 */
    int error;
    size_t full; /* bytes from which on a write is ENOSPC; 0: never */
    size_t reads, writes, syncs;
    bool slow;      /* a write takes a while to begin */
    bool keeps_log; /* or what is written is durable at once, and no power is lost */
};

void frail_init(struct frail *f, struct machine *machine, size_t bytes, uint64_t seed);
struct allot_store frail_store(struct frail *f);
void frail_crash(struct frail *f);
void frail_done(struct frail *f);

#endif
