/* deref.c - what a look-up by reference costs beside a pointer, for several ways to keep a table of where objects are. Prints the tables
 * of docs/movable.md, "Ways to look up".
 *
 *     gcc -O2 bench/experiments/deref.c -o deref && ./deref
 *
 * A list is walked whose nodes refer to the next one by a pointer and by {slot, gen}. A column is a number of nodes, shuffled, or in
 * order; a row is a way to come from the slot to the address, and its figure what a node takes more than by the pointer: the median of
 * many rounds, in each of which all rows have their turn. Cycles: by a chain of additions, timed in the same round.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GROUP = 256, MOST = 1 << 20, ROUNDS = 41, NODE = 72, CHUNK = 512 << 10 };

struct ref {
    uint32_t slot, gen;
};

/* Behind a header whose last four bytes are the gen. Each way has a reference of its own in the node: 8 bytes that are equal to `ref` but
 * where the way says otherwise. */
struct node {
    struct node *next;
    struct ref ref;   /* gen << 8: its lowest byte is 0 */
    struct ref twice; /* its slot is twice as large */
    uint64_t value[4];
};

/* What at() has. */
static struct {
    const uint16_t *entry;
    char *const *base;
    const uint32_t *wide;
    char *const *address;
    const char *with_base; /* of each group 512 bytes: base, then an entry for each slot but the first four */
    char *area;
    uint32_t slots;
    uint64_t recent;
} heap;

static char *__attribute__((noinline, cold)) missing(void)
{
    puts("a look-up failed");
    exit(1);
}

static inline int has_gen(const char *p, uint32_t gen)
{
    uint32_t found;
    memcpy(&found, p - sizeof found, sizeof found);
    return __builtin_expect(found == gen, 1);
}

#define GOOD(p, unit, ref) (__builtin_expect((unit) != 0, 1) && has_gen(p, (ref).gen) ? (p) : missing())
#define IN(ref, limit)     __builtin_expect((ref).slot < (limit), 1)

/* base[slot >> 8] and entry[slot], side by side */
static inline char *by_two(const struct ref *at)
{
    struct ref ref = *at;
    if (!IN(ref, heap.slots))
        return missing();
    uint64_t unit = heap.entry[ref.slot];
    char *p = heap.base[ref.slot / GROUP] + unit * 8;
    return GOOD(p, unit, ref);
}

/* The same, the group loaded by itself from the three bytes it lies in, as the next byte is 0: no shift */
static inline char *by_bytes(const struct ref *at)
{
    struct ref ref = *at;
    uint32_t group;
    memcpy(&group, (const char *)at + 1, sizeof group);
    if (!IN(ref, heap.slots))
        return missing();
    uint64_t unit = heap.entry[ref.slot];
    char *p = heap.base[group] + unit * 8;
    return GOOD(p, unit, ref);
}

/* A group's base in front of its entries; `at` has twice the slot, which is the entry's offset */
static inline char *by_front(const struct ref *at)
{
    struct ref ref = *at;
    if (!IN(ref, heap.slots * 2))
        return missing();
    uint16_t unit;
    char *base;
    memcpy(&unit, heap.with_base + ref.slot, sizeof unit);
    memcpy(&base, heap.with_base + (ref.slot & ~511u), sizeof base);
    char *p = base + (uint64_t)unit * 8;
    return GOOD(p, unit, ref);
}

/* The base of the group that was last asked for is at hand */
static inline char *by_recent(const struct ref *at)
{
    struct ref ref = *at;
    if (!IN(ref, heap.slots))
        return missing();
    uint64_t unit = heap.entry[ref.slot], group = ref.slot / GROUP,
             recent = __atomic_load_n(&heap.recent, __ATOMIC_RELAXED);
    char *base = heap.area + (recent & 0xffffff) * CHUNK;
    if (__builtin_expect(recent >> 24 != group, 0)) {
        base = heap.base[group];
        __atomic_store_n(&heap.recent, group << 24 | (uint64_t)(base - heap.area) / CHUNK, __ATOMIC_RELAXED);
    }
    char *p = base + unit * 8;
    return GOOD(p, unit, ref);
}

/* 4 bytes for each slot, from the beginning of all memory */
static inline char *by_wide(const struct ref *at)
{
    struct ref ref = *at;
    if (!IN(ref, heap.slots))
        return missing();
    uint64_t unit = heap.wide[ref.slot];
    char *p = heap.area + unit * 8;
    return GOOD(p, unit, ref);
}

/* 8 bytes: the address */
static inline char *by_address(const struct ref *at)
{
    struct ref ref = *at;
    if (!IN(ref, heap.slots))
        return missing();
    char *p = heap.address[ref.slot];
    return GOOD(p, p, ref);
}

static inline char *by_pointer(const struct ref *at)
{
    return *(char *const *)(const void *)((const char *)at - offsetof(struct node, ref));
}

#define WALK(way, field)                                                                     \
    static __attribute__((noinline)) uint64_t walk_##way(const struct node *n, size_t count) \
    {                                                                                        \
        uint64_t sum = 0;                                                                    \
        for (; count > 0; count--) {                                                         \
            sum += n->value[0];                                                              \
            n = (const struct node *)(const void *)way(&n->field);                           \
        }                                                                                    \
        return sum;                                                                          \
    }
WALK(by_pointer, ref)
WALK(by_two, ref)
WALK(by_bytes, ref)
WALK(by_front, twice)
WALK(by_recent, ref)
WALK(by_wide, ref)
WALK(by_address, ref)

