/* tests/tool/heap_map.c - the heap by address, against a byte-wise oracle; and its bounds. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "profile/blocks.h"
#include "profile/heap_map.h"

enum { PAGE = 4096 };

struct lying {
    uint64_t address, size;
    uint32_t site;
    bool lives;
};
struct list {
    struct lying *block;
    size_t count;
};

static bool each(void *from, heap_map_visit *visit, void *to)
{
    const struct list *list = from;
    for (size_t i = 0; i < list->count; i++) {
        const struct lying *b = &list->block[i];
        if (b->lives && !visit(to, b->address, b->size, b->site)) {
            return false;
        }
    }
    return true;
}

static void extents_are_folded(void **state)
{
    (void)state;
    struct heap_map *m = heap_map_begin(PAGE, 1000);
    heap_map_see(m, 0x7f0000000010, 16);
    heap_map_see(m, 0x10000, PAGE + 1);
    heap_map_see(m, 0x7f0000003ff0, 32);
    heap_map_see(m, 0x10000 + (1 << 20), 0);
    assert_true(heap_map_fold(m, 1));
    assert_int_equal(m->extents, 3);
    assert_int_equal(m->row_bytes, PAGE);
    assert_int_equal(m->extent[0].from, 0x10000);
    assert_int_equal(m->extent[0].to, 0x10000 + 2 * PAGE);
    assert_int_equal(m->extent[1].to - m->extent[1].from, PAGE);
    assert_int_equal(m->extent[2].to - m->extent[2].from, 5 * PAGE);
    assert_int_equal(m->rows, 8);
    assert_int_equal(heap_map_row(m, 0x10000 + PAGE), 1);
    assert_int_equal(heap_map_row(m, 0x10000 + 2 * PAGE), UINT32_MAX);
    assert_int_equal(heap_map_row(m, 0x7f0000004fff), 7);
    assert_int_equal(heap_map_address(m, 2), 0x10000 + (1 << 20));
    assert_int_equal(heap_map_address(m, 7), 0x7f0000004000);
    heap_map_end(m);
}

/* Rows never pass what was wanted, however far apart blocks lie. */
static void rows_are_bounded(void **state)
{
    (void)state;
    static const uint32_t most[] = {1, 7, 100, 1024};
    for (size_t k = 0; k < 4; k++) {
        struct heap_map *m = heap_map_begin(PAGE, most[k]);
        uint64_t address = PAGE;
        for (size_t i = 0; i < 50000; i++) {
            address += ((i * 2654435761u) >> 9) % (1 << 28);
            heap_map_see(m, address, 1 + i % 100000);
        }
        assert_true(m->extents <= 8192);
        assert_true(heap_map_fold(m, 1));
        assert_true(m->rows <= most[k] && m->rows > 0);
        assert_true(m->pages <= (uint64_t)16 << 20);
        heap_map_end(m);
    }
}

static void what_cannot_be_is_passed_over(void **state)
{
    (void)state;
    struct heap_map *m = heap_map_begin(PAGE, 64);
    heap_map_see(m, UINT64_MAX - 5, 100);
    heap_map_see(m, 1 << 20, UINT64_MAX);
    heap_map_see(m, 0, 10);
    assert_true(heap_map_fold(m, 2));
    heap_map_take(m, 1 << 20, UINT64_MAX);
    heap_map_take(m, UINT64_MAX - 5, 100);
    heap_map_column(m);
    heap_map_give(m, 1 << 20, UINT64_MAX);
    assert_int_equal(m->held, 0);
    assert_int_equal(m->used, 0);
    heap_map_end(m);
    m = heap_map_begin(PAGE, 64); /* nothing at all */
    assert_true(heap_map_fold(m, 1));
    heap_map_take(m, 4096, 16);
    heap_map_column(m);
    struct heap_map_look look;
    struct list none = {0};
    assert_true(heap_map_look(m, each, &none, &look));
    assert_int_equal(look.pins + look.owners + look.held, 0);
    heap_map_look_end(&look);
    heap_map_end(m);
}

