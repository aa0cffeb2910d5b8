/* scenarios.c - the heap's protocols between threads, each with as few threads, slabs and blocks as show all it can do.
 *
 * Blocks are of SIZE bytes or OTHER, which are less than a page, so that nobody counts what is adrift; or of HALF, of which a
 * slab has two, and each free is counted: where adrift_least is small, pages go back with it. At the end of each execution every block has been freed and every thread that still is one has drained: then no heap may have a slab or a slot left. That
 * no slot is handed out twice, and none is used by two, is what writing to each block shows: it would be a race. */
#include "explore.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <allot/heap.h>
#include <allot/malloc.h>

#include "heap/heap.h"
#include "heap/tag.h"
#include "span/large.h"
#include "span/run.h"
#include "span/segment.h"
#include "system.h"

enum { SIZE = 3000, OTHER = 3500, HALF = 30000, BLOCKS = 10 };

static void *block[BLOCKS];
static _Atomic(void *) handed[2]; /* from one thread to another */

#define EXPECT(condition)                                    \
    do {                                                     \
        if (!(condition)) {                                  \
            explore_fault("not so at the end: " #condition); \
        }                                                    \
    } while (0)

static void *try_to_get(size_t size)
{
    uintptr_t *p = allot_malloc(size);
    if (p) {
        p[1] = (uintptr_t)p; /* the first word is the heap's to keep links in */
    }
    return p;
}

static void *get(size_t size)
{
    void *p = try_to_get(size);
    EXPECT(p != NULL);
    return p;
}

static void put(void *block_or_null)
{
    uintptr_t *p = block_or_null;
    if (p) {
        EXPECT(p[1] == (uintptr_t)p);
        p[1] = 1; /* as a program leaves it: not zero, so that to purge it counts as writing */
        allot_free(p);
    }
}

static void put_block(unsigned i)
{
    void *p = block[i];
    block[i] = NULL;
    put(p);
}

/* -- beginnings -- */

/* The running thread gets a heap, as if it had had what it may have of the commons. */
static void attach(void)
{
    front.common = MODEST_BYTES;
    EXPECT(heap_attach() != NULL);
    memset(front.heap->common, UINT8_MAX, sizeof front.heap->common);
}

/* Threads 0 to count - 1 have heaps. */
static void threads_with_heaps(unsigned count)
{
    for (unsigned t = 0; t < count; t++) {
        act_as(t);
        attach();
    }
    act_as(0);
}

static void blocks_of(unsigned thread, unsigned from, unsigned count, size_t size)
{
    act_as(thread);
    for (unsigned i = from; i < from + count; i++) {
        block[i] = get(size);
    }
}

/* So that who needs a unit may get one that somebody else gave back. */
static void one_other_unit_is_free(void)
{
    while (count_bits(segments_newest()->free) > 1) {
        unit_take(UNIT_SOME);
    }
}

/* -- ends -- */

static void nothing_is_left(void)
{
    for (struct heap *h = heaps_newest(); h; h = h->older) {
        EXPECT(h->slabs == 0);
        EXPECT(h->out == 0);
    }
}

/* Those who are no more, or never had a heap, have nothing to drain: allot_trim would look after them. Twice, as a drain may
 * pass on to who came before. */
static void all_drain(void)
{
    for (unsigned i = 0; i < 2 * THREADS; i++) {
        act_as(i % THREADS);
        heap_flush_front();
        for (int tagged = 0; tagged <= 1; tagged++) {
            struct heap *h = tagged ? front.tagged : front.heap;
            if (h) {
                remote_drain(h, SIZE_MAX);
                heap_retire_current(h);
            }
        }
    }
    commons_trim();
}

static void all_is_free(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        put_block(i);
    }
    put(atomic_exchange(&handed[0], NULL));
    put(atomic_exchange(&handed[1], NULL));
    all_drain();
    nothing_is_left();
    allot_check();
}

/* -- frees by others, beside an owner that allocates: each takes in what it can of the other's -- */

static void free_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 3, SIZE);
}

static void free_0(void) { put_block(0); }
static void free_1(void) { put_block(1); }
static void free_2(void) { put_block(2); }
static void free_0_and_1(void)
{
    put_block(0);
    put_block(1);
}
static void free_1_and_2(void)
{
    put_block(1);
    put_block(2);
}
static void free_0_and_2(void)
{
    put_block(0);
    put_block(2);
}
static void use(void) { put(get(SIZE)); }
static void use_twice(void)
{
    void *p = get(SIZE);
    put(get(SIZE));
    put(p);
}

