/* replay/model_arena.c - arena: each site's blocks in arenas of its own (allot/arena.h), whose memory comes back when all of them are dead.
 *
 *   site 7:  arena [a b c . e]  closed: waits for its last block        site 9:  arena [x y]
 *            arena [k l m    >  open: takes what comes next
 *   heap     [ arena's block ][ ... ][ arena's block ]                  first fit
 *
 * Nothing that dies is used again before its arena's end, so this is good for what dies together and bad for what does not: the replay of
 * the advice "an arena". An arena is closed when it has handed out 1 MiB, and another is opened: what one straggler holds is no more than
 * that. Blocks of an arena begin at 256 bytes and double, to 256 KiB, so that a site with a few objects costs little. The first 4 KiB of an
 * open arena stay when it empties. With more than 65536 sites those beyond share; without stacks all have one.
 *
 * used = all that arenas with a live block have handed out, dead or not: slack is what waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <allot/arena.h>

#include "replay/range.h"
#include "scope/arena.h"

#define SITES     65536
#define CLOSED_AT (1u << 20)
#define FIRST     256
#define LEAST     64 /* where memory is short an arena makes do with a block of what an object takes */
_Static_assert(sizeof(struct allot_arena_block) + ALLOT_ARENA_ALIGN >= LEAST, "no two begin in so many bytes");
#define MOST     (256u << 10)
#define KEPT     4096
#define ALIGNED  ((uint64_t)1 << 30) /* where the heap begins: alignments up to that are real */
#define RESERVED ((uint64_t)1 << 40) /* at most: beyond, requests are refused */

struct site_arena {
    struct allot_arena arena;
    uint64_t live, given; /* blocks; and bytes handed out since it was empty */
    uint32_t site, next;  /* next: of the unused ones */
    bool closed;
};

/* Where an object is, and in which arena. */
struct object {
    char *at;
    uint32_t arena;
};

struct arena_model {
    struct model m;
    struct object *object; /* of each block */
    struct site_arena **arena;
    uint32_t arenas, room, unused;
    uint32_t *open; /* by site: its open arena, and 1 */
    struct range range;
    void *mapped;
    char *base; /* [base, base + reserved): the heap's addresses, as the process has them */
    uint64_t reserved;
    uint32_t *id_of; /* the range of the arena's block that begins in these 64 bytes */
    int failed;      /* why there was no block */
    uint64_t given;  /* bytes, of all arenas */
    uint64_t blocks, opened, resets, in_place, moved, copied;
};

static struct arena_model *self_of(const struct model *m) { return (struct arena_model *)(uintptr_t)m; }

/* -- where arenas' blocks come from -- */

static void *take(void *self, size_t size, size_t align)
{
    struct arena_model *a = self;
    struct allot_range range;
    (void)align; /* the heap's will do */
    a->failed = range_take(&a->range, size, MODEL_ALIGN, &range);
    if (!a->failed && range.at + range.size > a->reserved) {
        range_give(&a->range, &range);
        a->failed = -ENOSPC;
    }
    if (a->failed) {
        return NULL;
    }
    a->id_of[range.at / LEAST] = range.id;
    a->blocks++;
    return a->base + range.at;
}

static void give(void *self, void *p, size_t size, size_t align)
{
    struct arena_model *a = self;
    (void)size;
    (void)align;
    struct allot_range range = range_of(&a->range, a->id_of[(uint64_t)((char *)p - a->base) / LEAST]);
    range_give(&a->range, &range);
    a->blocks--;
}

static const struct allot_allocator_ops from_the_heap = {.take = take, .give = give};

static void update(struct arena_model *a)
{
    a->m.headers = a->blocks * sizeof(struct allot_arena_block);
    a->m.used = a->given + a->m.headers;
    a->m.held = a->m.end = a->range.top;
}

/* -- arenas -- */

