/* front.c - the smallest small-object heap that has the real one's fast paths, with the open choices as -D switches.
 *
 *   segment, 4 MiB aligned:  unit 0 (headers, bitmaps) | slab | slab | ...      a slab is one unit of one class
 *   thread: per class a head (list of free blocks, or one bitmap word) -> refill takes from the class's current slab
 *
 * Blocks of 0 to 1024 bytes, 16-byte classes, nothing is returned to the OS. Built as a shared object, one for each
 * variant, so that every call is a real one and thread-local storage is initial-exec, as in the drop-in.
 *
 * Equations of a slab. Since the last sync `trip_set - trip` blocks were freed onto it; at a sync:
 *   used + nlocal + (nslots - fresh) == nslots     used: with the program or in the thread's head for the class
 * A front that is a bitmap counts every slot that was never used as nlocal, so fresh == nslots from the start.
 */
#define _GNU_SOURCE
#include "front.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The choices. */
#ifndef BITMAP /* 0: in-band lists in front; 1: the front holds a word of the slab's bitmap */
#define BITMAP 0
#endif
#ifndef TO_THREAD /* free pushes on 0: the slab; 1: the thread's list, counted in malloc and free; 2: counted in free \
                   */
#define TO_THREAD 0
#endif
#ifndef IN_SLAB /* the header is 0: in an array at the segment's start; 1: the first line of its slab */
#define IN_SLAB 0
#endif
#ifndef LEAD /* bytes of a slab before its first block; with IN_SLAB the header is in them */
#define LEAD (IN_SLAB ? 64 : 0)
#endif
#ifndef UNIT_SHIFT
#define UNIT_SHIFT 16
#endif
#ifndef PREFETCH
#define PREFETCH 0
#endif
#ifndef FRESH /* bytes of never-used memory threaded into the list at a time; 0: the whole slab */
#define FRESH 4096
#endif
#ifndef WAKE /* a full slab of n slots becomes a candidate for refill when so many are free */
#define WAKE n / 8
#endif

#define SEG         ((uintptr_t)1 << 22)
#define UNIT        ((uintptr_t)1 << UNIT_SHIFT)
#define UNITS       (SEG / UNIT)
#define FIRST       (UNIT_SHIFT == 15 ? 3u : 1u) /* units that headers and bitmaps take */
#define CLASSES     65
#define CROSSINGS   7
#define NEVER       0xffff
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define COLD        __attribute__((noinline, cold))

struct block {
    struct block *next;
};

enum state { CURRENT, FULL, PARTIAL };

struct slab {
    uint32_t owner;
    uint16_t trip;
    uint16_t stride;
    struct block *local;
    uint32_t recip;
    uint32_t bits_off;
    uint16_t used, nlocal, trip_set, nslots, fresh;
    uint8_t bucket, class, state;
    _Atomic uint8_t pending; /* remote.c: it is in the owner's inbox, or about to be */
    struct slab *next, *prev;
    struct slab *inbox; /* remote.c: the next there */
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct slab) == 64, "one line");

struct class
{
    struct slab *current;
    struct slab *partial[CROSSINGS + 1]; /* [b]: slabs with at least cross[b] slots free, fewer than cross[b + 1] */
    uint16_t cross[CROSSINGS + 1];
    uint16_t room; /* TO_THREAD: blocks the thread's list may gain before it is looked at */
};

struct heap {
    struct class class[CLASSES];
    struct slab *empty;
    char *seg;             /* where the next unit comes from */
    unsigned unit;         /* its index; UNITS: take a new segment */
    struct remote *remote; /* remote.c */
};

/* Heads hold what the variant needs and nothing else: their size is part of what is measured. */
struct head {
#if BITMAP
    uint64_t mask;
    char *base;
    size_t stride;
#else
    struct block *list;
#if TO_THREAD
    uint32_t room;
#endif
#endif
};

static __thread struct {
    uint32_t id; /* 0: no heap yet */
    struct head head[CLASSES];
    struct heap *heap;
} T __attribute__((tls_model("initial-exec")));