/* -- two slabs, so that the inbox is a list -- */

static void inbox_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 2, SIZE);
    blocks_of(0, 2, 2, OTHER);
}

static void drain(void) { remote_drain(front.heap, SIZE_MAX); }
static void drain_twice(void)
{
    drain();
    drain();
}
static void free_1_and_3(void)
{
    put_block(1);
    put_block(3);
}

/* -- a notice that comes late: its slab has been released, and is another heap's by now -- */

static void late_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 2, HALF);
    blocks_of(2, 2, 2, HALF); /* no first slab, so it takes what was used before */
    act_as(0);
    allot_trim();
    one_other_unit_is_free();
}

static void free_1_and_hand_out(void)
{
    put_block(1);
    put(atomic_exchange(&handed[0], get(HALF)));
}

static void drain_and_free_handed(void)
{
    drain();
    put(atomic_exchange(&handed[0], NULL));
}

static void adopt_and_free_handed(void)
{
    attach();
    put(atomic_exchange(&handed[0], NULL));
}

static void hand_out_and_end(void)
{
    free_1_and_hand_out();
    put_block(2);
    put_block(3);
    system_thread_ends();
}

static void late_ends(void)
{
    act_as(2);
    if (!front
             .heap) { /* a notice passed on to a heap without a thread waits for the next one to take it over, or to free there */
        put(atomic_exchange(&handed[0], NULL));
        all_drain();
        act_as(3);
        attach();
    }
    all_is_free();
}

/* -- a thread ends: what others free is taken in without it, or by who takes over -- */

static void end(void) { system_thread_ends(); }

static void end_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 3, SIZE);
}

static void adopt_begins(void)
{
    threads_with_heaps(2);
    blocks_of(0, 0, 3, SIZE);
}

static void adopt_and_free_2(void)
{
    attach();
    void *p = get(SIZE);
    put_block(2);
    put(p);
}

/* -- a fork, at any moment: the child goes on, and lacks at most what was being freed. What another thread may have been in
 * the middle of writing would be a race for the child to touch. -- */

static bool is_child;

static void fork_begins(void)
{
    threads_with_heaps(3);
    blocks_of(0, 0, 3, SIZE);
    blocks_of(1, 3, 1, SIZE);
}

static void go_on(void)
{
    void *p = get(SIZE), *q = get(HALF);
    put(p);
    put(q);
    if (is_child) {
        allot_trim();
    }
}

static void fork_and_free(void)
{
    is_child = system_fork();
    go_on();
    put_block(0);
}

static void free_and_go_on(void)
{
    put_block(1);
    put(get(HALF));
    put_block(3);
}

static void free_and_fork(void)
{
    put_block(1);
    is_child = system_fork();
    go_on();
    put_block(3);
}

static void use_and_free(void)
{
    put(get(HALF));
    put_block(0);
}

static void fork_ends(void)
{
    if (!is_child) {
        all_is_free();
        return;
    }
    allot_trim();
    EXPECT(front.heap->slabs <= 1);
    allot_check();
}

/* -- what all share, under locks: a thread without a heap any more has nothing else -- */

static void commons_begin(void)
{
    threads_with_heaps(3);
    system_thread_ends();
    blocks_of(0, 0, 3, SIZE);
}

/* -- one block freed by two -- */

static void free_0_unlooked(void) { allot_free(block[0]); }

static void double_ends(void)
{
    put_block(1);
    put_block(2);
    all_drain();
}

/* -- tags: what counts to them is never beyond their limit, nor less than nothing -- */

static struct allot_tag *tag;
static size_t taken[THREADS]; /* by each thread */
static atomic_uint told;

static void within_limit(void) { EXPECT(allot_tag_used(tag) <= tag->limit); }

/* Two of three blocks' worth are in use, so there is always room for one, and for two when one of those was freed before. */
static void tags_begin(void)
{
    threads_with_heaps(3);
    tag = allot_tag("three", SIZE_MAX);
    for (unsigned t = 0; t < 3; t++) {
        act_as(t);
        allot_tag_enter(tag);
    }
    blocks_of(0, 0, 2, SIZE);
    allot_tag("three", allot_tag_used(tag) / 2 * 3);
}

static void use_tagged(void)
{
    put(try_to_get(SIZE));
    within_limit();
}

static void free_1_and_use_tagged(void)
{
    put_block(1);
    void *p = get(SIZE);
    within_limit();
    put(p);
}

static void tags_end(void)
{
    all_is_free();
    EXPECT(allot_tag_used(tag) == 0);
}

