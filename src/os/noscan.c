/* os/noscan.c - see os/noscan.h. */
#include "os/noscan.h"

#include <errno.h>

#include "base/bits.h"
#include "os/memory.h"
#include "os/shared.h"

enum { FIRST_BITS = 7 };

/* Not const: what cannot change is left out of many cores. */
struct noscan os_noscan = {.magic = {'a', 'l', 'l', 'o', 't', ' ', 'n', 'o', ' ', 's', 'c', 'a', 'n', '\n', '\n', '\n'},
                           .self = &os_noscan};

static struct noscan_place *places_for(struct noscan_table *table, uintptr_t hidden)
{
    return &table->place[(hidden >> 12) * 0x9e3779b97f4a7c15u >> (64 - table->bits)];
}

static bool take(struct noscan_table *table, uintptr_t hidden, size_t length)
{
    struct noscan_place *place = places_for(table, hidden);
    for (unsigned i = 0; i < NOSCAN_PROBES; i++) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong(&place[i].hidden, &none, hidden)) {
            atomic_store_explicit(&place[i].length, length, memory_order_release);
            return true;
        }
    }
    return false;
}

/* The table that `at` says is next; made when there is none. Who comes second gives what he has made back. */
static struct noscan_table *table_at(_Atomic(struct noscan_table *) *at, unsigned bits)
{
    struct noscan_table *table = atomic_load_explicit(at, memory_order_acquire), *none = NULL;
    if (table || bits > NOSCAN_BITS) {
        return table;
    }
    size_t bytes = sizeof *table + (((size_t)1 << bits) + NOSCAN_PROBES) * sizeof table->place[0];
    table = os_map(bytes);
    if (table) {
        table->bits = bits;
        if (!atomic_compare_exchange_strong(at, &none, table)) {
            os_unmap(table, bytes);
            table = none;
        }
    }
    return table;
}

bool os_noscan_begin(const void *at, size_t length)
{
    _Atomic(struct noscan_table *) *next = &os_noscan.first;
    struct noscan_table *table;
    for (unsigned bits = FIRST_BITS; (table = table_at(next, bits)) != NULL; bits++, next = &table->next) {
        if (take(table, ~(uintptr_t)at, align_up(length, os_page))) {
            return true;
        }
    }
    return false;
}

void os_noscan_end(const void *at)
{
    const uintptr_t hidden = ~(uintptr_t)at;
    struct noscan_table *table = atomic_load_explicit(&os_noscan.first, memory_order_acquire);
    for (; table; table = atomic_load_explicit(&table->next, memory_order_acquire)) {
        struct noscan_place *place = places_for(table, hidden);
        for (unsigned i = 0; i < NOSCAN_PROBES; i++) {
            if (atomic_load_explicit(&place[i].hidden, memory_order_relaxed) == hidden) {
                atomic_store_explicit(&place[i].length, 0, memory_order_relaxed);
                atomic_store_explicit(&place[i].hidden, 0, memory_order_release);
                return;
            }
        }
    }
}

static void *begun(void *at, size_t length)
{
    if (at && !os_noscan_begin(at, length)) {
        os_unmap(at, length);
        errno = ENOMEM;
        at = NULL;
    }
    return at;
}

void *os_map_noscan(size_t length) { return begun(os_map(length), length); }

void *os_map_forgotten_noscan(size_t length) { return begun(os_map_forgotten(length), length); }

void os_unmap_noscan(void *at, size_t length)
{
    os_noscan_end(at);
    os_unmap(at, length);
}
