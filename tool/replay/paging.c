/* See paging.h. */
#include "replay/paging.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

#define LEVELS 5

int paging_begin(struct paging *f, uint64_t most)
{
    *f = (struct paging){.most = most < FRAMES_MOST ? most : FRAMES_MOST};
    for (uint64_t l = 0, bits = f->most; l < LEVELS; l++, bits = (bits + 63) / 64) {
        f->level[l] = calloc((size_t)(bits + 63) / 64 + 1, sizeof(uint64_t));
        if (!f->level[l]) {
            paging_end(f);
            return -ENOMEM;
        }
        bitmap_set_range(f->level[l], 0, bits);
    }
    return 0;
}

void paging_end(struct paging *f)
{
    for (int l = 0; l < LEVELS; l++) {
        free(f->level[l]);
        f->level[l] = NULL;
    }
}

uint32_t paging_take(struct paging *f)
{
    uint64_t at = 0;
    for (int l = LEVELS; l-- > 0;) {
        at = at * 64 + lowest_bit(f->level[l][at]);
    }
    uint64_t bit = at;
    for (int l = 0; l < LEVELS; l++, bit /= 64) {
        bitmap_clear(f->level[l], bit);
        if (f->level[l][bit / 64]) {
            break;
        }
    }
    f->taken++;
    return (uint32_t)at;
}

void paging_give(struct paging *f, uint32_t frame)
{
    uint64_t bit = frame;
    for (int l = 0; l < LEVELS; l++, bit /= 64) {
        bitmap_set(f->level[l], bit);
    }
    f->taken--;
}

void tlb_touch(struct tlb *t, uint64_t page)
{
    uint64_t *way = t->page[page % TLB_SETS];
    int i = 0;
    while (i < TLB_WAYS - 1 && way[i] != page + 1) {
        i++;
    }
    t->translations++;
    t->walks += way[i] != page + 1;
    memmove(way + 1, way, (size_t)i * sizeof *way);
    way[0] = page + 1;
}

void tlb_forget(struct tlb *t, uint64_t page)
{
    uint64_t *way = t->page[page % TLB_SETS];
    for (int i = 0; i < TLB_WAYS; i++) {
        way[i] = way[i] == page + 1 ? 0 : way[i];
    }
}
