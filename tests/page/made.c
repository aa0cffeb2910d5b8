#include "page/made.h"

#include <math.h>
#include <stdlib.h>

#include "common/check.h"

static struct made make(size_t references)
{
    struct made trace = {.page = malloc(references * sizeof(uint32_t)), .references = references};
    CHECK(trace.page);
    return trace;
}

void made_free(struct made *trace) { free(trace->page); }

static void count_pages(struct made *trace)
{
    for (size_t i = 0; i < trace->references; i++) {
        trace->pages = trace->page[i] >= trace->pages ? trace->page[i] + 1 : trace->pages;
    }
}

/* xorshift64*: the generator of the traces that the known counts are of. (Vigna 2016) */
static double draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state * 0x2545f4914f6cdd1du >> 11) / 0x1p53;
}

struct made made_zipf(size_t objects, double alpha, size_t references, uint64_t seed, size_t scan)
{
    struct made trace = make(references);
    double *sum = malloc(objects * sizeof *sum), total = 0;
    uint32_t *number = calloc(objects + 1, sizeof *number);
    CHECK(sum && number);
    for (size_t i = 0; i < objects; i++) {
        total += 1 / pow((double)(i + 1), alpha);
        sum[i] = total;
    }
    for (size_t n = 0, drawn = 0; n < references;) {
        double u = draw(&seed) * total;
        size_t from = 0, to = objects;
        while (from < to) {
            size_t middle = (from + to) / 2;
            if (sum[middle] < u) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        number[from] = number[from] ? number[from] : (uint32_t)++trace.pages;
        trace.page[n++] = number[from] - 1;
        if (scan && ++drawn % scan == 0) {
            for (size_t i = 0; i < objects / 20 && n < references; i++) {
                trace.page[n++] = (uint32_t)trace.pages++;
            }
        }
    }
    free(sum);
    free(number);
    return trace;
}

struct made made_loop(size_t pages, size_t references)
{
    struct made trace = make(references);
    for (size_t i = 0; i < references; i++) {
        trace.page[i] = (uint32_t)(i % pages);
    }
    trace.pages = pages;
    return trace;
}

struct made made_drift(size_t pages, size_t references, uint64_t seed)
{
    struct made trace = make(references);
    for (size_t i = 0, newest = 2 * pages; i < references; i++) {
        newest += i % 3 == 0;
        double x = draw(&seed);
        trace.page[i] = (uint32_t)(newest - (size_t)((double)pages * x * x));
    }
    count_pages(&trace);
    return trace;
}

struct made made_shift(size_t pages, size_t references, uint64_t seed)
{
    struct made trace = make(references);
    for (size_t i = 0; i < references; i++) {
        double x = draw(&seed) * draw(&seed);
        trace.page[i] = (uint32_t)(i / 20000 * (pages / 4) + (size_t)(x * (double)pages));
    }
    count_pages(&trace);
    return trace;
}

size_t made_misses(const struct made *trace, enum allot_evict_policy policy, size_t frames,
                   const struct allot_evict_opts *opts)
{
    enum { PROOFS = 7 };
    const uint64_t present = (uint64_t)1 << 63;
    struct allot_evict e;
    CHECK(allot_evict_init(&e, policy, frames, opts) == 0);
    uint64_t *entry = calloc(trace->pages, sizeof *entry);
    uint32_t *page = malloc(frames * sizeof *page);
    CHECK(entry && page);
    size_t misses = 0;
    for (size_t i = 0; i < trace->references; i++) {
        uint32_t p = trace->page[i];
        if (entry[p] & present) {
            allot_evict_hit(&e, entry[p] & ~present);
            continue;
        }
        size_t frame = misses++;
        if (frame >= frames) {
            uint64_t ghost;
            frame = allot_evict_victim(&e, entry[p], &ghost, NULL, NULL);
            CHECK(frame < frames && ghost >> 61 == 0);
            entry[page[frame]] = ghost;
        }
        page[frame] = p;
        allot_evict_enter(&e, frame, entry[p], 0);
        entry[p] = present | frame;
        if (i % (trace->references / PROOFS + 1) == 0) {
            allot_evict_check(&e);
        }
    }
    allot_evict_check(&e);
    allot_evict_done(&e);
    free(entry);
    free(page);
    return misses;
}
