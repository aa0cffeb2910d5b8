/* heap/nothing.c - see heap/nothing.h. O(1) but for a scan of a bitmap; one lock, as hardly anybody wants nothing. */
#include "heap/nothing.h"

#include <errno.h>

#include "os/fault.h"
#include "span/map.h"

enum { STEP = 16, FIRST_WORD = 4096 / STEP / 64, ADDRESSES = (BITMAP_WORDS - FIRST_WORD) * 64 };

struct nothing {
    struct unit unit;
    uint16_t live, next_at; /* how many are; and from where on the next is looked for, so that none comes back soon */
    struct nothing *next;   /* with room */
    struct nothing *older;  /* the chain of all */
};

static struct os_lock lock;
static struct nothing *with_room, *newest;
static atomic_size_t count;

static unsigned number_of(const void *p) { return (unsigned)((uintptr_t)p % UNIT_SIZE / STEP); }

static void *take(struct nothing *n)
{
    uint64_t free = 0;
    size_t w = n->next_at / 64;
    for (unsigned from = n->next_at % 64; free == 0; from = 0) {
        free = w < BITMAP_WORDS ? ~*unit_free_word(&n->unit, w) & UINT64_MAX << from : 0;
        w = free ? w : w + 1 < BITMAP_WORDS ? w + 1 : FIRST_WORD;
    }
    uint64_t bit = free & -free;
    unsigned i = (unsigned)w * 64 + lowest_bit(free);
    *unit_free_word(&n->unit, w) |= bit;
    *unit_remote_word(&n->unit, w) |= bit;
    n->next_at = (uint16_t)(i + 1);
    n->live++;
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    if (n->live == ADDRESSES) {
        with_room = n->next;
    }
    return unit_data(&n->unit) + i * STEP;
}

void *nothing_alloc(void)
{
    int saved = errno;
    os_lock(&lock);
    if (!with_room) {
        with_room = (struct nothing *)unit_take_fence(OWNER_NONE);
        if (with_room) {
            with_room->next = NULL;
            with_room->older = newest;
            newest = with_room;
            with_room->live = 0;
            with_room->next_at = FIRST_WORD * 64;
        }
    }
    void *p = with_room ? take(with_room) : NULL;
    os_unlock(&lock);
    errno = saved;
    return p;
}

/* With the lock held, which a crime lets go. Its word of live ones. */
static uint64_t *expect_live(const void *p, const char *crime)
{
    const struct unit *unit = unit_of(p);
    unsigned i = number_of(p);
    bool was = map_get(p) == MAP_SEGMENT && i < BITMAP_WORDS * 64 && (uintptr_t)p % STEP == 0 &&
               *unit_remote_word(unit, i / 64) >> (i % 64) & 1;
    if (unlikely(!was || !(*unit_free_word(unit, i / 64) >> (i % 64) & 1))) {
        os_unlock(&lock);
        if (was) {
            allot_fault_block(crime == fault_free_of_none ? "double free" : crime, "small block", 0, p);
        }
        allot_fault(crime, "address", p);
    }
    return unit_free_word(unit, i / 64);
}

void nothing_free(void *p)
{
    struct nothing *n = (struct nothing *)unit_of(p);
    os_lock(&lock);
    *expect_live(p, fault_free_of_none) &= ~((uint64_t)1 << (number_of(p) % 64));
    atomic_fetch_sub_explicit(&count, 1, memory_order_relaxed);
    if (n->live-- == ADDRESSES) {
        n->next = with_room;
        with_room = n;
    }
    os_unlock(&lock);
}

void nothing_expect_live(const void *p, const char *crime)
{
    os_lock(&lock);
    expect_live(p, crime);
    os_unlock(&lock);
}

bool nothing_find(const void *address, const void **block, bool *live)
{
    const struct unit *unit = unit_of(address);
    unsigned i = number_of(address), w = i / 64;
    uint64_t had = 0, up_to = UINT64_MAX >> (63 - i % 64);
    if (w >= BITMAP_WORDS || !os_try_lock(&lock)) {
        return false;
    }
    for (; w >= FIRST_WORD && !(had = *unit_remote_word(unit, w) & up_to); w--) {
        up_to = UINT64_MAX;
    }
    if (had) {
        i = w * 64 + log2_floor(had);
        *block = unit_data(unit) + i * STEP;
        *live = *unit_free_word(unit, w) >> (i % 64) & 1;
    }
    os_unlock(&lock);
    return had != 0;
}

int nothing_walk(int (*visit)(void *block, size_t bytes, void *arg), void *arg)
{
    for (const struct nothing *n = newest; n; n = n->older) {
        for (size_t w = FIRST_WORD; w < BITMAP_WORDS; w++) {
            for (uint64_t live = *unit_free_word(&n->unit, w); live; live &= live - 1) {
                int stop = visit(unit_data(&n->unit) + (w * 64 + lowest_bit(live)) * STEP, 0, arg);
                if (stop) {
                    return stop;
                }
            }
        }
    }
    return 0;
}

size_t nothing_count(void) { return atomic_load_explicit(&count, memory_order_relaxed); }

void nothing_lock(void) { os_lock(&lock); }

void nothing_unlock(void) { os_unlock(&lock); }

void nothing_lock_reset(void) { os_lock_reset(&lock); }