/* -- extents: against a bitmap of all pages -- */

#define SPACE 4096 /* pages */

static void check_extents(const struct heap_map *m, const bool *page)
{
    size_t at = 0;
    for (size_t i = 0; i < m->extents; i++) {
        assert_true(m->extent[i].from < m->extent[i].to);
        assert_true(i == 0 || m->extent[i - 1].to < m->extent[i].from);
        assert_true(i == 0 || m->extent[i].from - m->extent[i - 1].to >= m->gap);
    }
    for (uint64_t p = 0; p < SPACE; p++) {
        while (at < m->extents && m->extent[at].to <= p * PAGE) {
            at++;
        }
        bool in = at < m->extents && m->extent[at].from <= p * PAGE;
        assert_true(in || !page[p]);                 /* what was seen is in an extent, */
        assert_true(m->gap > PAGE || in == page[p]); /* and while there is room for all nothing else */
    }
}

static void extents_hold_what_was_seen(void **state)
{
    (void)state;
    for (size_t most = 4; most <= 4096; most *= 4) {
        struct random random = {most};
        struct heap_map *m = heap_map_begin(PAGE, 1000);
        bool page[SPACE] = {false};
        m->extents_most = most;
        m->gap = PAGE;
        for (int i = 0; i < 3000; i++) {
            uint64_t start = random_below(&random, SPACE), length = 1 + random_below(&random, i % 10 ? 3 : 60);
            length = start + length > SPACE ? SPACE - start : length;
            assert_true(heap_map_see(m, start * PAGE + 8, length * PAGE - 16));
            memset(page + start, true, length);
            assert_true(m->extents <= most);
            if (i % 50 == 0) {
                check_extents(m, page);
            }
        }
        check_extents(m, page);
        heap_map_end(m);
    }
}

static void extents_that_are_close_are_joined(void **state)
{
    (void)state;
    struct heap_map *m = heap_map_begin(PAGE, 1000);
    m->gap = PAGE;
    m->extents_most = 3;
    heap_map_see(m, 0x10000, PAGE);
    heap_map_see(m, 0x12000, PAGE);
    assert_int_equal(m->extents, 2);
    heap_map_see(m, 0x20000, PAGE); /* one too many: the gap doubles */
    assert_int_equal(m->extents, 2);
    assert_int_equal(m->gap, 2 * PAGE);
    assert_int_equal(m->extent[0].from, 0x10000);
    assert_int_equal(m->extent[0].to, 0x13000);
    heap_map_see(m, 0x14000, PAGE); /* from now on, too */
    assert_int_equal(m->extents, 2);
    assert_int_equal(m->extent[0].to, 0x15000);
    heap_map_end(m);
}

/* -- several maps: rows and pages of one size, bounds of all together -- */

static void maps_are_folded_alike(void **state)
{
    (void)state;
    struct heap_map *m[3];
    uint32_t rows = 0;
    uint64_t pages = 0;
    for (size_t k = 0; k < 3; k++) {
        m[k] = heap_map_begin(PAGE, 64);
        m[k]->doubling = true;
        m[k]->pages_most = 1 << 12;
        for (uint64_t i = 0; i < 100; i++) {
            heap_map_see(m[k], (i + 1) << 32, (k + 1) << 18);
        }
    }
    assert_true(heap_map_fold_alike(m, 3, 1));
    for (size_t k = 0; k < 3; k++) {
        assert_int_equal(m[k]->row_bytes, m[0]->row_bytes);
        assert_int_equal(m[k]->page_bytes, m[0]->page_bytes);
        assert_int_equal(m[k]->row_bytes & (m[k]->row_bytes - 1), 0);
        rows += m[k]->rows;
        pages += m[k]->pages;
    }
    assert_true(rows <= 64 && rows >= 3 && pages <= 1 << 12);
    for (size_t k = 0; k < 3; k++) {
        heap_map_end(m[k]);
    }
}

