/* site.c - see site.h. An entry is found as heap/site.c does it, in the dead process's tables. */
#include <stdlib.h>
#include <string.h>

#include "core/site.h"
#include "graph/grow.h"
#include "heap/heap.h"
#include "heap/sample.h"
#include "probe/calls_tree.h"
#include "snap/read.h"

enum { MOST_SAMPLES = 1 << 24, MOST_MODULES = 65535 };

static const void *at(const struct core_sites *s, const void *address, size_t bytes)
{
    return (uintptr_t)address % 8 == 0 ? core_at(s->core, (uintptr_t)address, bytes) : NULL;
}

/* -- the description -- */

static const struct site_desc *desc_at(const struct core *core, uint64_t address)
{
    const struct site_desc *d = address % _Alignof(struct site_desc) == 0 ? core_at(core, address, sizeof *d) : NULL;
    bool is = d && memcmp(d->magic, SITE_DESC_MAGIC, sizeof d->magic) == 0 && (uintptr_t)d->self == address &&
              d->version == 1 && d->bytes == sizeof *d;
    return is ? d : NULL;
}

/* In the module that the heap's descriptor lies in; where the core names none, anywhere. */
static const struct site_desc *find_desc(const struct core *core, uintptr_t heap)
{
    const struct core_module *m = core_module_of(&core->modules, heap);
    for (size_t i = 0; i < core->image.ranges; i++) {
        const struct image_range *r = &core->image.range[i];
        const char *bytes = r->bytes, *end = bytes + (r->to - r->from), *found = bytes;
        if ((r->kind != IMAGE_GLOBALS && r->kind != IMAGE_OTHER) || (m && (r->to <= m->from || r->from >= m->to))) {
            continue;
        }
        while ((found = memmem(found, (size_t)(end - found), SITE_DESC_MAGIC, sizeof SITE_DESC_MAGIC - 1)) != NULL) {
            const struct site_desc *d = desc_at(core, r->from + (uint64_t)(found - bytes));
            if (d) {
                return d;
            }
            found++;
        }
    }
    return NULL;
}

/* -- samples -- */

static bool add_samples(struct core_sites *s, const struct sample *const *table, size_t places)
{
    size_t looked = 0;
    for (size_t i = 0; i < places; i++) {
        const struct sample *sample = NULL;
        struct reader_round round = {0};
        for (const void *next = table[i]; next && looked < MOST_SAMPLES && !reader_comes_round(&round, next);
             next = sample->next, looked++) {
            sample = at(s, next, sizeof *sample);
            const struct sample_stack *stack = sample ? at(s, sample->stack, sizeof *stack) : NULL;
            if (!stack) {
                break;
            }
            if (!grow((void **)&s->sample, &s->room, s->samples + 1, sizeof *s->sample)) {
                return false;
            }
            s->sample[s->samples++] = (struct core_sample){(uintptr_t)sample->block, stack->number};
        }
    }
    snap_sort(s->sample, s->samples, sizeof *s->sample);
    return true;
}

bool core_sites_begin(struct core_sites *s, const struct core *core, uintptr_t heap)
{
    *s = (struct core_sites){.core = core, .desc = find_desc(core, heap)};
    const bool *kept = s->desc ? core_at(core, (uintptr_t)s->desc->kept, sizeof *kept) : NULL;
    const unsigned char *word = (const unsigned char *)kept; /* a bool of nobody's may be neither */
    s->kept = word && *word == 1;
    if (!s->desc || s->kept) {
        return true;
    }
    const size_t places = (size_t)1 << SAMPLE_BITS;
    const struct sample *const *table = at(s, s->desc->samples, places * sizeof *table);
    return !table || add_samples(s, table, places);
}

void core_sites_end(struct core_sites *s)
{
    grow_free(s->sample, s->room, sizeof *s->sample);
    *s = (struct core_sites){0};
}

static uint32_t sampled(const struct core_sites *s, uintptr_t block)
{
    size_t from = 0, to = s->samples;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (s->sample[middle].block < block) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < s->samples && s->sample[from].block == block ? s->sample[from].site : 0;
}

