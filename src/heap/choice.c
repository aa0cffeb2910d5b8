/* heap/choice.c - see heap/choice.h. The library links to libc alone, so it has logarithms of its own. */
#include "heap/choice.h"

#include "os/process.h"

atomic_uint choice_changes;
atomic_bool choice_on;
uint64_t choice_seed;

static atomic_size_t guard_rate, sample_mean;
static bool seeing_all;

static void changed(void)
{
    bool on = seeing_all || atomic_load(&guard_rate) != 0 || atomic_load(&sample_mean) != 0;
    atomic_store(&choice_on, on);
    atomic_fetch_add(&choice_changes, 1);
}

void choice_set_guard(size_t rate)
{
    atomic_store(&guard_rate, rate);
    changed();
}

void choice_set_sample(size_t mean)
{
    atomic_store(&sample_mean, mean);
    changed();
}

size_t choice_sample_mean(void) { return atomic_load_explicit(&sample_mean, memory_order_relaxed); }

void choice_see_all(void)
{
    seeing_all = true;
    changed();
}

/* -- numbers -- */

/* splitmix64 (Steele, Lea, Flood, 2014) */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t seed_of(const struct heap *h)
{
    uint64_t seed = choice_seed ? mix(choice_seed + h->id) : 0;
    if (!seed) {
        os_secret(&seed, sizeof seed);
    }
    return seed | 1;
}

static uint64_t next_random(struct heap *h)
{
    static _Atomic uint64_t everybodys;
    if (h) {
        h->random = h->random ? h->random : seed_of(h);
        return mix(h->random += 0x9e3779b97f4a7c15);
    }
    uint64_t now = atomic_fetch_add_explicit(&everybodys, 0x9e3779b97f4a7c15, memory_order_relaxed);
    if (now == 0 && !choice_seed) {
        os_secret(&now, sizeof now);
        atomic_fetch_add_explicit(&everybodys, now, memory_order_relaxed);
    }
    return mix(now + choice_seed);
}

/* Of [0, 1). */
static double fraction(struct heap *h) { return (double)(next_random(h) >> 11) * 0x1p-53; }

/* -ln of a fraction: exponentially distributed, of mean 1. ln m = 2 artanh((m - 1) / (m + 1)). */
static double exponential(struct heap *h)
{
    uint64_t x = next_random(h) | 1;
    unsigned e = log2_floor(x);
    double m = (double)(x << (63 - e)) * 0x1p-63, s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
    for (int i = 21; i > 0; i -= 2) {
        sum = sum * s2 + 1.0 / i;
    }
    return (64 - e) * 0.69314718055994530942 - 2 * s * sum;
}

/* By a series for what is small, doubled: 1 - (1 - y)^2 = y (2 - y). */
double choice_chance(double x)
{
    int doublings = 0;
    if (x > 64) {
        return 1;
    }
    for (; x > 1.0 / 16; x /= 2) {
        doublings++;
    }
    double sum = 0;
    for (int i = 10; i > 0; i--) {
        sum = (1 - sum) * x / i; /* x - x^2/2! + x^3/3! ... = x (1 - x/2 (1 - x/3 (...))) */
    }
    while (doublings-- > 0) {
        sum *= 2 - sum;
    }
    return sum;
}

/* -- the choice -- */

/* Rates of a block of so many bytes: the chance to be chosen is 1 - exp(-rate). */
struct rates {
    double sample, guard;
};

static struct rates rates_of(uint32_t heap_id, size_t bytes)
{
    size_t mean = choice_sample_mean(), rate = atomic_load_explicit(&guard_rate, memory_order_relaxed);
    bool sampled = mean && !(heap_id & ID_PRIVATE), guarded = rate && (heap_id & ~ID_NUMBER) == 0;
    return (struct rates){
        .sample = sampled && !slab_unlinked ? (double)bytes / (double)mean : 0,
        .guard = guarded && !slab_unlinked ? 1 / (double)rate : 0,
    };
}

static struct rates rates_of_class(const struct heap *h, unsigned c)
{
    return rates_of(h->id, class_size(class_untuned(c)));
}

/* How many are not chosen before the next one. */
static int32_t draw(struct heap *h, struct rates r)
{
    double rate = r.sample + r.guard;
    if (seeing_all || rate == 0) {
        return seeing_all ? 0 : CHOICE_LOOK;
    }
    double blocks = exponential(h) / rate;
    return blocks > INT32_MAX ? INT32_MAX : (int32_t)blocks;
}

/* Of a block that is chosen, what for. Both: it is sampled. */
static enum chosen which(struct heap *h, struct rates r, double *chance)
{
    *chance = choice_chance(r.sample);
    return fraction(h) * choice_chance(r.sample + r.guard) < *chance ? CHOSEN_SAMPLE : CHOSEN_GUARD;
}

static enum chosen one(struct heap *h, struct rates r, double *chance)
{
    bool chosen = r.sample + r.guard > 0 && fraction(h) < choice_chance(r.sample + r.guard);
    return chosen ? which(h, r, chance) : CHOSEN_NOT;
}

static void hear(struct heap *h, unsigned change)
{
    h->heard = change;
    for (unsigned c = 0; c < ALL_CLASSES; c++) {
        h->classes[c].unsampled = draw(h, rates_of_class(h, c));
    }
}

enum chosen choice_take(struct heap *h, unsigned c, double *chance)
{
    unsigned change = atomic_load_explicit(&choice_changes, memory_order_relaxed);
    struct rates r = rates_of_class(h, c);
    int32_t *unsampled = &h->classes[c].unsampled;
    if (h->heard != change) {
        hear(h, change);
    }
    if (seeing_all) {
        return one(h, r, chance);
    }
    if (*unsampled > 0) {
        return CHOSEN_NOT;
    }
    *unsampled = draw(h, r);
    return r.sample + r.guard > 0 ? which(h, r, chance) : CHOSEN_NOT;
}

bool choice_one(uint32_t heap_id, size_t bytes, double *chance)
{
    struct rates r = rates_of(heap_id, bytes);
    r.guard = 0;
    return one(front.heap, r, chance) == CHOSEN_SAMPLE;
}
