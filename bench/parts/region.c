/* region.c - placing ranges in a range: allot's region engines beside VulkanMemoryAllocator's virtual blocks, OffsetAllocator,
 * TLSF and a naive exact best fit, each on one and the same stream of takes and gives.
 *
 * Two mixes of sizes, log-uniform and rounded up to a unit: `heap`, 16 bytes to 64 KiB in 256 MiB by 16; `gpu`, 256 bytes to
 * 4 MiB in 1 GiB by 256.
 *
 *   take, give   ns each at 60 % occupancy: 256 random ranges are given back, then ranges taken until it is 60 % again. What
 *                the stream itself costs is what `bare` shows, which places nothing.
 *   op           a take and a give together
 *   fill         % of the range that is live when a take fails for the first time, nothing having been given back
 *   sustained    % that is live at the first failure of a churn from 60 % up, whose target rises by 0.5 % every 20 000
 *                takes and gives: below the target takes, else gives a random one. The mean of three seeds.
 */
#include "region.h"

#include <math.h>

#include "part.h"

struct mix {
    const char *name;
    uint64_t least, most, size, unit;
};

static const struct mix mixes[] = {
    {"heap", 16, 64 << 10, 256 << 20, 16},
    {"gpu", 256, 4 << 20, 1 << 30, 256},
};

enum {
    BATCH = 256,
    SETTLE = 200,   /* batches of churn before the clock runs */
    BATCHES = 2000, /* timed */
    STEP = 20000,   /* takes and gives for each half percent */
    SEEDS = 3,
    MOST_LIVE = 256 * 1024 /* either mix has fewer at 100 % */
};
#define LONGEST 3000000000 /* ns: no more batches after that */

struct stream {
    const struct engine *engine;
    void *self;
    const struct mix *mix;
    uint64_t seed;
    uint64_t live; /* bytes */
    size_t count;
    struct held *held;
};

static uint64_t draw(struct stream *s)
{
    const struct mix *mix = s->mix;
    double part = (double)(chance(&s->seed) >> 11) * 0x1p-53;
    uint64_t size = (uint64_t)((double)mix->least * exp(part * log((double)mix->most / (double)mix->least)));
    return (size + mix->unit - 1) / mix->unit * mix->unit;
}

static struct stream stream_of(const struct engine *engine, int mode, const struct mix *mix, uint64_t seed)
{
    struct stream s = {.engine = engine, .mix = mix, .seed = seed};
    s.self = engine->open(mix->size, mix->unit, mode);
    s.held = calloc(MOST_LIVE, sizeof *s.held);
    if (!s.self || !s.held)
        fail("out of memory");
    return s;
}

static void stream_end(struct stream *s)
{
    while (s->count)
        s->engine->give(s->self, &s->held[--s->count]);
    s->engine->close(s->self);
    free(s->held);
}

static bool take(struct stream *s, uint64_t size)
{
    if (s->count == MOST_LIVE)
        fail("more ranges than there is room for");
    s->held[s->count].size = size;
    if (!s->engine->take(s->self, &s->held[s->count]))
        return false;
    s->count++;
    s->live += size;
    return true;
}

/* Moves a random one to the end, to be given back from there. */
static void pick(struct stream *s, size_t among)
{
    size_t at = below(&s->seed, among);
    struct held last = s->held[among - 1];
    s->held[among - 1] = s->held[at];
    s->held[at] = last;
}

static bool fill_to(struct stream *s, uint64_t target)
{
    while (s->live < target)
        if (!take(s, draw(s)))
            return false;
    return true;
}

static double percent(const struct stream *s) { return 100.0 * (double)s->live / (double)s->mix->size; }

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

