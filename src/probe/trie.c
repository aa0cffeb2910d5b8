/* probe/trie.c - see probe/trie.h: adding, and growing. */
#include "probe/trie.h"

#include "os/memory.h"
#include "os/noscan.h"

enum { FIRST_SLOTS_BITS = 12, MOST_SLOTS_BITS = 31 };

static struct trie_table *new_table(unsigned bits, struct trie_table *older)
{
    size_t length = sizeof(struct trie_table) + ((size_t)8 << bits);
    struct trie_table *table = os_map_noscan(length);
    if (table) {
        table->shift = 32 - bits;
        table->most = 1u << (bits - 1);
        atomic_init(&table->older, older);
    }
    return table;
}

static void free_table(struct trie_table *table)
{
    os_unmap_noscan(table, sizeof(struct trie_table) + ((size_t)8 << (32 - table->shift)));
}

/* Puts a number into a table, unless the same node's is there: the one that is there afterwards, or 0 when the table is full. */
static uint32_t put(struct trie *trie, struct trie_table *table, uint32_t hash, uint32_t id)
{
    const struct trie_node *node = trie_node(trie, id);
    uint32_t mask = UINT32_MAX >> table->shift, i = hash >> table->shift;
    for (uint32_t left = mask; left > 0; left--, i = (i + 1) & mask) {
        uint64_t slot = atomic_load_explicit(&table->slot[i], memory_order_acquire);
        if (slot == 0 && atomic_compare_exchange_strong(&table->slot[i], &slot, (uint64_t)hash << 32 | id)) {
            return id;
        }
        if (slot >> 32 == hash) {
            const struct trie_node *other = trie_node(trie, (uint32_t)slot);
            if (other->parent == node->parent && trie_key(other) == trie_key(node)) {
                return (uint32_t)slot;
            }
        }
    }
    return 0;
}

/* Nobody writes into a table that was the newest when a number was to be given out later: all that are to be copied are in it. */
static void copy(struct trie *trie, struct trie_table *from, struct trie_table *to)
{
    uint32_t slots = (UINT32_MAX >> from->shift) + 1;
    for (uint32_t i = 0; i < slots; i++) {
        uint64_t slot = atomic_load_explicit(&from->slot[i], memory_order_acquire);
        if (slot) {
            put(trie, to, (uint32_t)(slot >> 32), (uint32_t)slot);
        }
    }
}

/* A table twice as long as this one, which was the newest. Without memory for it all goes on as it is, up to what fits. */
static void grow(struct trie *trie, struct trie_table *table)
{
    unsigned bits = table ? 33 - table->shift : FIRST_SLOTS_BITS;
    struct trie_table *next = bits <= MOST_SLOTS_BITS ? new_table(bits, table) : NULL;
    if (!next) {
        return;
    }
    struct trie_table *newest = table;
    if (!atomic_compare_exchange_strong(&trie->table, &newest, next)) {
        free_table(next);
        return;
    }
    for (struct trie_table *from = table, *older; from; from = older) {
        older = atomic_load(&from->older); /* before, as it becomes NULL when all of it is in `from` */
        copy(trie, from, next);
    }
    atomic_store(&next->older, NULL);
    if (table && atomic_load(&trie->table) == next) { /* who still looks there finds nothing, and looks again */
        os_purge((char *)table + os_page, sizeof(struct trie_table) + ((size_t)8 << (32 - table->shift)) - os_page);
    }
}

/* 0 when there is no more: a table has to have free slots, at which searches end. */
static uint32_t new_node(struct trie *trie, const struct trie_table *table, uint32_t parent, uint64_t key,
                         uint32_t most)
{
    uint32_t nodes = trie_nodes(trie);
    most = (uint32_t)size_min(most, table->most + table->most / 2);
    unsigned segment;
    struct trie_node *node;
    do {
        if (nodes >= most) {
            return 0;
        }
        node = trie_node_in(trie, nodes + 1, &segment);
        if (!node) {
            size_t length = sizeof *node << (TRIE_FIRST_BITS + (segment ? segment - 1 : 0));
            struct trie_node *none = NULL, *fresh = os_map_noscan(length);
            if (!fresh) {
                return 0;
            }
            if (!atomic_compare_exchange_strong(&trie->segment[segment], &none, fresh)) {
                os_unmap_noscan(fresh, length);
            }
            node = trie_node_in(trie, nodes + 1, &segment);
        }
    } while (!atomic_compare_exchange_weak(&trie->nodes, &nodes, nodes + 1));
    *node = (struct trie_node){parent, (uint32_t)key, (uint32_t)(key >> 32)};
    return nodes + 1;
}

/* Looks also where not all has been copied from. */
static uint32_t find_anywhere(struct trie *trie, struct trie_table *table, uint32_t hash, uint32_t parent, uint64_t key)
{
    uint32_t id = 0;
    for (struct trie_table *older; table && !id; table = older) {
        older = atomic_load(&table->older); /* before, as it becomes NULL when all of it is here */
        id = trie_find_in(trie, table, hash, parent, key);
    }
    return id;
}

uint32_t trie_add(struct trie *trie, uint64_t of_path, uint32_t parent, uint64_t key, uint32_t most, trie_told *told)
{
    uint32_t hash = (uint32_t)of_path, id = 0;
    struct trie_table *table = atomic_load(&trie->table);
    if (!table || trie_nodes(trie) >= table->most) {
        grow(trie, table);
        table = atomic_load(&trie->table);
    }
    for (struct trie_table *newest; table; table = newest) {
        uint32_t known = find_anywhere(trie, table, hash, parent, key);
        known = known ? known : id; /* what was put into one that was not the newest any more is ours alone */
        if (!known) {
            known = new_node(trie, table, parent, key, most);
            if (known && told) {
                told(known, parent, key);
            }
        }
        id = known ? put(trie, table, hash, known) : 0;
        newest = atomic_load(&trie->table);
        if (newest == table) {
            break;
        }
    }
    return id;
}
