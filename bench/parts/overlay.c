/* overlay.c - two segments that never live together take turns in one place: each turn saves one and loads the other. `entry` is
 * entering and leaving one that is there; `plan` the layout of a tree of 1000 phases, for each phase.
 */
#include "part.h"

#include <allot/overlay.h>

enum { PHASES = 1000, MOST = 1 << 20 };

static const struct {
    const char *name;
    size_t size;
} sizes[] = {{"switch_4k", 4096}, {"switch_16k", 16384}, {"switch_64k", 65536}, {"switch_1m", 1 << 20}};

static _Alignas(64) char image[2][MOST];
static _Alignas(64) char area[MOST];

/* So many times as many turns; the best time counts, as whatever else runs here takes the cache and the memory's time. */
enum { TIMES = 20 };
static unsigned turns(size_t size) { return (unsigned)((64u << 20) / size); }

static void bare(void)
{
    memset(image, 1, sizeof image);
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t size = sizes[s].size;
        uint64_t best = UINT64_MAX;
        for (int time = 0; time < TIMES; time++) {
            uint64_t start = now();
            for (unsigned turn = 0; turn < turns(size); turn++) {
                memcpy(image[!(turn & 1)], area, size);
                memcpy(area, image[turn & 1], size);
                area[turn % size]++;
                used(area);
            }
            uint64_t taken = now() - start;
            best = taken < best ? taken : best;
        }
        figure(sizes[s].name, (double)best / turns(size), "ns");
    }
}

/* Enters and leaves are calls: as often as many, on the one that is there. */
static void enter_again(struct allot_overlay *o)
{
    enum { ENTRIES = 10000000 };
    uint64_t start = now();
    for (int i = 0; i < ENTRIES; i++) {
        used(allot_overlay_enter(o, 0));
        allot_overlay_leave(o, 0);
    }
    figure("entry", (double)(now() - start) / ENTRIES, "ns");
}

static void plan(void)
{
    static struct allot_overlay_seg segs[PHASES];
    uint64_t seed = 1;
    for (size_t i = 0; i < PHASES; i++)
        segs[i] = (struct allot_overlay_seg){.size = 1 + below(&seed, 100000), .parent = (unsigned)below(&seed, i + 1)};
    struct allot_overlay_layout layout;
    uint64_t start = now();
    if (allot_overlay_plan(segs, PHASES, NULL, NULL, &layout) != 0)
        fail("no plan");
    figure("plan", (double)(now() - start) / PHASES, "ns");
    figure("area_over_clique", (double)layout.area / (double)layout.clique, "");
    figure("area_over_total", (double)layout.area / (double)layout.total, "");
}

static void allot(void)
{
    memset(image, 1, sizeof image);
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t size = sizes[s].size;
        const struct allot_overlay_seg segs[] = {{.size = size, .image = image[0]}, {.size = size, .image = image[1]}};
        struct allot_overlay o;
        if (allot_overlay_init(&o, area, size, segs, 2, NULL) != 0)
            fail("no overlay");
        uint64_t best = UINT64_MAX;
        for (int time = 0; time < TIMES; time++) {
            uint64_t start = now();
            for (unsigned turn = 0; turn < turns(size); turn++) {
                char *p = allot_overlay_enter(&o, turn & 1);
                p[turn % size]++;
                used(p);
                allot_overlay_leave(&o, turn & 1);
            }
            uint64_t taken = now() - start;
            best = taken < best ? taken : best;
        }
        figure(sizes[s].name, (double)best / turns(size), "ns");
        if (s == 0)
            enter_again(&o);
        allot_overlay_done(&o);
    }
    plan();
}

static const struct variant variants[] = {
    {"bare", "memcpy out and memcpy in", bare},
    {"allot", "allot_overlay", allot},
};

static const char *const demands[] = {
    "switch_16k allot <= 1.05 bare",
    "switch_64k allot <= 1.05 bare",
    "area_over_clique allot <= 1",
};

int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