static void tag_begins(void) { tag = allot_tag("four", 4); }

static void take_tagged(size_t bytes)
{
    if (tag_take(tag, bytes)) {
        taken[running_thread()] = bytes;
        within_limit();
    }
}

static void take_2(void) { take_tagged(2); }
static void take_3(void) { take_tagged(3); }
static void take_5(void) { take_tagged(5); }

/* Who asks for too much is in nobody's way. */
static void tag_ends(void)
{
    EXPECT(taken[2] == 0 && taken[0] + taken[1] > 0);
    EXPECT(allot_tag_used(tag) == taken[0] + taken[1]);
}

/* -- and who wants to know of it is told, once until it is calm again, which nobody may miss -- */

enum { SOFT = 16, CALM = SOFT - SOFT / 8, BEFORE = 10 };

static void tell(struct allot_tag *of, void *arg)
{
    EXPECT(of == tag && arg == &told);
    atomic_fetch_add(&told, 1);
}

static void soft_begins(void)
{
    tag = allot_tag("soft", SIZE_MAX);
    allot_tag_soft(tag, SOFT, tell, &told);
    tag_take(tag, BEFORE);
}

static void take_and_tell(size_t bytes)
{
    EXPECT(tag_take(tag, bytes));
    tag_tell(tag);
}

static void take_4_and_tell(void) { take_and_tell(4); }
static void take_8_and_tell(void) { take_and_tell(8); }
static void give_8(void) { tag_give(tag, 8); }

static void fork_and_tell(void)
{
    is_child = system_fork();
    take_8_and_tell();
}

/* Who comes beyond it next is told, or the one that was about to tell has done all of it. */
static void soft_fork_ends(void)
{
    EXPECT(tag->notice == SOFT || tag->calm == CALM);
    EXPECT(is_child || told == 1);
}

static void told_once(void) { EXPECT(told == 1 && tag->notice == SIZE_MAX && tag->calm == CALM); }

static void calm_ends(void)
{
    EXPECT(allot_tag_used(tag) < CALM);
    EXPECT(told <= 1 && tag->notice == SOFT && tag->calm == 0);
}

/* -- first-class heaps: one thread's, while others free what is in it -- */

static struct allot_heap own;
static struct heap *own_heap;
static _Atomic bool adopted;

static void *get_own(size_t size)
{
    uintptr_t *p = allot_heap_alloc(&own, size);
    EXPECT(p != NULL);
    p[1] = (uintptr_t)p;
    return p;
}

static void make_own(size_t size, unsigned blocks)
{
    EXPECT(allot_heap_init(&own, &(struct allot_heap_opts){.tag = tag}) == 0);
    own_heap = heaps_newest();
    for (unsigned i = 0; i < blocks; i++) {
        block[i] = get_own(size);
    }
}

static void own_begins(void)
{
    threads_with_heaps(3);
    make_own(SIZE, 3);
}

static void use_own(void)
{
    put(get_own(SIZE));
    remote_drain(own_heap, SIZE_MAX);
}

/* What was freed is free, before all is. */
static void own_ends(void)
{
    allot_heap_adopt(&own);
    for (unsigned i = 0; i < BLOCKS; i++) {
        put_block(i);
    }
    struct allot_stats stats;
    remote_drain(own_heap, SIZE_MAX);
    allot_heap_stats(&own, &stats);
    EXPECT(stats.live == 0 && allot_heap_check(&own));
    allot_heap_done(&own);
    all_is_free();
}

/* -- and is reset, once its owner has seen that what the others free is free: one notice may have told of
 * both, and the other be on its way yet, for a unit that somebody else has by then -- */

static void reset_begins(void)
{
    threads_with_heaps(3);
    blocks_of(2, 2, 2, HALF); /* no first slab, so it takes what was used before */
    act_as(0);
    make_own(HALF, 2);
    allot_trim();
    one_other_unit_is_free();
}

static bool only_mine_is_left(void)
{
    remote_drain(own_heap, SIZE_MAX);
    put(atomic_exchange(&handed[0], NULL));
    return own_heap->out < HALF;
}

static void reset_own(void)
{
    if (only_mine_is_left()) {
        allot_heap_reset(&own);
        EXPECT(!tag || allot_tag_used(tag) == 0);
    }
}

static void charged_begins(void)
{
    threads_with_heaps(2);
    tag = allot_tag("heap", SIZE_MAX);
    make_own(HALF, 1);
    get_own(SIZE);
}

