/* place/make.c - the records of a region: where they are, and how they come to be. See place/region.h.
 *
 *   its own:        three mappings, which are replaced by longer ones          state | nodes ...  | blocks ...
 *   the caller's:   one piece of memory, divided once                          | state | nodes ...  | blocks ... |
 */
#include <errno.h>
#include <string.h>

#include "os/memory.h"
#include "os/noscan.h"
#include "os/owned.h"
#include "place/region.h"

#define AREAS      64
#define AREAS_MOST 4096
#define MANY    \
    ((size_t)16 \
     << 20) /* bytes of records, half a million: each call looks at some anywhere, which small pages make two misses */

/* -- records -- */

/* Another mapping for one of the three, of so many bytes; what was in it is in it. */
static bool grow(void **array, size_t *mapped, size_t bytes)
{
    void *now = os_map_noscan(bytes); /* offsets may be addresses, but what is placed is not held by its place */
    if (!now) {
        return false;
    }
    size_t first = align_up((uintptr_t)now, OS_HUGE_PAGE) - (uintptr_t)now;
    if (bytes >= MANY && os_huge_pages_worth_it()) {
        os_huge_pages(now, first, bytes);
    }
    if (*array) {
        memcpy(now, *array, *mapped);
        os_unmap_noscan(*array, *mapped);
    }
    *array = now;
    *mapped = bytes;
    return true;
}

static bool grow_to(struct allot_region *r, void **array, size_t *mapped, uint32_t *most, uint64_t count, size_t each)
{
    if (count > NONE || state_of(r)->foreign) {
        return false;
    }
    uint64_t doubled = (uint64_t)*most * 2;
    count = count > doubled ? count : doubled < NONE ? doubled : NONE;
    size_t bytes = align_up(count * each, os_page);
    if (!grow(array, mapped, bytes)) {
        return false;
    }
    *most = (uint32_t)(bytes / each < NONE ? bytes / each : NONE);
    return true;
}

bool region_ensure_more(struct allot_region *r, uint64_t nodes, uint64_t ranges)
{
    struct region_state *s = state_of(r);
    uint64_t wanted = s->fresh_nodes - s->nunused + nodes;
    if (wanted > s->most_nodes &&
        !grow_to(r, &r->nodes, &r->mapped[1], &s->most_nodes, wanted + s->nunused, sizeof(struct region_node))) {
        return false;
    }
    if (region_has_tree(s)) {
        /* There are never more holes than taken ranges and spans. */
        uint64_t blocks = by_offset_blocks(s->count + s->nspans + ranges + 1);
        if (blocks > s->most_blocks &&
            !grow_to(r, &r->blocks, &r->mapped[2], &s->most_blocks, blocks, sizeof(struct region_block))) {
            return false;
        }
    }
    return true;
}

void region_empty_index(struct allot_region *r)
{
    struct region_state *s = state_of(r);
    for (uint32_t i = 0; i < s->bins; i++) {
        s->heads[i] = NONE;
    }
    if (s->fit == ALLOT_GROUPS) {
        memset(&s->heads[align_up(s->areas, 2)], 0, s->areas * 2 * sizeof(uint64_t));
    }
    memset(s->full, 0, sizeof s->full);
    memset(s->fuller, 0, sizeof s->fuller);
    memset(s->in_order, 0, sizeof s->in_order);
    for (unsigned order = 0; order < 64; order++) {
        s->first_of[order] = NONE;
    }
    s->orders = 0;
    s->root = s->unused_blocks = NONE;
    s->fresh_blocks = 0;
    s->holes = 0;
}

/* -- making one -- */

/* How many heads of lists or trees the rule wants. */
static uint32_t count_bins(struct region_state *s, uint64_t size)
{
    uint64_t most = OFFSETS_END >> s->shift;
    switch ((enum allot_fit)s->fit) {
    case ALLOT_FIRST:
    case ALLOT_NEXT:
    case ALLOT_BUDDY:
        break;
    case ALLOT_BEST:
    case ALLOT_NEXT_BEST:
    case ALLOT_WORST:
        return by_size_bins(s, size);
    case ALLOT_GROUPS:
        return s->areas;
    case ALLOT_BINS:
        /* What a size is rounded up to may be in the next one. */
        return bin_below(most, BINS_BITS) + 2;
    }
    return 0;
}