static const struct {
    const char *name;
    uint64_t (*walk)(const struct node *n, size_t count);
} ways[] = {
    {"by a pointer", walk_by_pointer},
    {"entry and base", walk_by_two},
    {"the group loaded, not shifted", walk_by_bytes},
    {"base in front of entries, slot doubled", walk_by_front},
    {"the last group's base", walk_by_recent},
    {"4 bytes a slot", walk_by_wide},
    {"8 bytes a slot", walk_by_address},
};
enum { WAYS = sizeof ways / sizeof *ways };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cycle(void)
{
    enum { TIMES = 20000 };
    uint64_t x = 1, n = TIMES;
    double start = now();
    for (; n > 0; n--)
        __asm__ volatile("add %0, %0\n add %0, %0\n add %0, %0\n add %0, %0\n" : "+r"(x));
    return (now() - start) / TIMES / 4;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *all)
{
    qsort(all, ROUNDS, sizeof *all, by_value);
    return all[ROUNDS / 2];
}

static uint32_t below(uint32_t bound)
{
    static uint64_t seed = 1;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 32) * bound >> 32);
}

static uint32_t slot_of(uint32_t i) { return i / (GROUP - 4) * GROUP + 4 + i % (GROUP - 4); }

/* Nodes one behind the other, in slots one after the other. */
static void lay_out(uint32_t nodes, int shuffled)
{
    static uint32_t order[MOST];
    uint32_t each = CHUNK / NODE - 4, groups = slot_of(nodes) / GROUP + 1;
    heap.slots = groups * GROUP;
    each = each / (GROUP - 4) * (GROUP - 4); /* whole groups in a chunk */
    heap.area = aligned_alloc(CHUNK, ((size_t)nodes / each + 1) * CHUNK);
    uint16_t *entry = calloc(heap.slots, sizeof *entry);
    uint32_t *wide = calloc(heap.slots, sizeof *wide);
    char **address = calloc(heap.slots, sizeof *address), **base = calloc(groups, sizeof *base);
    char *with_base = aligned_alloc(4096, ((size_t)groups * 512 + 4095) & ~(size_t)4095);
    for (uint32_t i = 0; i < nodes; i++) {
        uint32_t slot = slot_of(i), unit = 17 + i % each * (NODE / 8);
        char *chunk = heap.area + (size_t)(i / each) * CHUNK;
        entry[slot] = (uint16_t)unit;
        wide[slot] = (uint32_t)(((size_t)(chunk - heap.area) >> 3) + unit);
        address[slot] = chunk + (size_t)unit * 8;
        base[slot / GROUP] = chunk;
        memcpy(with_base + (size_t)slot * 2, &entry[slot], 2);
        memcpy(with_base + (size_t)slot / GROUP * 512, &chunk, sizeof chunk);
        order[i] = i;
    }
    for (uint32_t i = nodes - 1; shuffled && i > 0; i--) {
        uint32_t j = below(i + 1), other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (uint32_t i = 0; i < nodes; i++) {
        uint32_t from = slot_of(order[i]), to = slot_of(order[(i + 1) % nodes]), gen = (order[i] + 1) << 8;
        struct ref ref = {to, (order[(i + 1) % nodes] + 1) << 8};
        struct node *n = (void *)address[from];
        memcpy((char *)n - 4, &gen, sizeof gen);
        *n = (struct node){(void *)address[to], ref, {to * 2, ref.gen}, {i}};
    }
    heap.entry = entry;
    heap.wide = wide;
    heap.address = address;
    heap.base = base;
    heap.with_base = with_base;
    heap.recent = UINT64_MAX;
}

static void forget(void)
{
    free(heap.area);
    free((void *)heap.entry);
    free((void *)heap.wide);
    free((void *)heap.address);
    free((void *)heap.base);
    free((void *)heap.with_base);
}

int main(void)
{
    static const struct {
        const char *name;
        uint32_t nodes;
        int shuffled;
        size_t steps;
    } lists[] = {{"200", 200, 1, 200000},          {"500", 500, 1, 200000},      {"1 000", 1000, 1, 200000},
                 {"2 000", 2000, 1, 200000},       {"10 000", 10000, 1, 100000}, {"a million", 1000000, 1, 50000},
                 {"in order", 1000000, 0, 1000000}};
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        static double more[WAYS][ROUNDS], cycles[WAYS][ROUNDS];
        lay_out(lists[l].nodes, lists[l].shuffled);
        const struct node *first = (const void *)heap.address[slot_of(0)];
        for (int w = 0; w < WAYS; w++) /* once before it counts */
            ways[w].walk(first, lists[l].steps);
        for (int round = 0; round < ROUNDS; round++) {
            double each = cycle();
            for (int w = 0; w < WAYS; w++) {
                double start = now();
                uint64_t sum = ways[w].walk(first, lists[l].steps);
                __asm__ volatile("" : : "r"(sum));
                more[w][round] = (now() - start) / (double)lists[l].steps;
                cycles[w][round] = more[w][round] / each;
            }
        }
        printf("%s nodes\n", lists[l].name);
        double pointer = 0, pointer_cycles = 0;
        for (int w = 0; w < WAYS; w++) {
            double ns = median(more[w]), c = median(cycles[w]);
            printf("  %-40s %7.2f ns %6.1f cycles\n", ways[w].name, ns - pointer, c - pointer_cycles);
            if (w == 0) {
                pointer = ns;
                pointer_cycles = c;
            }
        }
        forget();
    }
    return 0;
}