/* -- each block's -- */

static uint32_t kept(const struct core_sites *s, uintptr_t block)
{
    const uintptr_t number = block >> SEGMENT_SHIFT;
    const struct site_chunk *const *root = s->desc->table, *const * leaf, *chunk;
    if (number / SITE_LEAF >= SITE_ROOT || !(leaf = at(s, NTH(root, number / SITE_LEAF), sizeof *leaf)) || !*leaf ||
        !(chunk = at(s, NTH(*leaf, number % SITE_LEAF), sizeof *chunk))) {
        return 0;
    }
    if (begins_large((const void *)block)) {
        return atomic_load_explicit(&chunk->large, memory_order_relaxed);
    }
    const struct slab *slab = at(s, slab_of((const void *)block), sizeof *slab);
    uint32_t owner = slab ? slab_owner(slab) : OWNER_FREE;
    bool by_page = owner == OWNER_RUN || owner == OWNER_GUARD;
    const _Atomic uint32_t *slots = atomic_load_explicit(&chunk->slots, memory_order_relaxed);
    if (!slots || (owner >= OWNER_LIMIT && !by_page)) {
        return 0;
    }
    uint64_t entry = (uintptr_t)slots + sizeof *slots * site_index(block, by_page, slab->recip);
    const uint32_t *site = entry % sizeof *site == 0 ? core_at(s->core, entry, sizeof *site) : NULL;
    return site ? *site : 0;
}

uint32_t core_site_of(void *sites, const struct image *image, uintptr_t block)
{
    const struct core_sites *s = sites;
    (void)image;
    return !s->desc ? 0 : s->kept ? kept(s, block) : sampled(s, block);
}

/* -- stacks -- */

static const struct trie_node *node_of(const struct core_sites *s, uint32_t number)
{
    const struct trie *trie = at(s, s->desc->stacks, sizeof *trie);
    if (!trie || number == 0 || number > atomic_load_explicit(&trie->nodes, memory_order_relaxed)) {
        return NULL;
    }
    unsigned segment;
    uint32_t place = trie_place(number, &segment);
    uintptr_t nodes = (uintptr_t)atomic_load_explicit(&trie->segment[segment], memory_order_relaxed);
    uintptr_t node = nodes + place * sizeof(struct trie_node);
    return nodes && node % _Alignof(struct trie_node) == 0 ? core_at(s->core, node, sizeof(struct trie_node)) : NULL;
}

/* The object of that number: is it the one that lies there in the core? As probe/object.c tells one from another. */
static bool is_loaded(const struct core_sites *s, uint32_t number)
{
    const struct module *const *first = at(s, s->desc->modules, sizeof *first), *module;
    const void *next = first ? *first : NULL;
    struct reader_round round = {0};
    for (unsigned n = 0; n < MOST_MODULES && (module = at(s, next, sizeof *module)) != NULL; n++) {
        if (reader_comes_round(&round, next)) {
            return false;
        }
        if (module->number == number) {
            const struct object *o = &module->object;
            const struct core_module *m = core_module_of(&s->core->modules, o->head);
            uint64_t id = 0, length = core_word(s->core, o->head + offsetof(Elf64_Ehdr, e_shoff));
            if (m) {
                memcpy(&id, m->build_id, m->build_id_bytes ? sizeof id : 0);
            }
            return m && m->from == o->head && o->mark == object_mark(o->head, id, length);
        }
        next = module->next;
    }
    return false;
}

bool core_site_frame(const struct core_sites *s, uint32_t number, uint32_t *caller, uint64_t *pc, bool *loaded)
{
    const struct trie_node *node = s->desc ? node_of(s, number) : NULL;
    if (!node || node->parent >= number) {
        return false;
    }
    const uint64_t key = trie_key(node);
    *caller = node->parent;
    *pc = calls_pc(key);
    *loaded = key >> CALLS_PC_BITS == 0 || is_loaded(s, (uint32_t)(key >> CALLS_PC_BITS));
    return true;
}
