/* probe/calls_tree.c - see probe/calls_tree.h. */
#include "probe/calls_tree.h"

struct trie calls_tree;

static struct calls_told told;

void calls_tell(const struct calls_told *whom) { told = *whom; }

uint32_t calls_nodes(void) { return trie_nodes(&calls_tree); }

static void told_node(uint32_t id, uint32_t parent, uint64_t key)
{
    if (told.node) {
        told.node(id, parent, calls_pc(key));
    }
}

void calls_node(uint32_t id, uint32_t *parent, uintptr_t *pc)
{
    const struct trie_node *node = trie_node(&calls_tree, id);
    *parent = node->parent;
    *pc = calls_pc(trie_key(node));
}

bool calls_is_loaded(uint32_t id)
{
    uint32_t number = (uint32_t)(trie_key(trie_node(&calls_tree, id)) >> CALLS_PC_BITS);
    const struct module *module = number ? module_numbered(number) : NULL;
    return number == 0 || (module && object_is_still(&module->object));
}

void calls_tell_again(void)
{
    module_each(told.object);
    for (uint32_t id = 1, nodes = calls_nodes(); id <= nodes; id++) {
        const struct trie_node *node = trie_node(&calls_tree, id);
        if (node && trie_key(node)) { /* else it is being made, and told of then */
            told.node(id, node->parent, calls_pc(trie_key(node)));
        }
    }
}

size_t calls_frames(uint32_t id, uintptr_t *pcs, size_t most)
{
    size_t count = 0;
    for (; id != 0 && count < most; count++) {
        calls_node(id, &id, &pcs[count]);
    }
    return count;
}

struct module *calls_module(const struct object *object) { return module_of(object, told.object); }

/* False when memory is out. */
static bool tell_of_staying(struct calls_staying *staying, uintptr_t at)
{
    enum { KNOWN = sizeof staying->known / sizeof staying->known[0] };
    struct object object;
    for (unsigned i = 0; i < KNOWN; i++) {
        if (at - staying->known[i].start < staying->known[i].end - staying->known[i].start) {
            return true;
        }
    }
    if (!object_find(at, &object)) {
        return true; /* there is none */
    }
    if (!calls_module(&object)) {
        return false;
    }
    if (object.mark == 0) {
        staying->known[staying->next].start = object.start;
        staying->known[staying->next].end = object.end;
        staying->next = (staying->next + 1) % KNOWN;
    }
    return true;
}

static uint32_t elided(uint64_t of_parent, uint32_t parent)
{
    uint64_t hash = trie_hash(of_parent, CALLS_ELIDED);
    return trie_add(&calls_tree, hash, parent, CALLS_ELIDED, CALLS_NODES + CALLS_NODES / 8, told_node);
}

uint32_t calls_elided(uint64_t *hash)
{
    *hash = trie_hash(0, CALLS_ELIDED);
    return elided(0, 0);
}

uint32_t calls_new_child(struct calls_staying *staying, uint64_t hash, uint32_t parent, uint64_t key, uintptr_t at,
                         struct module *module, bool *cut)
{
    bool telling = true;
    if (module) {
        module_again(module, told.object);
    } else {
        telling = tell_of_staying(staying, at);
    }
    uint32_t id = telling ? trie_add(&calls_tree, hash, parent, key, CALLS_NODES, told_node) : 0;
    *cut = id == 0;
    return id ? id : elided(hash, parent);
}
