/* replay/paging.h - frames of physical memory, 4 KiB each, the lowest first; and a translation buffer.
 *
 *   free     1 1 0 0 1 0 ...     a bit each; a bit above for 64 of them, and one above that
 */
#ifndef ALLOT_REPLAY_PAGING_H
#define ALLOT_REPLAY_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_BYTES 4096
#define FRAMES_MOST ((uint64_t)1 << 26) /* 256 GiB */
#define FRAME_NONE  UINT32_MAX

struct paging {
    uint64_t *level[5]; /* level[0]: a bit for each frame that is free; above, for each word that is not 0 */
    uint64_t taken, most;
};

int paging_begin(struct paging *f, uint64_t most); /* 0 or -ENOMEM */
uint32_t paging_take(struct paging *f);            /* there is one: taken < most */
void paging_give(struct paging *f, uint32_t frame);
void paging_end(struct paging *f);

/* Translations that are at hand, of 64 pages: 16 sets of 4, the one that was used longest ago goes. What is not there is walked for. */
#define TLB_SETS 16
#define TLB_WAYS 4
struct tlb {
    uint64_t page[TLB_SETS][TLB_WAYS]; /* and 1; the latest first */
    uint64_t translations, walks;
};
void tlb_touch(struct tlb *t, uint64_t page);
void tlb_forget(struct tlb *t, uint64_t page);

#endif
