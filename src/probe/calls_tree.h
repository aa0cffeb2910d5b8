/* probe/calls_tree.h - the process's tree of stacks, and who is told of what is new in it: for probe/calls.c.
 *
 * A node's key is an address, and in its upper bits the number of the module that it lies in (probe/module.h), so that nodes of
 * an object which is gone are none of the one in its place.
 */
#ifndef PROBE_CALLS_TREE_H
#define PROBE_CALLS_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/calls.h"
#include "probe/module.h"
#include "probe/trie.h"

extern struct trie calls_tree;

enum { CALLS_PC_BITS = 48 };
static inline uintptr_t calls_pc(uint64_t key) { return (uintptr_t)(key & ((UINT64_C(1) << CALLS_PC_BITS) - 1)); }

/* Objects that stay and that were told of, some of them: for one thread, so that nobody is asked each time. */
struct calls_staying {
    struct {
        uintptr_t start, end;
    } known[8];
    unsigned next;
};

/* The module of an object that may go; NULL when memory is out. */
struct module *calls_module(const struct object *object);

/* Calls are made in the order: find, and where there is none, new. */
static inline uint64_t calls_key(uintptr_t pc, const struct module *module)
{
    return calls_pc(pc) | (uint64_t)(module ? module->number : 0) << CALLS_PC_BITS;
}

static inline uint32_t calls_child(uint64_t hash, uint32_t parent, uint64_t key)
{
    return trie_find(&calls_tree, hash, parent, key);
}

/* A new node: of the instruction `at`, in a module that may go, or (NULL) in an object that stays or in none. The tree being full
 * `*cut` is set, and the node stands for all that lies below; it is 0 when even that does not fit. */
uint32_t calls_new_child(struct calls_staying *staying, uint64_t hash, uint32_t parent, uint64_t key, uintptr_t at,
                         struct module *module, bool *cut);

/* The node that stands for frames left out, beyond the outermost one. */
uint32_t calls_elided(uint64_t *hash);

#endif