/* Victims and sizes are chosen before the clock runs. What a batch costs is the median of all: who waited for a core does not count. */
static void time_batches(struct stream *s, uint64_t target, double *take_ns, double *give_ns)
{
    static double takes[BATCHES], gives[BATCHES];
    uint64_t start = now();
    int batch = 0;
    for (; batch < SETTLE + BATCHES && (batch <= SETTLE || now() - start < LONGEST); batch++) {
        for (size_t i = 0; i < BATCH; i++) {
            pick(s, s->count - i);
            s->live -= s->held[s->count - 1 - i].size;
        }
        uint64_t giving = now();
        for (size_t i = 0; i < BATCH; i++)
            s->engine->give(s->self, &s->held[--s->count]);
        uint64_t given = now();
        size_t more = 0;
        for (; s->live < target; more++)
            s->live += s->held[s->count + more].size = draw(s);
        uint64_t taking = now();
        for (size_t i = 0; i < more; i++)
            if (!s->engine->take(s->self, &s->held[s->count++]))
                fail("nothing fits");
        uint64_t taken = now();
        if (batch >= SETTLE) {
            gives[batch - SETTLE] = (double)(given - giving) / BATCH;
            takes[batch - SETTLE] = (double)(taken - taking) / (double)more;
        }
    }
    *take_ns = median(takes, (size_t)(batch - SETTLE));
    *give_ns = median(gives, (size_t)(batch - SETTLE));
}

/* From `percents` occupied on. */
static double sustained(struct stream *s, unsigned percents)
{
    for (int step = 0;; step++) {
        uint64_t target = s->mix->size / 1000 * (10 * percents + 5 * (uint64_t)step);
        for (int i = 0; i < STEP; i++) {
            if (s->live < target) {
                if (!take(s, draw(s)))
                    return percent(s);
            } else {
                pick(s, s->count);
                struct held *last = &s->held[--s->count];
                s->live -= last->size;
                s->engine->give(s->self, last);
            }
        }
    }
}

static void print(const struct mix *mix, const char *what, double value, const char *unit)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%s", mix->name, what);
    figure(name, value, unit);
}

/* `occupied` in percent: where an engine cannot hold 60, it is timed at fewer. `filled`: whether to find out what it holds. */
static void measure(const struct engine *engine, int mode, unsigned occupied, bool filled)
{
    for (const struct mix *mix = mixes; mix < mixes + COUNT(mixes); mix++) {
        struct stream s = stream_of(engine, mode, mix, 1);
        uint64_t target = mix->size / 100 * occupied;
        if (!fill_to(&s, target))
            fail("nothing fits");
        double take_ns, give_ns;
        time_batches(&s, target, &take_ns, &give_ns);
        stream_end(&s);
        print(mix, "take", take_ns, "ns");
        print(mix, "give", give_ns, "ns");
        print(mix, "op", take_ns + give_ns, "ns");
        if (!filled)
            continue;
        s = stream_of(engine, mode, mix, 1);
        fill_to(&s, mix->size + 1);
        print(mix, "fill", percent(&s), "%");
        stream_end(&s);
        double sum = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            s = stream_of(engine, mode, mix, seed);
            sum += sustained(&s, occupied);
            stream_end(&s);
        }
        print(mix, "sustained", sum / SEEDS, "%");
    }
}

static void *region_open(uint64_t size, uint64_t unit, int mode)
{
    static struct allot_region region;
    struct allot_region_opts opts = {.fit = (enum allot_fit)mode, .unit = unit};
    return allot_region_init(&region, 0, size, &opts) == 0 ? &region : NULL;
}

static bool region_take(void *self, struct held *held)
{
    return allot_region_take(self, held->size, 0, &held->range) == 0;
}

static void region_give(void *self, struct held *held) { allot_region_give(self, &held->range); }

static void region_close(void *self) { allot_region_done(self); }

static const struct engine allot_engine = {region_open, region_take, region_give, region_close};

static void *bare_open(uint64_t size, uint64_t unit, int mode)
{
    static char self;
    (void)size, (void)unit, (void)mode;
    return &self;
}