/* Blocks over each other, as a broken trace has them: a look has each byte once, and takes no more time for them. */
static void what_overlaps_is_the_lower_ones(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    struct list list = {calloc(MANY, sizeof *list.block), MANY};
    struct heap_map *m = heap_map_begin(PAGE, 1000);
    for (size_t i = 0; i < MANY; i++) {
        list.block[i] = (struct lying){(1 << 20) + i, 64 << 20, i == 0 ? 1 : 2, true};
        heap_map_see(m, list.block[i].address, list.block[i].size);
    }
    assert_true(heap_map_fold(m, 1));
    for (size_t i = 0; i < MANY; i++) {
        heap_map_take(m, list.block[i].address, list.block[i].size);
    }
    struct heap_map_look look;
    assert_true(heap_map_look(m, each, &list, &look));
    assert_int_equal(look.used, (64 << 20) + MANY - 1);
    assert_int_equal(look.held, ((64 << 20) + MANY - 1 + PAGE - 1) / PAGE);
    assert_true(look.owners <= (size_t)m->rows * HEAP_MAP_OWNERS);
    uint64_t blocks = 0, used = 0;
    for (size_t i = 0; i < look.pins; i++) {
        blocks += look.pin[i].blocks;
        used += look.pin[i].used;
        assert_int_equal(look.pin[i].used, look.pin[i].site == 1 ? 64 << 20 : MANY - 1);
    }
    assert_int_equal(blocks, MANY);
    assert_int_equal(used, look.used);
    heap_map_look_end(&look);
    heap_map_end(m);
    free(list.block);
}

/* -- against an oracle: a byte for each byte, whose it is -- */

enum { BYTES = 1 << 20, BASE = 1 << 24, BLOCKS = 3000, SITES = 9, ROWS = 40 };

static void check(const struct heap_map *m, struct list *list, const uint8_t *bytes)
{
    uint64_t held = 0, used = 0, pages[SITES + 1] = {0}, alone[SITES + 1] = {0}, of[SITES + 1] = {0};
    double charged[SITES + 1] = {0};
    for (size_t p = 0; p < BYTES / PAGE; p++) {
        uint64_t in[SITES + 1] = {0}, all = 0, sites = 0;
        for (size_t i = 0; i < PAGE; i++) {
            in[bytes[p * PAGE + i]]++;
        }
        for (size_t s = 1; s <= SITES; s++) {
            all += in[s];
            sites += in[s] > 0;
            of[s] += in[s];
        }
        held += all > 0;
        used += all;
        for (size_t s = 1; s <= SITES; s++) {
            pages[s] += in[s] > 0;
            alone[s] += in[s] > 0 && sites == 1;
            charged[s] += all ? (double)PAGE * (double)in[s] / (double)all : 0;
        }
    }
    assert_int_equal(m->held, held);
    assert_int_equal(m->used, used);
    for (uint32_t r = 0; r < m->rows; r++) {
        uint64_t from = heap_map_address(m, r) - BASE, in = 0;
        for (uint64_t i = from; i < from + m->row_bytes && i < BYTES; i++) {
            in += bytes[i] > 0;
        }
        assert_int_equal(heap_map_row_used(m, r), in);
    }
    struct heap_map_look look;
    assert_true(heap_map_look(m, each, list, &look));
    assert_int_equal(look.held, held);
    assert_int_equal(look.used, used);
    uint64_t all = 0;
    for (size_t i = 0; i < look.pins; i++) {
        const struct heap_map_pin *pin = &look.pin[i];
        assert_int_equal(pin->used, of[pin->site]);
        assert_int_equal(pin->pages, pages[pin->site]);
        assert_int_equal(pin->alone, alone[pin->site]);
        assert_true((double)pin->charged - charged[pin->site] < (double)held &&
                    charged[pin->site] - (double)pin->charged < (double)held);
        assert_true(i == 0 ||
                    (int64_t)(look.pin[i - 1].charged - look.pin[i - 1].used) >= (int64_t)(pin->charged - pin->used));
        all += pin->charged;
    }
    assert_int_equal(all, held * PAGE);
    for (size_t i = 0; i < look.owners; i++) {
        const struct heap_map_owner *o = &look.owner[i];
        uint64_t from = heap_map_address(m, o->row) - BASE, in = 0;
        for (uint64_t b = from; b < from + m->row_bytes && b < BYTES; b++) {
            in += bytes[b] == o->site;
        }
        assert_int_equal(o->bytes, in);
        assert_true(i == 0 || look.owner[i - 1].row < o->row ||
                    (look.owner[i - 1].row == o->row && look.owner[i - 1].bytes >= o->bytes));
    }
    heap_map_look_end(&look);
}

