/* heap/guard.c - see heap/guard.h. A chosen block costs some 20 to 40 us, most of it in the kernel; two are chosen 16 ms apart at
 * least, so that it is a quarter of a percent of the time at most. When all places are live none is chosen. A place that was used
 * has its pages only while its block lives.
 */
#include "heap/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap/choice.h"
#include "heap/crime.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/process.h"
#include "span/map.h"

enum { AREAS = 8, SLACK = 0xab };

/* An area: a segment that no pool knows of. Its first page says OWNER_GUARD for all of it, the rest is places. */
static struct os_lock lock;
static char *area[AREAS];
struct guard_place *guard_places[GUARD_PLACES_MOST]; /* in the order of their making: a fixed number to each area */
static size_t areas;
size_t guard_places_count;
static struct guard_place *first_free, *last_free;
static struct guard_totals totals;
static bool at_end; /* of its place, the one that was made last */
static _Atomic uint64_t last_time;

/* Two units, or as many as hold three pages. */
static size_t place_bytes(void) { return size_max(2 * UNIT_SIZE, 4 * os_page); }

static size_t places_of_area(void) { return (SEGMENT_SIZE - UNIT_SIZE) / place_bytes(); }

/* With the lock held. False with memory out. */
static bool add_area(void)
{
    char *at = areas < AREAS ? os_map_aligned(SEGMENT_SIZE, SEGMENT_SIZE) : NULL;
    if (!at) {
        return false;
    }
    os_small_pages(at, SEGMENT_SIZE);
    if (!os_protect(at + os_page, SEGMENT_SIZE - os_page, false) || !map_set(at, MAP_SEGMENT)) {
        os_unmap(at, SEGMENT_SIZE);
        return false;
    }
    for (unsigned i = 0; i < UNITS; i++) {
        struct unit *unit = segment_unit((struct segment *)at, i);
        atomic_store_explicit(&unit->owner, i ? OWNER_GUARD : OWNER_FREE, memory_order_relaxed);
    }
    area[areas++] = at;
    return true;
}

static struct guard_place *new_place(void)
{
    if (guard_places_count == areas * places_of_area() && !add_area()) {
        return NULL;
    }
    struct guard_place *one = record_alloc(sizeof *one);
    if (one) {
        size_t n = guard_places_count % places_of_area();
        one->base = area[areas - 1] + SEGMENT_SIZE - (n + 1) * place_bytes();
        guard_places[guard_places_count++] = one;
    }
    return one;
}

static struct guard_place *take_place(void)
{
    struct guard_place *one = guard_places_count < AREAS * places_of_area() ? new_place() : NULL;
    if (!one && first_free) {
        one = first_free;
        first_free = one->next;
    }
    return one;
}

static void put_place(struct guard_place *one)
{
    one->next = NULL;
    *(first_free ? &last_free->next : &first_free) = one;
    last_free = one;
}

/* The pages that a place's block lies on. */
struct pages {
    char *from, *to;
};
static struct pages pages_of(const char *block, size_t size)
{
    return (struct pages){(char *)align_down((uintptr_t)block, os_page),
                          (char *)align_up((uintptr_t)block + size, os_page)};
}

/* Where a block begins that ends with the last page, or begins with the second. A size that an alignment has made keeps it. */
static char *lay(char *base, size_t size, bool last)
{
    size_t align = size_min(size_max(size & -size, 16), GUARD_MOST);
    char *from = base + os_page, *to = base + place_bytes() - os_page;
    return (char *)(last ? align_down((uintptr_t)to - size, align) : align_up((uintptr_t)from, align));
}

static void *alloc(size_t size)
{
    size = size_max(size, 1);
    os_lock(&lock);
    struct guard_place *one = take_place();
    if (!one) {
        os_unlock(&lock);
        return NULL;
    }
    at_end = !at_end;
    char *block = lay(one->base, size, at_end);
    struct pages pages = pages_of(block, size);
    if (!os_protect(pages.from, (size_t)(pages.to - pages.from), true)) {
        put_place(one);
        os_unlock(&lock);
        return NULL;
    }
    memset(pages.from, SLACK, (size_t)(block - pages.from));
    memset(block + size, SLACK, (size_t)(pages.to - block) - size);
    one->block = block;
    one->size = size;
    one->live = true;
    crime_take_stack(&one->allocated);
    totals.blocks++;
    totals.bytes += size;
    os_unlock(&lock);
    return block;
}