/* Unused ones keep their struct. */
static struct site_arena *new_arena(struct arena_model *a, uint32_t *number)
{
    if (a->unused) {
        *number = a->unused - 1;
        a->unused = a->arena[*number]->next;
        return a->arena[*number];
    }
    if (a->arenas == a->room) {
        uint32_t room = a->room ? 2 * a->room : 64;
        struct site_arena **grown = realloc(a->arena, room * sizeof(struct site_arena *));
        if (!grown) {
            return NULL;
        }
        a->arena = grown;
        a->room = room;
    }
    struct site_arena *s = calloc(1, sizeof *s);
    if (s) {
        *number = a->arenas;
        a->arena[a->arenas++] = s;
    }
    return s;
}

static struct site_arena *open_arena(struct arena_model *a, uint32_t site, uint32_t *number)
{
    if (a->open[site % SITES]) {
        *number = a->open[site % SITES] - 1;
        return a->arena[*number];
    }
    struct site_arena *s = new_arena(a, number);
    if (s) {
        struct allot_arena_opts opts = {.first = FIRST, .max = MOST, .from = {&from_the_heap, a}};
        *s = (struct site_arena){.site = site % SITES};
        allot_arena_init(&s->arena, &opts);
        a->open[site % SITES] = *number + 1;
        a->opened++;
    }
    return s;
}

static void close_when_full(struct arena_model *a, struct site_arena *s)
{
    if (s->given >= CLOSED_AT && !s->closed) {
        s->closed = true;
        a->open[s->site] = 0;
    }
}

static int get(struct arena_model *a, uint64_t size, uint64_t align, uint32_t site, struct object *out)
{
    struct site_arena *s = open_arena(a, site, &out->arena);
    if (!s) {
        return -ENOMEM;
    }
    a->failed = -ENOSPC;
    out->at =
        align > ALLOT_ARENA_ALIGN ? allot_arena_aligned(&s->arena, size, align) : allot_arena_alloc(&s->arena, size);
    if (!out->at) {
        return a->failed;
    }
    uint64_t bytes = align_up(size, ALLOT_ARENA_ALIGN);
    s->live++;
    s->given += bytes;
    a->given += bytes;
    close_when_full(a, s);
    return 0;
}

static void put(struct arena_model *a, struct object object)
{
    struct site_arena *s = a->arena[object.arena];
    if (--s->live > 0) {
        return;
    }
    a->given -= s->given;
    s->given = 0;
    a->resets++;
    if (s->closed) {
        allot_arena_done(&s->arena);
        s->next = a->unused;
        a->unused = object.arena + 1;
    } else {
        allot_arena_reset(&s->arena, KEPT);
    }
}

/* -- blocks -- */

static int arena_alloc(struct model *m, uint32_t block, uint64_t size, const struct op *op)
{
    struct arena_model *a = self_of(m);
    int failed = get(a, size, model_align(op), op->site, &a->object[block]);
    update(a);
    return failed;
}

static void arena_free(struct model *m, uint32_t block, uint64_t was, const struct op *op)
{
    (void)was;
    (void)op;
    struct arena_model *a = self_of(m);
    put(a, a->object[block]);
    update(a);
}

/* The last object of an arena grows and shrinks at its end; others shrink, and what they lose waits. */
static bool stays(struct arena_model *a, struct object object, uint64_t was, uint64_t size)
{
    struct site_arena *s = a->arena[object.arena];
    uint64_t old = align_up(was, ALLOT_ARENA_ALIGN), now = align_up(size, ALLOT_ARENA_ALIGN);
    const char *end = s->arena.at;
    if (!allot_arena_extend(&s->arena, object.at, was, size)) {
        return false;
    }
    if (now > old || (now < old && s->arena.at != end)) {
        s->given += now - old;
        a->given += now - old;
        close_when_full(a, s);
    }
    return true;
}

static int arena_resize(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op)
{
    struct arena_model *a = self_of(m);
    struct object object = a->object[block];
    int failed = 0;
    if (stays(a, object, was, size)) {
        a->in_place++;
    } else if ((failed = get(a, size, MODEL_ALIGN, op->site, &a->object[block])) == 0) {
        put(a, object);
        a->moved++;
        a->copied += was < size ? was : size;
    } else {
        a->object[block] = object;
    }
    update(a);
    return failed;
}