static void it_is_as_the_bytes_are(void **state)
{
    (void)state;
    srand(4711);
    uint8_t *bytes = calloc(BYTES, 1);
    struct lying *block = calloc(BLOCKS, sizeof *block);
    struct list list = {block, 0};
    struct heap_map *m = heap_map_begin(PAGE, ROWS);
    heap_map_see(m, BASE, BYTES);
    assert_true(heap_map_fold(m, 100));
    assert_true(m->rows <= ROWS && m->rows > ROWS / 2);
    for (int step = 0; step < 20000; step++) {
        size_t i = (size_t)rand() % BLOCKS;
        struct lying *b = &block[i];
        list.count = i >= list.count ? i + 1 : list.count;
        if (b->lives) {
            heap_map_give(m, b->address, b->size);
            memset(bytes + b->address - BASE, 0, b->size);
            b->lives = false;
        } else {
            uint64_t size = (uint64_t)(rand() % 50 ? 1 + rand() % 600 : 1 + rand() % 40000);
            uint64_t at = (uint64_t)rand() % (BYTES - size);
            bool is_free = true;
            for (uint64_t k = 0; k < size && is_free; k++) {
                is_free = bytes[at + k] == 0;
            }
            if (!is_free) {
                continue;
            }
            *b = (struct lying){BASE + at, size, 1 + (uint32_t)(i % SITES), true};
            memset(bytes + at, (int)b->site, size);
            heap_map_take(m, b->address, b->size);
        }
        if (step % 2000 == 1999) {
            check(m, &list, bytes);
            heap_map_column(m);
            assert_int_equal(m->occupancy[m->columns - 1], heap_map_level(heap_map_row_used(m, 0), m->row_bytes));
        }
    }
    check(m, &list, bytes);
    heap_map_clear(m);
    assert_int_equal(m->held + m->used + m->blocks, 0);
    heap_map_column(m);
    assert_int_equal(m->occupancy[m->columns - 1], HEAP_MAP_EMPTY);
    heap_map_end(m);
    free(block);
    free(bytes);
}

static void a_hole_is_found(void **state)
{
    (void)state;
    struct lying block[] = {{0x100000, 100, 1, true}, {0x100000 + 300000, 100, 2, true}, {0x900000, PAGE, 3, true}};
    struct list list = {block, 3};
    struct heap_map *m = heap_map_begin(PAGE, 100);
    heap_map_see(m, 0x100000, 400000);
    heap_map_see(m, 0x900000, PAGE);
    assert_true(heap_map_fold(m, 1));
    struct heap_map_look look;
    assert_true(heap_map_look(m, each, &list, &look));
    assert_int_equal(look.hole_at, 0x100000 + 100);
    assert_int_equal(look.largest_hole, 299900);
    assert_int_equal(look.longest_run,
                     72 * PAGE); /* of whole pages: less the one that it begins in, and where it ends */
    heap_map_look_end(&look);
    heap_map_end(m);
}