static __thread struct front_stats stats __attribute__((tls_model("initial-exec")));
static _Atomic uint32_t heaps;
static struct heap *heap_of[64]; /* by id */

/* ---- from an address to its slab --------------------------------------------------------------------------------- */

static inline struct slab *slab_of(uintptr_t a)
{
#if IN_SLAB
    return (struct slab *)(a & ~(UNIT - 1));
#else
    return (struct slab *)((a & ~(SEG - 1)) + ((a >> (UNIT_SHIFT - 6)) & ((UNITS - 1) << 6)));
#endif
}

/* NULL and large blocks, which lie where no small block can. */
static inline bool is_special(uintptr_t a) { return (a & ((IN_SLAB ? UNIT : SEG) - 1)) == 0; }

static inline char *unit_of(const struct slab *s)
{
#if IN_SLAB
    return (char *)s;
#else
    return (char *)((uintptr_t)s & ~(SEG - 1)) + (((uintptr_t)s & (SEG - 1)) >> 6) * UNIT;
#endif
}

static inline char *data_of(const struct slab *s) { return unit_of(s) + LEAD; }

static inline __attribute__((unused)) unsigned slot_of(const struct slab *s, uintptr_t a)
{
    return (unsigned)((((a & (UNIT - 1)) - LEAD) * s->recip) >> 32);
}

static inline __attribute__((unused)) uint64_t *bits_of(const struct slab *s)
{
    return (uint64_t *)(((uintptr_t)s & ~(SEG - 1)) + s->bits_off);
}

/* ---- slabs and their lists --------------------------------------------------------------------------------------- */

static void list_add(struct class *c, struct slab *s, unsigned bucket)
{
    s->state = PARTIAL;
    s->bucket = (uint8_t)bucket;
    s->prev = NULL;
    s->next = c->partial[bucket];
    if (s->next)
        s->next->prev = s;
    c->partial[bucket] = s;
}

static void list_del(struct class *c, struct slab *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        c->partial[s->bucket] = s->next;
    if (s->next)
        s->next->prev = s->prev;
}

static void sync(struct slab *s)
{
    uint16_t freed = (uint16_t)(s->trip_set - s->trip);
    s->used = (uint16_t)(s->used - freed);
    s->nlocal = (uint16_t)(s->nlocal + freed);
    s->trip_set = s->trip;
}

/* Files a slab that is not current under the share of it that is free, and sets the trip for the next crossing. */
static void rebucket(struct heap *heap, struct class *c, struct slab *s)
{
    if (s->state == PARTIAL)
        list_del(c, s);
    if (s->used == 0 && s->nlocal) {
        stats.released++;
        s->next = heap->empty;
        heap->empty = s;
        return;
    }
    unsigned b = 0;
    while (b < CROSSINGS && s->nlocal >= c->cross[b])
        b++;
    if (b == 0)
        s->state = FULL;
    else
        list_add(c, s, b - 1);
    unsigned left = b < CROSSINGS ? c->cross[b] - s->nlocal : s->used;
    s->trip = s->trip_set = (uint16_t)(left < s->used ? left : s->used);
}

static COLD void free_trip(struct slab *s)
{
    stats.trips++;
    sync(s);
    if (s->state == CURRENT)
        s->trip = s->trip_set = NEVER;
    else
        rebucket(T.heap, &T.heap->class[s->class], s);
}

