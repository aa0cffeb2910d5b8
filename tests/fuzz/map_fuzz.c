/* fuzz/map_fuzz.c - any blocks anywhere, coming and going in any order: a map keeps its bounds and its equations. */
#include <stdlib.h>
#include <string.h>

#include "profile/heap_map.h"

enum { BLOCKS = 64 };

struct lying {
    uint64_t address, size;
    uint32_t site;
    bool lives;
};
struct list {
    struct lying block[BLOCKS];
    size_t count;
};

struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t next(struct input *in, unsigned bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && in->size > 0; bytes--, in->size--) {
        value = value << 8 | *in->data++;
    }
    return value;
}

static void require(bool what)
{
    if (!what) {
        abort();
    }
}

static bool overlaps(const struct list *list, const struct lying *b)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct lying *o = &list->block[i];
        if (o->lives && o != b && b->address - o->address < (o->size ? o->size : 1)) {
            return true;
        }
        if (o->lives && o != b && o->address - b->address < (b->size ? b->size : 1)) {
            return true;
        }
    }
    return false;
}

static bool each(void *from, heap_map_visit *visit, void *to)
{
    const struct list *list = from;
    for (size_t i = 0; i < list->count; i++) {
        const struct lying *b = &list->block[i];
        if (b->lives && !visit(to, b->address, b->size, b->site)) {
            return false;
        }
    }
    return true;
}

static void look(const struct heap_map *m, struct list *list, bool exact)
{
    struct heap_map_look l;
    require(heap_map_look(m, each, list, &l));
    uint64_t charged = 0, used = 0;
    for (size_t i = 0; i < l.pins; i++) {
        charged += l.pin[i].charged;
        used += l.pin[i].used;
    }
    require(charged == l.held * m->page_bytes && used == l.used);
    require(!exact || (l.held == m->held && l.used == m->used && m->used <= m->held * m->page_bytes));
    for (size_t i = 0; i < l.owners; i++) {
        require(l.owner[i].row < m->rows);
    }
    heap_map_look_end(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct list list = {.count = 0};
    uint64_t how = next(&in, 1), shift = how & 63;
    bool exact = true; /* no two overlap, and all lie where blocks can */
    struct heap_map *m = heap_map_begin(4096, 1 + (uint32_t)next(&in, 2));
    require(m);
    while (list.count < BLOCKS && in.size > 8) {
        struct lying *b = &list.block[list.count++];
        b->address = next(&in, 3) << (shift < 40 ? shift : 40);
        b->address = how & 128 ? b->address : b->address | next(&in, 1);
        b->size = next(&in, 1) & 1 ? next(&in, 2) : next(&in, 5);
        b->site = (uint32_t)next(&in, 1);
        heap_map_see(m, b->address, b->size);
    }
    require(heap_map_fold(m, 4));
    require(m->rows <= m->rows_most && m->pages <= (uint64_t)16 << 20);
    while (in.size > 0) {
        struct lying *b = list.count ? &list.block[next(&in, 1) % list.count] : NULL;
        if (!b) {
            break;
        }
        if (b->lives) {
            heap_map_give(m, b->address, b->size);
        } else {
            exact &=
                !overlaps(&list, b) && b->address + b->size >= b->address && b->address + b->size < (uint64_t)1 << 62;
            heap_map_take(m, b->address, b->size);
        }
        b->lives = !b->lives;
        look(m, &list, exact);
        heap_map_column(m);
    }
    heap_map_end(m);
    return 0;
}