/* A notice in the inbox of a heap that is done waits for the next one of its record. */
static void reset_ends(void)
{
    put_block(0);
    put_block(1);
    allot_heap_done(&own);
    put(atomic_exchange(&handed[0], NULL));
    put_block(2);
    put_block(3);
    all_drain();
    for (struct heap *h = heaps_newest(); h; h = h->older) {
        if (h->id & ID_PRIVATE) {
            remote_forget(h);
        }
    }
    all_is_free();
}

/* -- and is adopted by another; who had it frees in it when it has seen that -- */

static void hand_over_own(void)
{
    put(get_own(SIZE));
    atomic_exchange(&handed[0], &own);
    if (atomic_load(&adopted)) {
        put_block(1);
    }
}

static void adopt_own(void)
{
    if (atomic_exchange(&handed[0], NULL)) {
        allot_heap_adopt(&own);
        atomic_exchange(&adopted, true);
        put(get_own(SIZE));
        put_block(2);
    }
}

static void adopt_ends(void)
{
    atomic_store(&handed[0], NULL);
    own_ends();
}

/* -- pages of free slots, which others claim and purge as soon as there are any: the owner finds them free, or not yet -- */

static void adrift_begins(void)
{
    adrift_least = adrift_slots_least = 1;
    threads_with_heaps(3);
    blocks_of(0, 0, 2, HALF);
}

static void use_half(void) { put(get(HALF)); }

/* Block 0 has been freed, and its slab is in the inbox. */
static struct heap *others;

static void noticed_begins(void)
{
    threads_with_heaps(3);
    others = front.heap;
    blocks_of(0, 0, 2, HALF);
    act_as(1);
    put_block(0);
    adrift_least = adrift_slots_least = 1;
}

/* And thread 2, all of whose slabs are full, would have to take a fresh unit. */
static void loose_begins(void)
{
    noticed_begins();
    blocks_of(2, 2, 8, HALF);
    adrift_trim(others);
}

static void sleep_on(void) {}
static void trim_others(void) { adrift_trim(others); }
static void drain_and_use(void)
{
    drain();
    use_half();
}
static void fork_and_go_on(void)
{
    is_child = system_fork();
    go_on();
}

static void adrift_fork_ends(void)
{
    if (!is_child) {
        all_is_free();
        return;
    }
    put_block(1);
    allot_trim();
    EXPECT(front.heap->slabs == 0);
    allot_check();
}

/* -- a tag is made once, whoever asks first -- */

static struct allot_tag *same[2];

static void makes_begin(void)
{
    threads_with_heaps(1);
    tag = allot_tag("before", SIZE_MAX); /* the tree and the table are there */
}

static void make_first(void) { same[0] = allot_tag("same", 7); }
static void make_second(void) { same[1] = allot_tag("same", 7); }

static void look_at_tags(void)
{
    for (uint32_t i = 1; (tag = tag_by_index(i)) != NULL; i++) {
        EXPECT(strcmp(tag->name, i == 1 ? "before" : "same") == 0);
    }
}

static void makes_end(void) { EXPECT(same[0] && same[0] == same[1] && !tag_by_index(3)); }

/* -- units that come and go while others are purged -- */

enum { UNITS_KEPT = 3, UNITS_FREED = 16 };
static struct unit *unit[UNITS_KEPT];

static void take_unit(struct unit **taken)
{
    *taken = unit_take(UNIT_SOME);
    EXPECT(*taken != NULL);
    size_t touched = (*taken)->touched * (size_t)16;
    uint64_t *data = (uint64_t *)unit_data(*taken);
    EXPECT(touched >= 16 || data[0] == 0);
    data[0] = 1;
    (*taken)->touched = 1;
}

static void purge_begins(void)
{
    threads_with_heaps(1);
    struct unit *freed[UNITS_FREED];
    for (unsigned i = 0; i < UNITS_FREED + UNITS_KEPT; i++) {
        take_unit(i < UNITS_FREED ? &freed[i] : &unit[i - UNITS_FREED]);
    }
    for (unsigned i = 0; i < UNITS_FREED; i++) {
        unit_give(freed[i]);
    }
}

static void give_0(void) { unit_give(unit[0]); }
static void give_1(void) { unit_give(unit[1]); }
static void take_two(void)
{
    struct unit *other;
    take_unit(&other);
    take_unit(&unit[2]);
    unit_give(other);
}

static void fork_unit(void)
{
    system_fork();
    take_two();
}

static void purge_ends(void)
{
    unit_give(unit[2]);
    segments_check();
}