static bool bare_take(void *self, struct held *held)
{
    held->handle[0] = (uint64_t)self;
    return true;
}

static void bare_give(void *self, struct held *held)
{
    (void)self;
    used((void *)held->handle[0]);
}

static void bare_close(void *self) { (void)self; }

static const struct engine bare_engine = {bare_open, bare_take, bare_give, bare_close};

static void bare(void) { measure(&bare_engine, 0, 60, false); }

static void allot_first(void) { measure(&allot_engine, ALLOT_FIRST, 60, true); }
static void allot_next(void) { measure(&allot_engine, ALLOT_NEXT, 20, true); }
static void allot_best(void) { measure(&allot_engine, ALLOT_BEST, 60, true); }
static void allot_next_best(void) { measure(&allot_engine, ALLOT_NEXT_BEST, 60, true); }
static void allot_worst(void) { measure(&allot_engine, ALLOT_WORST, 20, true); }
static void allot_groups(void) { measure(&allot_engine, ALLOT_GROUPS, 60, true); }
static void allot_bins(void) { measure(&allot_engine, ALLOT_BINS, 60, true); }
static void allot_buddy(void) { measure(&allot_engine, ALLOT_BUDDY, 60, true); }

static void naive(void) { measure(&naive_engine, 0, 60, true); }

#if PEER_VMA
static void vma_default(void) { measure(&vma_engine, 0, 60, true); }
static void vma_min_memory(void) { measure(&vma_engine, 1, 60, true); }
static void vma_min_offset(void) { measure(&vma_engine, 2, 60, false); }
#else
#define vma_default    NULL
#define vma_min_memory NULL
#define vma_min_offset NULL
#endif

#if PEER_OFFSET
static void offset(void) { measure(&offset_engine, 0, 60, true); }
#else
#define offset NULL
#endif

#if PEER_TLSF
static void tlsf(void) { measure(&tlsf_engine, 0, 60, true); }
#else
#define tlsf NULL
#endif

static const struct variant variants[] = {
    {"bare", "the stream alone: nothing is placed", bare},
    {"allot-first", "the lowest offset", allot_first},
    {"allot-next", "the lowest from where the last ended; timed at 20 %, and sustained from there", allot_next},
    {"allot-best", "the tightest hole", allot_best},
    {"allot-next-best", "the tightest hole, the lowest of equals", allot_next_best},
    {"allot-worst", "the largest hole; timed at 20 %, and sustained from there", allot_worst},
    {"allot-groups", "64 areas", allot_groups},
    {"allot-bins", "segregated lists", allot_bins},
    {"allot-buddy", "powers of two", allot_buddy},
    {"naive-best", "exact best fit on two std::set", naive},
    {"vma-default", "VmaVirtualBlock (PEERS=vma=TREE)", vma_default},
    {"vma-min-memory", "VmaVirtualBlock, STRATEGY_MIN_MEMORY (PEERS=vma=TREE)", vma_min_memory},
    {"vma-min-offset", "VmaVirtualBlock, STRATEGY_MIN_OFFSET: first fit (PEERS=vma=TREE)", vma_min_offset},
    {"offset", "OffsetAllocator (PEERS=offset=TREE)", offset},
    {"tlsf", "mattconte/tlsf, its memory resident (PEERS=tlsf=TREE)", tlsf},
};

static const char *const demands[] = {
    "heap_op allot-best <= 1.4 vma-min-memory",
    "gpu_op allot-best <= 1.4 vma-min-memory",
    "heap_sustained allot-best >= 97",
    "gpu_sustained allot-best >= 84.5",
    "heap_take vma-min-offset >= 400 allot-first",
    "gpu_take vma-min-offset >= 70 allot-first",
    "heap_op allot-bins <= 1.1 offset",
    "gpu_op allot-bins <= 1.1 offset",
    "heap_sustained allot-bins >= 90",
    "gpu_sustained allot-bins >= 80",
};

int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