static void *map(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

static struct slab *slab_new(struct heap *heap, unsigned k)
{
    struct slab *s = heap->empty;
    if (s) {
        heap->empty = s->next;
    } else {
        if (heap->unit == UNITS) {
            uintptr_t a = (uintptr_t)map(2 * SEG);
            heap->seg = (char *)((a + SEG - 1) & ~(SEG - 1));
            heap->unit = FIRST;
        }
        unsigned i = heap->unit++;
        s = (struct slab *)(heap->seg + (IN_SLAB ? i * UNIT : i * sizeof *s));
        s->bits_off = (uint32_t)(UNITS * sizeof *s + i * (2 * (UNIT / 16 - UNIT / 256) / 8));
        stats.slabs++;
    }
    unsigned stride = k ? k * 16 : 16;
    unsigned nslots = (unsigned)((UNIT - LEAD) / stride), most = (unsigned)(UNIT / 16 - UNIT / 256);
    s->owner = T.id;
    s->stride = (uint16_t)stride;
    s->recip = (uint32_t)(((1ull << 32) + stride - 1) / stride);
    s->nslots = (uint16_t)(nslots < most ? nslots : most);
    s->class = (uint8_t)k;
    s->local = NULL;
    s->fresh = BITMAP ? s->nslots : 0;
    s->nlocal = BITMAP ? s->nslots : 0;
    s->used = 0;
    s->trip = s->trip_set = NEVER;
#if BITMAP
    uint64_t *bits = bits_of(s);
    memset(bits, 0xff, s->nslots / 64 * 8);
    if (s->nslots % 64)
        bits[s->nslots / 64] = (1ull << s->nslots % 64) - 1;
#endif
    return s;
}

/* The fullest slab that is a candidate. */
static struct slab *slab_pick(struct class *c)
{
    for (unsigned b = 0; b <= CROSSINGS; b++) {
        struct slab *s = c->partial[b];
        if (s) {
            list_del(c, s);
            sync(s);
            s->trip = s->trip_set = NEVER;
            return s;
        }
    }
    return NULL;
}

static void heap_init(void)
{
    struct heap *heap = map(sizeof *heap);
    heap->unit = UNITS;
    for (unsigned k = 0; k < CLASSES; k++) {
        static const unsigned eighths[] = {1, 2, 4, 6, 7, 8};
        unsigned n = (unsigned)(UNIT / (k ? k * 16 : 16)), first = WAKE, b = 0;
        heap->class[k].cross[b++] = (uint16_t)first;
        for (unsigned e = 0; e < sizeof eighths / sizeof *eighths; e++)
            if (n * eighths[e] / 8 > first)
                heap->class[k].cross[b++] = (uint16_t)(n * eighths[e] / 8);
        while (b <= CROSSINGS)
            heap->class[k].cross[b++] = NEVER;
        unsigned room = 65536 / (k ? k * 16 : 16);
        heap->class[k].room = (uint16_t)(room > 1024 ? 1024 : room < 64 ? 64 : room);
    }
    T.heap = heap;
    T.id = ++heaps;
    if (T.id >= 64)
        abort();
    heap_of[T.id] = heap;
}

#ifdef WITH_REMOTE
static void drain(struct heap *heap);
static void remote_init(struct heap *heap);
static void free_remote(struct heap *heap, void *p, struct slab *s, uint32_t owner);
#else
static void drain(struct heap *heap) { (void)heap; }
static void remote_init(struct heap *heap) { (void)heap; }
static void free_remote(struct heap *heap, void *p, struct slab *s, uint32_t owner)
{
    (void)heap, (void)p, (void)s, (void)owner;
    abort();
}
#endif

/* ---- refill ------------------------------------------------------------------------------------------------------ */

static inline bool has_block(const struct head *h)
{
#if BITMAP
    return h->mask != 0;
#else
    return h->list != NULL;
#endif
}

static inline void *pop(struct head *h)
{
#if BITMAP
    uint64_t m = h->mask;
    h->mask = m & (m - 1);
    return h->base + (unsigned)__builtin_ctzll(m) * h->stride;
#else
    struct block *b = h->list;
    h->list = b->next;
#if PREFETCH
    __builtin_prefetch(b->next);
#endif
#if TO_THREAD == 1
    h->room++;
#endif
    return b;
#endif
}

/* Puts blocks of `s` in the thread's head; false if it has none. */
#if BITMAP
static bool take(struct head *h, struct slab *s)
{
    sync(s);
    if (s->nlocal == 0)
        return false;
    uint64_t *bits = bits_of(s);
    unsigned w = 0;
    while (bits[w] == 0)
        w++;
    h->mask = bits[w];
    h->base = data_of(s) + (size_t)w * 64 * s->stride;
    h->stride = s->stride;
    bits[w] = 0;
    unsigned n = (unsigned)__builtin_popcountll(h->mask);
    s->used = (uint16_t)(s->used + n);
    s->nlocal = (uint16_t)(s->nlocal - n);
    return true;
}
#else
static bool take(struct head *h, struct slab *s)
{
    unsigned n;
    if (s->local) {
        sync(s);
        n = s->nlocal;
        h->list = s->local;
        s->local = NULL;
        s->nlocal = 0;
    } else if (s->fresh < s->nslots) {
        unsigned left = (unsigned)(s->nslots - s->fresh), batch = FRESH ? FRESH / s->stride : left;
        n = batch == 0 ? 1 : batch < left ? batch : left;
        char *p = data_of(s) + (size_t)s->fresh * s->stride;
        h->list = (struct block *)p;
        for (unsigned i = 1; i < n; i++, p += s->stride)
            ((struct block *)p)->next = (struct block *)(p + s->stride);
        ((struct block *)p)->next = NULL;
        s->fresh = (uint16_t)(s->fresh + n);
    } else {
        return false;
    }
    s->used = (uint16_t)(s->used + n);
#if TO_THREAD
    unsigned room = T.heap->class[s->class].room;
    h->room = n < room / 2 ? room - n : room / 2;
#endif
    return true;
}
#endif

static COLD void *refill(size_t size)
{
    if (!T.heap) {
        heap_init();
        remote_init(T.heap);
    }
    stats.refills++;
    unsigned k = (unsigned)((size + 15) >> 4);
    struct heap *heap = T.heap;
    struct class *c = &heap->class[k];
    struct slab *s = c->current;
    while (!s || !take(&T.head[k], s)) {
        if (s) {
            sync(s);
            c->current = NULL;
            s->state = FULL; /* in no list */
            rebucket(heap, c, s);
        }
        drain(heap);
        stats.picks++;
        s = slab_pick(c);
        if (!s)
            s = slab_new(heap, k);
        s->state = CURRENT;
        c->current = s;
    }
    return pop(&T.head[k]);
}

/* ---- the fast paths ---------------------------------------------------------------------------------------------- */

static COLD void *malloc_mid(size_t size)
{
    (void)size;
    abort(); /* the loads ask for small blocks only */
}

static COLD void free_special(void *p)
{
    if (p)
        abort();
}

static __attribute__((noinline)) void free_other(void *p, struct slab *s) { free_remote(T.heap, p, s, s->owner); }

void *x_malloc(size_t size)
{
    if (unlikely(size > 1024))
        return malloc_mid(size);
    struct head *h = &T.head[(size + 15) >> 4];
    if (unlikely(!has_block(h)))
        return refill(size);
    return pop(h);
}

static inline void slab_push(struct slab *s, void *p)
{
#if BITMAP
    unsigned i = slot_of(s, (uintptr_t)p);
    bits_of(s)[i / 64] |= 1ull << i % 64;
#else
    ((struct block *)p)->next = s->local;
    s->local = p;
#endif
    if (unlikely(--s->trip == 0))
        free_trip(s);
}

#if TO_THREAD
/* The thread's list may be too long: what lies beyond half of `room`, which is the coldest, goes to the slabs. */
static COLD void flush(unsigned k)
{
    stats.flushes++;
    struct head *h = &T.head[k];
    unsigned room = T.heap->class[k].room, n = 1;
    struct block *b = h->list;
    while (b->next && n < room / 2) {
        b = b->next;
        n++;
    }
    struct block *rest = b->next;
    b->next = NULL;
    while (rest) {
        struct block *next = rest->next;
        slab_push(slab_of((uintptr_t)rest), rest);
        rest = next;
    }
    h->room = room - n;
}
#endif

void x_free(void *p)
{
    uintptr_t a = (uintptr_t)p;
    if (unlikely(is_special(a))) {
        free_special(p);
        return;
    }
    struct slab *s = slab_of(a);
    if (unlikely(s->owner != T.id)) {
        free_other(p, s);
        return;
    }
#if TO_THREAD
    unsigned k = s->class;
    struct head *h = &T.head[k];
    ((struct block *)p)->next = h->list;
    h->list = p;
    if (unlikely(--h->room == 0))
        flush(k);
#else
    slab_push(s, p);
#endif
}

struct front_stats x_stats(void) { return stats; }
