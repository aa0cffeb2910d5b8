/* verdict/table.h - what is known of addresses while a trace is read again: open addressing, key 0 is an empty slot.
 *
 * Bound: 24 bytes a slot, of which three quarters are taken at most, and no more than TABLE_MOST of them.
 */
#ifndef ALLOT_VERDICT_TABLE_H
#define ALLOT_VERDICT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define TABLE_MOST ((size_t)1 << 24)

struct table_entry {
    uint64_t key;           /* an address, a page's or line's number, and 1 */
    uint64_t bytes;         /* of a block; else as its user says */
    uint32_t stack, thread; /* likewise */
};
struct table {
    struct table_entry *entry;
    size_t slots, count;
};

static inline size_t table_home(const struct table *t, uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (t->slots - 1);
}

static inline struct table_entry *table_find(const struct table *t, uint64_t key)
{
    size_t at = table_home(t, key);
    while (t->entry[at].key && t->entry[at].key != key) {
        at = (at + 1) & (t->slots - 1);
    }
    return &t->entry[at];
}

/* Asks for the memory where it stands or would stand. */
static inline void table_prefetch(const struct table *t, uint64_t key)
{
    if (t->slots) {
        __builtin_prefetch(&t->entry[table_home(t, key)], 1);
    }
}

/* Room for one more. False: no memory, or it would be too many. */
static inline bool table_make_room(struct table *t)
{
    if (t->slots && t->count < t->slots / 4 * 3) {
        return true;
    }
    struct table grown = {.slots = t->slots ? 2 * t->slots : 4096, .count = t->count};
    grown.entry = grown.slots <= TABLE_MOST ? calloc(grown.slots, sizeof *grown.entry) : NULL;
    if (!grown.entry) {
        return false;
    }
    for (size_t i = 0; i < t->slots; i++) {
        if (t->entry[i].key) {
            *table_find(&grown, t->entry[i].key) = t->entry[i];
        }
    }
    free(t->entry);
    *t = grown;
    return true;
}

/* Takes the entry away, and moves those up that it kept from their places. */
static inline void table_drop(struct table *t, struct table_entry *e)
{
    size_t hole = (size_t)(e - t->entry);
    for (size_t at = (hole + 1) & (t->slots - 1); t->entry[at].key; at = (at + 1) & (t->slots - 1)) {
        size_t from = table_home(t, t->entry[at].key);
        if (((at - from) & (t->slots - 1)) >= ((at - hole) & (t->slots - 1))) {
            t->entry[hole] = t->entry[at];
            hole = at;
        }
    }
    t->entry[hole] = (struct table_entry){0};
    t->count--;
}

static inline void table_end(struct table *t)
{
    free(t->entry);
    *t = (struct table){0};
}

#endif
