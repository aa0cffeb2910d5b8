/* os/owned.c - see os/owned.h. */
#include "os/owned.h"

#include "os/lock.h"
#include "os/noscan.h"

struct os_known os_known = {
    .magic = {'a', 'l', 'l', 'o', 't', ' ', 'k', 'n', 'o', 'w', 'n', '\n', '\n', '\n', '\n', '\n'},
    .self = &os_known,
    .noscan = &os_noscan};
static struct os_owned *unused;
static struct os_lock lock;

/* With the lock held. */
static struct os_owned *new_record(void)
{
    enum { BYTES = 4096 };
    struct os_owned *some = unused ? unused : os_map_noscan(BYTES);
    for (size_t i = 0; some && !unused && i < BYTES / sizeof *some; i++) {
        some[i].next = i + 1 < BYTES / sizeof *some ? &some[i + 1] : NULL;
    }
    unused = some ? some->next : NULL;
    return some;
}

void os_owned_add(const void *part, enum os_owned_kind kind, const char *name, uintptr_t at, size_t bytes)
{
    os_lock(&lock);
    struct os_owned *one = new_record();
    if (one) {
        *one = (struct os_owned){os_known.owned, part, name, ~at, bytes, kind};
        os_known.owned = one;
    }
    os_unlock(&lock);
}

void os_owned_remove(const void *part)
{
    os_lock(&lock);
    for (struct os_owned **at = &os_known.owned; *at;) {
        struct os_owned *one = *at;
        if (one->part == part) {
            *at = one->next;
            one->next = unused;
            unused = one;
        } else {
            at = &one->next;
        }
    }
    os_unlock(&lock);
}

void os_known_add(struct os_known *other)
{
    os_lock(&lock);
    other->next = os_known.next;
    os_known.next = other;
    os_unlock(&lock);
}

void os_owned_lock(void) { os_lock(&lock); }

void os_owned_unlock(void) { os_unlock(&lock); }

void os_owned_lock_reset(void) { os_lock_reset(&lock); }
