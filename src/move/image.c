/* move/image.c - a movable heap as bytes, for a file or another process: references stay, addresses do not.
 *
 *   head | group: gen, used, units | object: slot, gen, size, key, kind | its bytes, up to a multiple of 8 | object ... | group ...
 *
 * Groups in order, objects in order of slots. What may be purged goes without its bytes: it is built again. All in the machine's order
 * of bytes; a load looks at every field of every record before it is used.
 */
#include "move/movable.h"

#include <errno.h>

#define IMAGE_MAGIC "allot movable 1\n" /* 16 bytes, without the 0 */

struct image_head {
    char magic[16];
    uint32_t groups, order; /* order: of bytes, 1, elsewhere 2^24; and 2^8 more of objects at multiples of 16 */
    uint64_t count;
};

struct image_group {
    uint32_t gen, used;
    uint32_t units; /* of blocks, in its chunk */
    uint32_t zero;
};

enum image_kind { IMAGE_SMALL, IMAGE_FAR, IMAGE_PURGEABLE };
struct image_object {
    uint32_t slot, gen;
    uint64_t size, key;
    uint32_t kind, zero;
};

static uint32_t order_of(const struct movable *h) { return 1 | h->odd << 8; }

/* -- save -- */

struct saving {
    struct movable *h;
    int (*write)(void *arg, const void *bytes, size_t length);
    void *arg;
};

static int save_object(const struct saving *s, uint32_t slot)
{
    static const char zeros[8];
    char *p = slot_at(s->h, slot);
    struct far *far = is_far(p) ? far_at(s->h, p) : NULL;
    struct image_object o = {.slot = slot, .gen = slot_gen(s->h, slot), .size = far ? far->size : block_bytes(s->h, p)};
    if (far) {
        o.kind = far->purgeable ? IMAGE_PURGEABLE : IMAGE_FAR;
        o.key = far->key;
    }
    int failed = s->write(s->arg, &o, sizeof o);
    if (failed || o.kind == IMAGE_PURGEABLE) {
        return failed;
    }
    failed = s->write(s->arg, far ? far->at : p, o.size);
    return failed || o.size % 8 == 0 ? failed : s->write(s->arg, zeros, 8 - o.size % 8);
}

static int save_group(const struct saving *s, uint32_t n)
{
    const struct group *g = &s->h->group[n];
    struct image_group head = {.gen = g->gen, .used = g->used};
    uint32_t slot = n * GROUP_SLOTS, end = slot + GROUP_SLOTS;
    for (uint32_t i = slot; i < end; i++) {
        head.units += s->h->entry[i] ? units_of(s->h, slot_at(s->h, i)) : 0;
    }
    int failed = s->write(s->arg, &head, sizeof head);
    for (; slot < end && !failed; slot++) {
        failed = s->h->entry[slot] ? save_object(s, slot) : 0;
    }
    return failed;
}

int allot_movable_save(struct allot_movable *heap, int (*write)(void *arg, const void *bytes, size_t length), void *arg)
{
    struct movable *h = movable_of(heap);
    struct saving s = {h, write, arg};
    movable_lock(h);
    struct image_head head = {.groups = h->groups, .order = order_of(h), .count = h->count};
    memcpy(head.magic, IMAGE_MAGIC, sizeof head.magic);
    int failed = write(arg, &head, sizeof head);
    for (uint32_t n = 0; n < h->groups && !failed; n++) {
        failed = save_group(&s, n);
    }
    movable_unlock(h);
    return failed;
}

/* -- load -- */

struct loading {
    struct movable *h;
    int (*read)(void *arg, void *bytes, size_t length);
    void *arg;
    uint32_t chunk; /* that groups come to */
};

static int read_bytes(const struct loading *l, char *to, uint64_t size)
{
    char rest[8];
    int failed = l->read(l->arg, to, size);
    return failed || size % 8 == 0 ? failed : l->read(l->arg, rest, 8 - size % 8);
}

static bool is_possible(const struct loading *l, const struct image_object *o)
{
    bool fits = o->kind == IMAGE_SMALL ? o->size <= small_most(l->h) : o->size <= PTRDIFF_MAX / 2;
    return o->kind <= IMAGE_PURGEABLE && o->size >= SIZE_LEAST && fits && o->zero == 0 &&
           (o->kind != IMAGE_PURGEABLE || l->h->opts.rebuild);
}