/* More blocks than a look sorts at a time: the charges are whole all the same. */
static void more_than_a_window(void **state)
{
    (void)state;
    struct list list = {calloc(2500000, sizeof *list.block), 2500000};
    struct heap_map *m = heap_map_begin(PAGE, 300);
    for (size_t i = 0; i < list.count; i++) {
        list.block[(i * 7919) % list.count] =
            (struct lying){0x10000000 + i * 48, 16 + i % 32, 1 + (uint32_t)(i % 1000), true};
    }
    heap_map_see(m, 0x10000000, list.count * 48);
    assert_true(heap_map_fold(m, 1));
    for (size_t i = 0; i < list.count; i++) {
        heap_map_take(m, list.block[i].address, list.block[i].size);
    }
    struct heap_map_look look;
    assert_true(heap_map_look(m, each, &list, &look));
    uint64_t charged = 0, used = 0;
    for (size_t i = 0; i < look.pins; i++) {
        charged += look.pin[i].charged;
        used += look.pin[i].used;
    }
    assert_int_equal(look.pins, 1000);
    assert_int_equal(look.held, m->held);
    assert_int_equal(charged, m->held * PAGE);
    assert_int_equal(used, m->used);
    assert_int_equal(look.owners, m->rows * HEAP_MAP_OWNERS);
    heap_map_look_end(&look);
    heap_map_end(m);
    free(list.block);
}

/* -- blocks_each: each one once, also of those on disk -- */

struct seen {
    uint8_t *times;
    size_t all;
};

static bool note(void *arg, const struct block *block)
{
    struct seen *seen = arg;
    assert_int_equal(block->size, block->address % 1000);
    seen->times[block->address / 16]++;
    seen->all++;
    return true;
}

static void live_blocks_are_visited_once(void **state)
{
    (void)state;
    enum { MANY = 400000 };
    static const size_t memory[] = {(size_t)64 << 20, (size_t)1 << 20};
    for (size_t k = 0; k < 2; k++) {
        struct blocks_budget budget = {.most = memory[k]};
        struct blocks blocks;
        struct block old;
        uint8_t *lives = calloc(MANY, 1);
        size_t live = 0;
        blocks_begin(&blocks, &budget);
        srand(1);
        for (size_t i = 0; i < 3 * MANY; i++) {
            size_t at = 1 + (size_t)rand() % (MANY - 1);
            if (lives[at]) {
                assert_int_equal(blocks_take(&blocks, at * 16, &old), 1);
            } else {
                struct block b = {.address = at * 16, .size = at * 16 % 1000, .site = 1};
                assert_int_equal(blocks_put(&blocks, &b, &old), 1);
            }
            live += lives[at] ? (size_t)-1 : 1;
            lives[at] ^= 1;
        }
        assert_true(k == 0 || budget.spilled > 0);
        struct seen seen = {calloc(MANY, 1), 0};
        assert_int_equal(blocks_each(&blocks, note, &seen), 1);
        assert_int_equal(seen.all, live);
        assert_memory_equal(seen.times, lives, MANY);
        free(seen.times);
        free(lives);
        blocks_end(&blocks);
        assert_int_equal(budget.used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extents_are_folded),
        cmocka_unit_test(rows_are_bounded),
        cmocka_unit_test(a_hole_is_found),
        cmocka_unit_test(what_cannot_be_is_passed_over),
        cmocka_unit_test(extents_hold_what_was_seen),
        cmocka_unit_test(extents_that_are_close_are_joined),
        cmocka_unit_test(maps_are_folded_alike),
        cmocka_unit_test(what_overlaps_is_the_lower_ones),
        cmocka_unit_test(it_is_as_the_bytes_are),
        cmocka_unit_test(more_than_a_window),
        cmocka_unit_test(live_blocks_are_visited_once),
    };
    return cmocka_run_group_tests_name("heap_map", tests, NULL, NULL);
}