/* clang-format off */
static const struct scenario scenarios[] = {
    {"free", free_begins, {use_twice, free_0_and_2, free_1}, all_is_free, 0, false},
    {"drain", free_begins, {drain_twice, free_0, free_1_and_2}, all_is_free, 0, false},
    {"inbox", inbox_begins, {drain, free_0_and_2, free_1_and_3}, all_is_free, 0, false},
    {"late", late_begins, {drain_and_free_handed, free_0, free_1_and_hand_out}, late_ends, 0, false},
    {"late-end", late_begins, {drain_and_free_handed, free_0, hand_out_and_end}, late_ends, 0, false},
    {"end", end_begins, {end, free_0_and_2, free_1}, all_is_free, 0, false},
    {"adopt", adopt_begins, {end, free_0, adopt_and_free_2}, all_is_free, 0, false},
    {"fork", fork_begins, {fork_and_free, free_and_go_on}, fork_ends, 0, false},
    {"fork-freeing", fork_begins, {use_and_free, free_and_fork}, fork_ends, 0, false},
    {"commons", commons_begin, {use, free_0, free_1}, all_is_free, 0, false},
    {"double-free", free_begins, {drain, free_0_unlooked, free_0_unlooked}, double_ends, 1, false},
    {"purge", purge_begins, {give_0, give_1, take_two}, purge_ends, 0, false},
    {"purge-fork", purge_begins, {give_0, give_1, fork_unit}, purge_ends, 0, false},
    {"tags", tags_begin, {use_tagged, free_1_and_use_tagged}, tags_end, 0, false},
    {"tag-limit", tag_begins, {take_2, take_3, take_5}, tag_ends, 0, false},
    {"tag-soft", soft_begins, {take_4_and_tell, take_8_and_tell}, told_once, 0, false},
    {"tag-calm", soft_begins, {take_8_and_tell, give_8}, calm_ends, 0, false},
    {"tag-fork", soft_begins, {fork_and_tell, take_8_and_tell}, soft_fork_ends, 0, false},
    {"tag-make", makes_begin, {make_first, make_second, look_at_tags}, makes_end, 0, false},
    {"own", own_begins, {use_own, free_0_and_2, free_1}, own_ends, 0, false},
    {"own-reset", reset_begins, {reset_own, free_0, free_1_and_hand_out}, reset_ends, 0, false},
    {"own-charged", charged_begins, {reset_own, free_0}, reset_ends, 0, false},
    {"own-adopt", own_begins, {hand_over_own, adopt_own, free_0}, adopt_ends, 0, false},
    {"adrift", adrift_begins, {drain, free_0_and_1}, all_is_free, 0, false},
    {"adrift-trim", noticed_begins, {sleep_on, free_1, trim_others}, all_is_free, 0, false},
    {"adrift-end", adrift_begins, {end, free_0_and_1}, all_is_free, 0, false},
    {"loose", loose_begins, {drain, sleep_on, use_half}, all_is_free, 0, false},
    {"loose-free", loose_begins, {sleep_on, free_1, use_half}, all_is_free, 0, false},
    {"loose-end", loose_begins, {end, sleep_on, use_half}, all_is_free, 0, false},
    {"adrift-fork", noticed_begins, {fork_and_go_on, trim_others}, adrift_fork_ends, 0, false},
    /* the same with more, for `make soak` */
    {"adrift-more", adrift_begins, {drain_and_use, free_0_and_1}, all_is_free, 0, false},
    {"tags-more", tags_begin, {use_tagged, free_0, free_1}, tags_end, 0, false},
    {"free-more", free_begins, {use_twice, free_0, free_1, free_2}, all_is_free, 0, false},
    {"inbox-more", inbox_begins, {drain_twice, free_0_and_2, free_1_and_3}, all_is_free, 0, false},
    {"late-more", late_begins, {drain_and_free_handed, free_0, free_1_and_hand_out, adopt_and_free_handed}, late_ends, 0, false},
    {"end-more", end_begins, {end, free_0, free_1, free_2}, all_is_free, 0, false},
    {"adopt-more", adopt_begins, {end, free_0_and_1, adopt_and_free_2}, all_is_free, 0, false},
    {"fork-more", fork_begins, {fork_and_free, free_and_go_on, free_2}, fork_ends, 0, false},
};
/* clang-format on */

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (argc == 2 && strcmp(argv[1], scenarios[i].name) == 0) {
            explore(&scenarios[i]);
            return 0;
        }
    }
    fprintf(stderr, "%s NAME, of scenarios.c\n", argv[0]);
    return 2;
}