/* *at is the first slot of the group that it can be, and then the next. */
static int load_object(struct loading *l, uint32_t n, uint32_t *at)
{
    struct movable *h = l->h;
    struct image_object o;
    int failed = l->read(l->arg, &o, sizeof o);
    if (failed) {
        return failed;
    }
    if (!is_possible(l, &o) || o.slot < *at || o.slot / GROUP_SLOTS != n || o.gen == 0 || o.gen > h->group[n].gen) {
        return -EINVAL;
    }
    size_t bytes = o.kind == IMAGE_SMALL ? o.size : sizeof(uint32_t);
    uint32_t number = 0, units = units_for(h, bytes), unit = chunk_take_top(h, l->chunk, units);
    if (!unit) {
        return -EINVAL; /* more than the group said */
    }
    char *p = unit_at(h, l->chunk, unit);
    block_begin(p, units, bytes, o.gen | (o.kind == IMAGE_SMALL ? 0 : GEN_FAR));
    if (o.kind != IMAGE_SMALL) {
        number = o.kind == IMAGE_FAR ? far_make(h, o.size) : far_make_purged(h, o.size, o.key);
        if (number == UINT32_MAX) {
            chunk_give(h, l->chunk, unit);
            return -ENOMEM;
        }
        *far_number(p) = number;
        far_of(h, number)->slot = o.slot;
    }
    slot_leads_to(h, o.slot, l->chunk, unit);
    h->group[n].used++;
    h->count++;
    h->used += o.size;
    if (o.kind == IMAGE_SMALL) {
        object_begins(h, p, o.size);
    }
    *at = o.slot + 1;
    return o.kind == IMAGE_PURGEABLE ? 0 : read_bytes(l, o.kind == IMAGE_FAR ? far_of(h, number)->at : p, o.size);
}

/* What is no object's has no slots: the group, which was full while it was loaded, is what it has become. */
static void settle(struct movable *h, uint32_t n, uint32_t c)
{
    struct group *g = &h->group[n];
    uint32_t slot = n * GROUP_SLOTS;
    while (slot < (n + 1) * GROUP_SLOTS && h->entry[slot]) {
        slot++;
    }
    g->free_from = (uint16_t)(slot - n * GROUP_SLOTS);
    group_to(h, n, c, g->used ? c : NO_CHUNK);
}

static int load_group(struct loading *l, uint32_t n)
{
    struct movable *h = l->h;
    struct image_group head;
    int failed = l->read(l->arg, &head, sizeof head);
    if (failed) {
        return failed;
    }
    if (head.gen > GEN_MOST || head.used > GROUP_SLOTS || head.units > CHUNK_UNITS - FIRST_UNIT || head.zero) {
        return -EINVAL;
    }
    if (l->chunk == NO_CHUNK || CHUNK_UNITS - h->chunk[l->chunk].top < head.units) {
        l->chunk = chunk_make(h);
        if (l->chunk == NO_CHUNK) {
            return -ENOMEM;
        }
    }
    if (!group_claim(h, n, l->chunk)) {
        return -EINVAL; /* more than this heap can have: it is shorter than the one that was saved */
    }
    h->group[n].gen = head.gen;
    uint32_t at = n * GROUP_SLOTS;
    for (uint32_t i = 0; i < head.used && !failed; i++) {
        failed = load_object(l, n, &at);
    }
    settle(h, n, l->chunk);
    return failed;
}

/* As it was: no reference has been given out. */
static void forget_all(struct movable *h)
{
    for (uint32_t slot = 0; slot < h->groups * GROUP_SLOTS; slot++) {
        if (h->entry[slot]) {
            movable_drop(h, slot);
        }
    }
    quick_give_all(h);
    memset(h->group, 0, h->groups * sizeof *h->group);
    h->groups = 0;
    h->free_groups = NO_GROUP;
}

int allot_movable_load(struct allot_movable *heap, int (*read)(void *arg, void *bytes, size_t length), void *arg)
{
    struct movable *h = movable_of(heap);
    struct loading l = {h, read, arg, NO_CHUNK};
    struct image_head head;
    movable_lock(h);
    int failed = h->groups ? -EINVAL : read(arg, &head, sizeof head);
    if (!failed && (memcmp(head.magic, IMAGE_MAGIC, sizeof head.magic) != 0 || head.order != order_of(h))) {
        failed = -EINVAL;
    }
    bool is_new = h->groups == 0;
    for (uint32_t n = 0; !failed && n < head.groups; n++) {
        failed = load_group(&l, n);
    }
    failed = failed || h->count == head.count ? failed : -EINVAL;
    if (l.chunk != NO_CHUNK && h->chunk[l.chunk].state == CHUNK_USED && h->chunk[l.chunk].used == 0) {
        chunk_release(h, l.chunk);
    }
    if (failed && is_new) {
        forget_all(h);
    }
    h->refused += failed == -ENOMEM;
    movable_tell_near(heap, h);
    movable_unlock(h);
    return failed;
}
