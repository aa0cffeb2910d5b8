/* A chunk that its thread fills and lets go while the collector looks at it, before any one load of that look: it is read. */
#include "common/unit.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "trace/pen.h"

static void before_load(const void *at);

#undef atomic_load_explicit
#define atomic_load_explicit(at, order) (before_load(at), *(at))
#include "record/collect.c"

static struct pen pen;
static struct ring_chunk *looked_at;
static unsigned loads, when;

static void before_load(const void *at)
{
    if (looked_at && (at == &looked_at->head || at == &looked_at->done) && loads++ == when) {
        for (unsigned i = 1; i < 100; i++) {
            pen_block(&pen, RING_MALLOC, i * 16, 16, 0);
        }
        pen_let_go(&pen);
    }
}

static void filled_between_two_loads(void **state)
{
    (void)state;
    for (when = 0; when < 2; when++) {
        struct collector c = {.tell_at = 1};
        assert_int_equal(area_make(&c.area, 0, 0, 1, 0), 0);
        c.reader = calloc(1, sizeof(struct thread *));
        assert_non_null(c.reader);
        pen = (struct pen){.area = c.area.ring, .process = 1, .thread = 1};
        pen_room(&pen, 7, pen_clock(&pen)); /* taken, and nothing said yet */
        looked_at = pen.chunk;
        loads = 0;
        find_chunks(&c);
        assert_in_range(loads, when + 1, 2);
        looked_at = NULL;
        find_chunks(&c); /* what comes behind a look is found by the next */
        assert_non_null(c.reader[0]);
        assert_int_not_equal(c.area.ring->owner[0], 0);
        assert_int_equal(c.processes->threads->chunks, 1);
        while (c.processes) {
            struct process *next = c.processes->next;
            free_process(&c, c.processes);
            c.processes = next;
        }
        node_map_drop(c.gone[0].map);
        free(c.reader);
        area_done(&c.area);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filled_between_two_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
