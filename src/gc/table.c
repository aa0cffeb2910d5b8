/* gc/table.c - see gc/table.h. */
#include "gc/table.h"

#include <string.h>

#include "gc/gc.h"
#include "os/memory.h"

static size_t bytes_of(size_t items, size_t each) { return align_up(items * each, os_page); }

static void let_go(struct gc *gc, size_t bytes)
{
    if (gc) {
        gc_let_bytes_go(gc, bytes);
    }
}

bool gc_table_reserve(struct gc *gc, struct gc_table *table, size_t count, size_t each)
{
    if (count <= table->room) {
        return true;
    }
    size_t old = bytes_of(table->room, each), bytes = bytes_of(size_max(count, 2 * table->room), each);
    if (gc && !gc_hold_bytes(gc, bytes)) {
        return false;
    }
    void *at = os_map(bytes);
    if (!at) {
        let_go(gc, bytes);
        return false;
    }
    if (old) {
        memcpy(at, table->at, table->count * each);
        os_unmap(table->at, old);
        let_go(gc, old);
    }
    table->at = at;
    table->room = bytes / each;
    return true;
}

void gc_table_free(struct gc *gc, struct gc_table *table, size_t each)
{
    if (table->room) {
        os_unmap(table->at, bytes_of(table->room, each));
        let_go(gc, bytes_of(table->room, each));
    }
    *table = (struct gc_table){0};
}