/* -- choosing -- */

bool guard_set(size_t wanted)
{
    if (wanted && !crime_watch()) {
        return false;
    }
    choice_set_guard(wanted);
    return true;
}

/* The last one was chosen long enough ago. */
static bool is_affordable(void)
{
    enum { APART = 16 }; /* milliseconds */
    uint64_t now = os_milliseconds(), last = atomic_load_explicit(&last_time, memory_order_relaxed);
    return now - last >= APART &&
           atomic_compare_exchange_strong_explicit(&last_time, &last, now, memory_order_relaxed, memory_order_relaxed);
}

void *guard_take(size_t size) { return size <= GUARD_MOST && !in_haste && is_affordable() ? alloc(size) : NULL; }

/* -- what lies where -- */

static struct guard_place *find(const void *p)
{
    for (size_t i = 0; i < areas; i++) {
        size_t from_end = (size_t)(area[i] + SEGMENT_SIZE - (const char *)p);
        if (from_end - 1 < places_of_area() * place_bytes()) {
            size_t n = i * places_of_area() + (from_end - 1) / place_bytes();
            return n < guard_places_count ? guard_places[n] : NULL;
        }
    }
    return NULL;
}

static bool is_slack(const char *from, const char *to)
{
    while (from < to && (unsigned char)*from == SLACK) {
        from++;
    }
    return from == to;
}

static void tell_of(const struct guard_place *one)
{
    crime_tell_stack("allocated", &one->allocated);
    if (!one->live) {
        crime_tell_stack("freed", &one->freed);
    }
}

static void __attribute__((noreturn)) accuse(const char *crime, const struct guard_place *one, const void *p)
{
    char line[160];
    os_unlock(&lock);
    snprintf(line, sizeof line, "%s: guarded block of %zu bytes at %p", crime, one->size, p);
    crime_tell(line, NULL);
    tell_of(one);
    abort();
}

void guard_free(void *p)
{
    os_lock(&lock);
    struct guard_place *one = find(p);
    if (!one || one->block != p) {
        os_unlock(&lock);
        allot_fault(fault_free_of_none, "address", p);
    }
    if (!one->live) {
        accuse("double free", one, p);
    }
    struct pages pages = pages_of(one->block, one->size);
    if (!is_slack(one->block + one->size, pages.to)) {
        accuse("end of a block overwritten", one, p);
    }
    if (!is_slack(pages.from, one->block)) {
        accuse("start of a block overwritten", one, p);
    }
    one->live = false;
    crime_take_stack(&one->freed);
    totals.blocks--;
    totals.bytes -= one->size;
    os_purge(pages.from, (size_t)(pages.to - pages.from));
    if (os_protect(pages.from, (size_t)(pages.to - pages.from), false)) {
        put_place(one);
    } /* else it stays as it is, and no one's */
    os_unlock(&lock);
}

size_t guard_size(const void *p)
{
    os_lock(&lock);
    const struct guard_place *one = find(p);
    size_t size = one && one->block == p && one->live ? one->size : 0;
    os_unlock(&lock);
    return size;
}

int guard_walk(int (*visit)(void *block, size_t bytes, void *arg), void *arg)
{
    int stop = 0;
    for (size_t i = 0; i < guard_places_count && !stop; i++) {
        stop = guard_places[i]->live ? visit(guard_places[i]->block, guard_places[i]->size, arg) : 0;
    }
    return stop;
}

struct guard_totals guard_totals(void)
{
    os_lock(&lock);
    struct guard_totals now = totals;
    os_unlock(&lock);
    return now;
}

/* In a handler of SIGSEGV, where nothing may be waited for: what lies at an address is looked up as it is. */
bool guard_explain(const void *address, const void *context)
{
    const struct guard_place *one = find(address);
    if (!one || !one->block) {
        return false;
    }
    struct pages pages = pages_of(one->block, one->size);
    if (one->live && (const char *)address >= pages.from && (const char *)address < pages.to) {
        return false; /* it can be accessed: the crime is another, as to call what is there */
    }
    crime_tell_access("guarded block", one->block, one->size, one->live, address, context);
    tell_of(one);
    return true;
}

void guard_lock(void) { os_lock(&lock); }

void guard_unlock(void) { os_unlock(&lock); }

void guard_lock_reset(void) { os_lock_reset(&lock); }
