/* probe/module.c - see probe/module.h. */
#include "probe/module.h"

#include <stddef.h>

#include "base/bits.h"
#include "os/noscan.h"

enum { NUMBERS = 65535 };

_Atomic(struct module *) modules_first;

/* Records come from pages of many, as objects are hundreds at most. One is lost when two threads find the same object at once. */
static struct module *new_module(void)
{
    enum { PER_BLOCK = 64 };
    struct block {
        _Atomic unsigned used;
        struct module module[PER_BLOCK];
    };
    static _Atomic(struct block *) block;
    for (;;) {
        struct block *now = atomic_load(&block), *fresh;
        unsigned used = now ? atomic_fetch_add(&now->used, 1) : PER_BLOCK;
        if (used < PER_BLOCK) {
            return &now->module[used];
        }
        fresh = os_map_noscan(sizeof *fresh);
        if (!fresh) {
            return NULL;
        }
        if (!atomic_compare_exchange_strong(&block, &now, fresh)) {
            os_unmap_noscan(fresh, sizeof *fresh);
        }
    }
}

static bool overlap(const struct object *a, const struct object *b) { return a->start < b->end && b->start < a->end; }

static void replace_others(const struct module *module)
{
    for (struct module *other = atomic_load(&modules_first); other; other = other->next) {
        if (other != module && overlap(&other->object, &module->object)) {
            atomic_store(&other->replaced, true);
        }
    }
}

void module_again(struct module *module, module_told *told)
{
    if (unlikely(atomic_load_explicit(&module->replaced, memory_order_relaxed)) &&
        atomic_exchange(&module->replaced, false)) {
        replace_others(module);
        if (told) {
            told(&module->object);
        }
    }
}

void module_each(module_told *told)
{
    for (struct module *module = atomic_load(&modules_first); module; module = module->next) {
        if (!atomic_load_explicit(&module->replaced, memory_order_relaxed)) {
            told(&module->object);
        }
    }
}

static struct module *find(struct module *from, const struct module *until, const struct object *object)
{
    for (; from != until; from = from->next) {
        if (from->object.start == object->start && from->object.mark == object->mark) {
            return from;
        }
    }
    return NULL;
}

struct module *module_of(const struct object *object, module_told *told)
{
    struct module *newest = atomic_load(&modules_first), *searched = NULL, *fresh = NULL;
    for (;;) {
        struct module *known = find(newest, searched, object);
        if (known) {
            module_again(known, told);
            return known;
        }
        if (!fresh) {
            fresh = new_module();
            if (!fresh) {
                return NULL;
            }
            fresh->object = *object;
            if (told) {
                told(object);
            }
        }
        uint32_t last = 0;
        for (struct module *other = newest; other && last == 0; other = other->next) {
            last = other->number;
        }
        fresh->number = object->mark ? last + 1 : 0;
        if (fresh->number > NUMBERS) {
            return NULL;
        }
        fresh->next = searched = newest;
        if (atomic_compare_exchange_strong(&modules_first, &newest, fresh)) {
            replace_others(fresh);
            return fresh;
        }
    }
}

const struct module *module_numbered(uint32_t number)
{
    const struct module *module = atomic_load(&modules_first);
    while (module && module->number != number) {
        module = module->next;
    }
    return module;
}
