/* scenarios.c - what the scenarios share, and the program that runs one. */
#include "scenarios.h"

#include <stdio.h>
#include <string.h>

#include <allot/malloc.h>

#include "heap/heap.h"
#include "span/segment.h"

void *block[BLOCKS];
_Atomic(void *) handed[2];
bool is_child;
void *twice;

void *try_to_get(size_t size)
{
    uintptr_t *p = allot_malloc(size);
    if (p) {
        p[1] = (uintptr_t)p; /* the first word is the heap's to keep links in */
    }
    return p;
}

void *get(size_t size)
{
    void *p = try_to_get(size);
    EXPECT(p != NULL);
    return p;
}

void put(void *block_or_null)
{
    uintptr_t *p = block_or_null;
    if (p) {
        EXPECT(p[1] == (uintptr_t)p);
        p[1] = 1; /* as a program leaves it: not zero, so that to purge it counts as writing */
        allot_free(p);
    }
}

void put_block(unsigned i)
{
    void *p = block[i];
    block[i] = NULL;
    put(p);
}

/* -- beginnings -- */

void attach(void)
{
    front.common = MODEST_BYTES;
    EXPECT(heap_attach() != NULL);
    memset(front.heap->common, UINT8_MAX, sizeof front.heap->common);
}

void threads_with_heaps(unsigned count)
{
    for (unsigned t = 0; t < count; t++) {
        act_as(t);
        attach();
    }
    act_as(0);
}

void blocks_of(unsigned thread, unsigned from, unsigned count, size_t size)
{
    act_as(thread);
    for (unsigned i = from; i < from + count; i++) {
        block[i] = get(size);
    }
}

void one_other_unit_is_free(void)
{
    while (count_bits(segments_newest()->free) > 1) {
        unit_take(UNIT_SOME);
    }
}

/* -- what threads do -- */

void free_0(void) { put_block(0); }
void free_1(void) { put_block(1); }
void free_2(void) { put_block(2); }

void free_0_and_1(void)
{
    put_block(0);
    put_block(1);
}

void free_0_and_2(void)
{
    put_block(0);
    put_block(2);
}

void free_1_and_hand_out(void)
{
    put_block(1);
    put(atomic_exchange(&handed[0], get(HALF)));
}

void free_twice(void) { allot_free(twice); }

void drain(void) { remote_drain(front.heap, SIZE_MAX); }

void go_on(void)
{
    void *p = get(SIZE), *q = get(HALF);
    put(p);
    put(q);
    if (is_child) {
        allot_trim();
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
void all_drain(void)
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

void all_is_free(void)
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

/* -- the program -- */

static const struct scenario *const groups[] = {free_scenarios,   fork_scenarios, tag_scenarios,  own_scenarios,
                                                adrift_scenarios, unit_scenarios, hard_scenarios, pool_scenarios};

int main(int argc, char **argv)
{
    for (size_t g = 0; argc == 2 && g < sizeof groups / sizeof *groups; g++) {
        for (const struct scenario *s = groups[g]; s->name; s++) {
            if (strcmp(argv[1], s->name) == 0) {
                explore(s);
                return 0;
            }
        }
    }
    fprintf(stderr, "%s NAME, of tests/protocol/scenarios\n", argv[0]);
    return 2;
}
