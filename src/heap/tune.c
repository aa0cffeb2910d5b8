/* heap/tune.c - slots of the size that is wanted.
 *
 * A middle class has slots of up to an eighth more than a block asks for. Where a heap has many slabs of such a class that
 * amounts to something, and there is a tuned class beside it: its slots are as long as the size that most refills were for
 * (Boyer and Moore's majority vote: one candidate, one counter), or else half way up the class. From then on whatever fits
 * is served from there, and what does not from the class as before. Tuned again only when it has no slab left.
 */
#include "heap/heap.h"

enum { SLABS = 16, ENOUGH = 32, STEP = 16 };

static void vote(struct tuning *t, unsigned steps)
{
    if (t->votes == 0) {
        t->candidate = (uint16_t)steps;
    }
    t->votes = (uint16_t)(t->candidate == steps ? t->votes + 1 : t->votes - 1);
    if (++t->seen == UINT16_MAX) { /* what was long ago counts less */
        t->seen /= 2;
        t->votes /= 2;
    }
}

/* The candidate, when it has most votes and saves more than a fiftieth; else the middle. */
static size_t best_stride(const struct tuning *t, unsigned c)
{
    size_t whole = class_size(c), candidate = (size_t)t->candidate * STEP;
    bool most = t->votes >= t->seen / 4 && whole - candidate > whole / 50;
    return most ? candidate : align_up((class_size(c - 1) + whole) / 2, STEP);
}

void heap_tune(struct heap *h, unsigned c, size_t size)
{
    unsigned base = class_untuned(c);
    struct tuning *t = &h->tuning[base - SMALL_CLASSES];
    struct heap_class *tuned = &h->classes[base + MID_CLASSES];
    vote(t, (unsigned)((size + STEP - 1) / STEP));
    if (c == base && h->classes[c].slabs >= SLABS && tuned->slabs == 0 && t->seen >= ENOUGH) {
        tuned->stride = t->stride = (uint16_t)best_stride(t, c);
        t->seen = t->votes = 0;
    }
}
