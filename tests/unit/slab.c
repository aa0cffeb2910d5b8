/* unit/slab.c - a slab against an array of what each slot must be. */
#include "common/unit.h"

#include <string.h>

#include "common/random.h"
#include "os/memory.h"
#include "slab/slab.h"

enum { ID = 77, MOST = BITMAP_WORDS * 64 };

struct model {
    struct slab *slab;
    bool out[MOST];
    struct block *at_hand; /* taken, not yet handed out */
    size_t live;
};

/* Checks that the slab's own picture of what is live is the model's. */
static void compare(struct model *m)
{
    uint64_t out[BITMAP_WORDS];
    slab_check(m->slab);
    slab_mark_out(m->slab, out);
    for (struct block *b = m->at_hand; b; b = b->next) {
        bitmap_clear(out, slab_index(m->slab, b));
    }
    for (unsigned i = 0; i < slab_nslots(m->slab); i++) {
        assert_int_equal(bitmap_test(out, i), m->out[i]);
        const unsigned char *bytes = (const unsigned char *)slab_slot(m->slab, i);
        size_t same = 0;
        while (m->out[i] && same < slab_stride(m->slab) && bytes[same] == 0xee) {
            same++;
        }
        assert_int_equal(same, m->out[i] ? slab_stride(m->slab) : 0);
    }
}

/* Pages without a block in use go back, as in a sweep. */
static void sweep(struct model *m)
{
    slab_sync(m->slab);
    slab_fold(&m->slab, 1);
    assert_int_equal(m->slab->nlocal, 0);
    unsigned pages = slab_free_pages(m->slab);
    for (unsigned p = 0; p < UNIT_SIZE / os_page; p++) {
        if (pages >> p & 1) {
            assert_int_equal(os_purge(slab_data(m->slab) + p * os_page, os_page), os_page);
        }
    }
    slab_punch(m->slab, pages);
    assert_int_equal(slab_free_pages(m->slab), 0);
    slab_arm(m->slab, m->slab->used ? m->slab->used : 1);
    slab_check(m->slab);
}

static void handed_out(struct model *m, struct block *b)
{
    unsigned i = slab_index(m->slab, b);
    assert_true(slab_is_slot(m->slab, b) && slab_slot(m->slab, i) == b);
    assert_false(slab_is_slot(m->slab, (char *)b + 1));
    assert_false(m->out[i]);
    m->out[i] = true;
    m->live++;
    memset(b, 0xee, slab_stride(m->slab));
}

static bool get(struct model *m)
{
    if (!m->at_hand) {
        slab_sync(m->slab);
        struct batch batch = slab_take_batch(m->slab, GROUP_ANY);
        slab_arm(m->slab, m->slab->used ? m->slab->used : 1);
        m->at_hand = batch.first;
        if (!batch.first) {
            assert_int_equal(batch.count, 0);
            return false;
        }
        for (struct block *b = batch.first; batch.zeroed && b; b = b->next) {
            const char *bytes = (const char *)(b + 1);
            for (size_t i = 0; i < slab_stride(m->slab) - sizeof *b; i++) {
                assert_int_equal(bytes[i], 0);
            }
        }
    }
    struct block *b = m->at_hand;
    m->at_hand = b->next;
    handed_out(m, b);
    return true;
}

/* What others have freed comes to the owner. */
static void collect(struct model *m)
{
    slab_collect(m->slab);
    slab_sync(m->slab);
    slab_arm(m->slab, m->slab->used ? m->slab->used : 1);
}

static void put(struct model *m, unsigned i, bool remote)
{
    struct block *b = slab_slot(m->slab, i);
    m->out[i] = false;
    m->live--;
    if (remote) {
        slab_free_remote(m->slab, i);
    } else if (slab_free_local(m->slab, b)) {
        slab_sync(m->slab);
        slab_arm(m->slab, m->slab->used ? m->slab->used : 1);
    }
}