/* -- beginning, end, and what is told -- */

static void *map(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void release(struct arena_model *a)
{
    free(a->arena);
    free(a->open);
    free(a->object);
    if (a->mapped) {
        munmap(a->mapped, a->reserved + ALIGNED);
    }
    if (a->id_of) {
        munmap(a->id_of, a->reserved / LEAST * sizeof *a->id_of);
    }
    range_end(&a->range);
}

static void arena_end(struct model *m)
{
    struct arena_model *a = self_of(m);
    for (uint32_t i = a->unused; i; i = a->arena[i - 1]->next) {
        a->arena[i - 1]->live = UINT64_MAX; /* done already */
    }
    for (uint32_t i = 0; i < a->arenas; i++) {
        if (a->arena[i]->live != UINT64_MAX) {
            allot_arena_done(&a->arena[i]->arena);
        }
        free(a->arena[i]);
    }
    release(a);
}

/* As much as arenas can come to want: twice all that is ever allocated, and some for each site. Nothing of it is touched but the first
 * bytes of arenas' blocks. */
static int reserve(struct arena_model *a)
{
    uint64_t all = (uint64_t)SITES * KEPT;
    for (uint64_t i = 0; i < a->m.ops->count && all < RESERVED; i++) {
        all += 2 * (a->m.ops->op[i].size + FIRST);
    }
    a->reserved = align_up(all < RESERVED ? all : RESERVED, ALIGNED);
    a->mapped = map(a->reserved + ALIGNED);
    a->id_of = map(a->reserved / LEAST * sizeof *a->id_of);
    a->base = (char *)(uintptr_t)align_up((uintptr_t)a->mapped, ALIGNED);
    return a->mapped && a->id_of ? 0 : -ENOMEM;
}

static int arena_begin(struct model *m)
{
    struct arena_model *a = self_of(m);
    a->object = model_array(m, sizeof *a->object);
    a->open = calloc(SITES, sizeof *a->open);
    if (!a->object || !a->open || reserve(a) != 0 ||
        range_begin(&a->range, ALLOT_FIRST, MODEL_ALIGN, m->ops->peak_live, m->bound) != 0) {
        release(a);
        return -ENOMEM;
    }
    update(a);
    return 0;
}

static void arena_look(struct model *m, struct replay_moment *out)
{
    struct arena_model *a = self_of(m);
    out->metadata = range_metadata(&a->range) + a->arenas * (uint64_t)sizeof(struct site_arena);
    out->largest_hole = range_largest(&a->range);
    for (uint32_t i = 0; i < SITES; i++) {
        const struct site_arena *s = a->open[i] ? a->arena[a->open[i] - 1] : NULL;
        uint64_t left = s ? (uint64_t)(s->arena.end - s->arena.at) : 0;
        out->largest_hole = left > out->largest_hole ? left : out->largest_hole;
    }
}

static void arena_where(struct model *m, uint32_t block, uint64_t *start, uint64_t *size)
{
    struct arena_model *a = self_of(m);
    *start = (uint64_t)(a->object[block].at - a->base);
    *size = align_up(m->size[block] ? m->size[block] : 1, ALLOT_ARENA_ALIGN);
}

static void arena_count(const struct model *m, struct replay_result *out)
{
    const struct arena_model *a = self_of(m);
    model_count(out, "arenas", a->opened);
    model_count(out, "resets", a->resets);
    range_count(&a->range, out);
    model_count(out, "resized in place", a->in_place);
    model_count(out, "resized by moving", a->moved);
    model_count(out, "bytes copied", a->copied);
}

static void arena_check(struct model *m) { allot_region_check(&self_of(m)->range.region); }

const struct model_kind model_arena = {.name = "arena",
                                       .bytes = sizeof(struct arena_model),
                                       .has_range = true,
                                       .begin = arena_begin,
                                       .end = arena_end,
                                       .alloc = arena_alloc,
                                       .resize = arena_resize,
                                       .free = arena_free,
                                       .look = arena_look,
                                       .where = arena_where,
                                       .count = arena_count,
                                       .check = arena_check};