/* Fills a state with what the options say; its bytes, or 0 when they make no sense. */
static size_t plan_state(struct region_state *s, uint64_t size, const struct allot_region_opts *opts)
{
    uint64_t unit = opts->unit ? opts->unit : 1;
    if ((unsigned)opts->fit > ALLOT_BUDDY || (unit & (unit - 1)) || unit > OFFSETS_END / 2 ||
        (unsigned)opts->lock > ALLOT_REGION_SHARED || opts->areas > AREAS_MOST ||
        (opts->areas && opts->fit != ALLOT_GROUPS) || (opts->threshold && opts->fit != ALLOT_BUDDY) ||
        (opts->lock == ALLOT_REGION_SHARED && !opts->memory)) {
        return 0;
    }
    *s = (struct region_state){.magic = REGION_MAGIC,
                               .fit = opts->fit,
                               .lock = opts->lock,
                               .unit = unit,
                               .shift = lowest_bit(unit),
                               .areas = opts->areas ? opts->areas : AREAS,
                               .threshold = opts->threshold,
                               .name = opts->lock == ALLOT_REGION_SHARED ? NULL : opts->name,
                               .first = NONE,
                               .last = NONE,
                               .finger = NONE,
                               .spans = NONE,
                               .unused_nodes = NONE};
    uint64_t units = size >> s->shift;
    s->area = units / s->areas + (units % s->areas != 0);
    s->area = s->area ? s->area : 1 << 10;
    s->bins = count_bins(s, size);
    size_t ends = s->fit == ALLOT_GROUPS ? s->areas * 2 * sizeof(uint64_t) : 0;
    return align_up(sizeof *s + align_up(s->bins, 2) * sizeof s->heads[0] + ends, 64);
}

/* So many nodes, and blocks for the holes that they may be. */
#define BLOCKS_OF_NODES(nodes) by_offset_blocks((nodes) / 2 + 2)

size_t allot_region_memory(uint64_t ranges, uint64_t size, const struct allot_region_opts *opts)
{
    struct region_state s;
    static const struct allot_region_opts defaults;
    struct allot_region_opts o = opts ? *opts : defaults;
    o.memory = &s;
    size_t bytes = plan_state(&s, size, &o);
    if (!bytes || ranges > NONE / 64) {
        return 0;
    }
    uint64_t units = size >> s.shift;
    uint64_t nodes = s.fit == ALLOT_BUDDY ? (ranges + 2) * (units ? log2_floor(units) + 2 : 64) : ranges * 2 + 4;
    return bytes + nodes * sizeof(struct region_node) +
           (region_has_tree(&s) ? (BLOCKS_OF_NODES(nodes) + 1) * sizeof(struct region_block) : 0);
}

/* Divides the caller's memory. */
static bool divide(struct allot_region *r, struct region_state *s, size_t bytes, const struct allot_region_opts *opts)
{
    if (opts->memory_size < bytes || (uintptr_t)opts->memory % 64) {
        return false;
    }
    size_t left = opts->memory_size - bytes;
    uint64_t nodes = left / sizeof(struct region_node), blocks = 0;
    if (region_has_tree(s)) {
        /* A node's share of a block is a twelfth. */
        size_t fixed = BLOCKS_OF_NODES(0) * sizeof(struct region_block);
        nodes =
            left < fixed ? 0 : (left - fixed) * 12 / (sizeof(struct region_node) * 12 + sizeof(struct region_block));
        blocks = (left - nodes * sizeof(struct region_node)) / sizeof(struct region_block);
    }
    s->foreign = true;
    s->most_nodes = (uint32_t)(nodes < NONE ? nodes : NONE);
    s->most_blocks = (uint32_t)(blocks < NONE ? blocks : NONE);
    s->nodes_at = bytes;
    s->blocks_at = bytes + nodes * sizeof(struct region_node);
    s->bytes = opts->memory_size;
    r->state = opts->memory;
    r->nodes = (char *)opts->memory + s->nodes_at;
    r->blocks = (char *)opts->memory + s->blocks_at;
    memset(opts->memory, 0, s->blocks_at);
    return nodes >= 2;
}

static bool make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0) {
        return false;
    }
    bool made = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
                pthread_mutex_init(mutex, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    return made;
}