static void exercise(size_t stride)
{
    struct unit *unit = unit_take(UNIT_SOME);
    slab_init(unit, ID, stride, 0);
    struct model m = {.slab = (struct slab *)unit};
    struct random random = {stride};
    assert_int_equal(slab_nslots(m.slab), size_min(UNIT_SIZE / stride, MOST));
    for (int step = 0; step < 20000; step++) {
        unsigned want = (unsigned)(step / 4000) % 2; /* phases of growth and of decline */
        if (random_below(&random, 10) < (want ? 3 : 7)) {
            if (!get(&m)) {
                collect(&m);
                bool room = m.live < slab_nslots(m.slab);
                assert_int_equal(get(&m), room);
            }
        } else {
            unsigned i = (unsigned)random_below(&random, slab_nslots(m.slab));
            if (m.out[i]) {
                put(&m, i, random_below(&random, 2));
            }
        }
        struct block *last = random_below(&random, 8) == 0 ? slab_take_back(m.slab) : NULL;
        if (last) {
            handed_out(&m, last);
        }
        if (random_below(&random, 50) == 0) {
            collect(&m);
        }
        if (random_below(&random, 100) == 0) {
            sweep(&m);
        }
        if (step % 500 == 0) {
            compare(&m);
        }
    }
    for (unsigned i = 0; i < slab_nslots(m.slab); i++) {
        if (m.out[i]) {
            put(&m, i, i % 2);
        }
    }
    while (m.at_hand) {
        struct block *next = m.at_hand->next;
        slab_free_local(m.slab, m.at_hand);
        m.at_hand = next;
    }
    collect(&m);
    assert_int_equal(m.slab->used, 0);
    slab_done(m.slab);
    for (unsigned w = 0; w < BITMAP_WORDS; w++) {
        assert_int_equal(*unit_free_word(unit, w), 0);
        assert_int_equal(atomic_load(unit_remote_word(unit, w)), 0);
    }
    unit_give(unit);
}

static void random_traffic(void **state)
{
    (void)state;
    const size_t strides[] = {16, 32, 48, 112, 640, 1024, 4096, 4608, 30720, 32768};
    for (unsigned i = 0; i < sizeof strides / sizeof strides[0]; i++) {
        exercise(strides[i]);
    }
}

static void what_was_freed_last_is_taken_back_first(void **state)
{
    (void)state;
    struct unit *unit = unit_take(UNIT_SOME);
    slab_init(unit, ID, 512, 0);
    struct slab *s = (struct slab *)unit;
    assert_null(slab_take_back(s));
    struct block *a = slab_take_batch(s, GROUP_ANY).first, *b = a->next;
    slab_arm(s, 5);
    slab_free_local(s, a);
    slab_free_local(s, b);
    assert_ptr_equal(slab_take_back(s), b);
    assert_ptr_equal(slab_take_back(s), a);
    assert_null(slab_take_back(s));
    slab_free_local(s, a);
    slab_sync(s); /* now it counts as free */
    assert_null(slab_take_back(s));
    slab_arm(s, 5);
    slab_check(s);
    unit_give(unit);
}

static void every_address_has_its_slot(void **state)
{
    (void)state;
    struct unit *unit = unit_take(UNIT_SOME);
    for (size_t stride = 16; stride <= 32768; stride += 16) {
        slab_init(unit, ID, stride, 0);
        struct slab *s = (struct slab *)unit;
        for (size_t offset = 0; offset < UNIT_SIZE; offset += stride < 512 ? 7 : 61) {
            assert_int_equal(slab_index(s, slab_data(s) + offset), offset / stride);
        }
    }
    unit_give(unit);
}

static void fresh_slots_come_a_page_at_a_time_from_the_low_end(void **state)
{
    (void)state;
    struct unit *unit = unit_take(UNIT_SOME);
    slab_init(unit, ID, 64, 0);
    struct slab *s = (struct slab *)unit;
    struct batch batch = slab_take_batch(s, GROUP_ANY);
    assert_int_equal(batch.count, 4096 / 64);
    unsigned i = 0;
    for (struct block *b = batch.first; b; b = b->next) {
        assert_int_equal(slab_index(s, b), i++);
    }
    assert_int_equal(i, batch.count);
    slab_arm(s, s->used);
    for (i = 0; i < batch.count; i++) {
        slab_free_local(s, slab_slot(s, i));
    }
    slab_sync(s);
    slab_done(s);
    unit_give(unit);
}

int main(void)
{
    os_memory_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_traffic),
        cmocka_unit_test(what_was_freed_last_is_taken_back_first),
        cmocka_unit_test(every_address_has_its_slot),
        cmocka_unit_test(fresh_slots_come_a_page_at_a_time_from_the_low_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
