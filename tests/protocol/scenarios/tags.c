/* tags.c - tags: what counts to them is never beyond their limit, nor less than nothing. */
#include "scenarios.h"

#include <string.h>

#include <allot/tag.h>

#include "heap/tag.h"
#include "system.h"

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

/* clang-format off */
const struct scenario tag_scenarios[] = {
    {"tags", tags_begin, {use_tagged, free_1_and_use_tagged}, tags_end, NULL, false},
    {"tag-limit", tag_begins, {take_2, take_3, take_5}, tag_ends, NULL, false},
    {"tag-soft", soft_begins, {take_4_and_tell, take_8_and_tell}, told_once, NULL, false},
    {"tag-calm", soft_begins, {take_8_and_tell, give_8}, calm_ends, NULL, false},
    {"tag-fork", soft_begins, {fork_and_tell, take_8_and_tell}, soft_fork_ends, NULL, false},
    {"tag-make", makes_begin, {make_first, make_second, look_at_tags}, makes_end, NULL, false},
    /* the same with more, for `make soak` */
    {"tags-more", tags_begin, {use_tagged, free_0, free_1}, tags_end, NULL, false},
    {.name = NULL},
};
/* clang-format on */