int region_make(struct allot_region *r, uint64_t size, const struct allot_region_opts *opts)
{
    struct region_state s;
    *r = (struct allot_region){0};
    size_t bytes = plan_state(&s, size, opts);
    if (!bytes) {
        return -EINVAL;
    }
    os_memory_init();
    if (opts->memory ? !divide(r, &s, bytes, opts) : !grow(&r->state, &r->mapped[0], align_up(bytes, os_page))) {
        *r = (struct allot_region){0};
        return -ENOMEM;
    }
    *state_of(r) = s;
    region_empty_index(r);
    if (s.lock == ALLOT_REGION_SHARED && !make_mutex(&state_of(r)->mutex)) {
        *r = (struct allot_region){0};
        return -ENOMEM;
    }
    return 0;
}

/* In whole units, inside; false when it is beyond what offsets can be. */
static bool trim_to_units(uint64_t *base, uint64_t *size, uint64_t unit)
{
    if (*base > OFFSETS_END || *size > OFFSETS_END - *base) {
        return false;
    }
    uint64_t end = align_down(*base + *size, unit);
    *base = align_up(*base, unit);
    *size = end > *base ? end - *base : 0;
    return true;
}

static int add(struct allot_region *r, uint64_t base, uint64_t size)
{
    struct region_state *s = state_of(r);
    if (!trim_to_units(&base, &size, s->unit) || size == 0) {
        return -EINVAL;
    }
    /* The last node before it. */
    uint32_t before = s->finger != NONE ? s->finger : s->last;
    while (before != NONE && node_of(r, before)->at >= base) {
        before = node_of(r, before)->prev;
    }
    uint32_t behind = before == NONE ? s->first : node_of(r, before)->next;
    while (behind != NONE && node_of(r, behind)->at < base) {
        before = behind;
        behind = node_of(r, behind)->next;
    }
    if ((before != NONE && node_end(node_of(r, before)) > base) ||
        (behind != NONE && node_of(r, behind)->at < base + size)) {
        return -EINVAL;
    }
    uint64_t pieces = s->fit == ALLOT_BUDDY ? buddy_pieces(base, size, s->unit) : 1;
    if (!region_ensure(r, pieces + 1, 1)) {
        return -ENOMEM;
    }
    if (s->nspans++ == 0) {
        s->base = base;
        by_size_measure(s, size);
    }
    uint32_t span = region_new_node(r), id = region_new_node(r);
    *node_of(r, id) = (struct region_node){.at = base, .size = size, .link = {NONE, NONE}};
    *node_of(r, span) = (struct region_node){.at = base, .size = size, .next = s->spans, .link = {NODE_UNUSED, NONE}};
    region_mark(node_of(r, span), NODE_SPAN);
    s->spans = span;
    s->held += size;
    s->peak = s->held;
    region_tell_owned(s, base, size);
    region_chain(r, id, before);
    if (s->fit == ALLOT_BUDDY) {
        buddy_insert(r, id);
    } else {
        region_merge_hole(r, id);
    }
    return 0;
}

int allot_region_add(struct allot_region *r, uint64_t base, uint64_t size)
{
    region_lock(r);
    int failed = add(r, base, size);
    region_unlock(r);
    return failed;
}

int allot_region_init(struct allot_region *r, uint64_t base, uint64_t size, const struct allot_region_opts *opts)
{
    static const struct allot_region_opts defaults;
    opts = opts ? opts : &defaults;
    int failed = region_make(r, size, opts);
    if (!failed && size && (failed = add(r, base, size))) {
        allot_region_done(r);
    }
    return failed;
}

int allot_region_attach(struct allot_region *r, void *memory, size_t memory_size)
{
    *r = (struct allot_region){0};
    const struct region_state *s = memory;
    if ((uintptr_t)memory % 64 || memory_size < sizeof *s || s->magic != REGION_MAGIC ||
        s->lock != ALLOT_REGION_SHARED || s->bytes > memory_size) {
        return -EINVAL;
    }
    r->state = memory;
    r->nodes = (char *)memory + s->nodes_at;
    r->blocks = (char *)memory + s->blocks_at;
    return 0;
}

void allot_region_done(struct allot_region *r)
{
    void *arrays[] = {r->state, r->nodes, r->blocks};
    if (r->state && state_of(r)->name) {
        os_owned_remove(r->state);
    }
    for (int i = 0; i < 3; i++) {
        if (r->mapped[i]) {
            os_unmap_noscan(arrays[i], r->mapped[i]);
        }
    }
    *r = (struct allot_region){0};
}
