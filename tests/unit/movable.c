/* unit/movable.c - a heap whose objects move (allot/movable.h): references, sizes, tables. */
#include "movable.h"

/* -- references -- */

static void references_end_with_their_object(void **state)
{
    (void)state;
    begin(NULL);
    allot_ref a = get(100, 1);
    assert_true(allot_movable_is(&heap, a));
    allot_movable_put(&heap, a);
    assert_false(allot_movable_is(&heap, a));
    for (int i = 0; i < 1000; i++) {
        allot_ref b = get(100, 2);
        assert_int_equal(b.slot, a.slot); /* the same slot each time, and never the same reference */
        assert_int_not_equal(b.gen, a.gen);
        assert_false(allot_movable_is(&heap, a));
        allot_movable_put(&heap, b);
        a = b;
    }
    assert_null(allot_movable_at(&heap, (allot_ref){0, 0}));
    assert_null(allot_movable_pin(&heap, (allot_ref){0, 0}));
    allot_movable_put(&heap, (allot_ref){0, 0});
    for (int i = 0; i < 10000; i++) { /* garbage out of a file */
        assert_false(allot_movable_is(&heap, (allot_ref){(uint32_t)random_next(&dice), (uint32_t)random_next(&dice)}));
    }
    end();
}

/* A group that has given out all its references gives none again, also when it is empty. */
static void references_run_out_for_good(void **state)
{
    (void)state;
    begin(NULL);
    struct movable *h = heap.state;
    allot_ref a = get(100, 1);
    assert_int_equal(a.slot / GROUP_SLOTS, 0);
    h->group[0].gen = GEN_MOST - 2;
    allot_ref b = get(100, 2), c = get(100, 3);
    assert_int_equal(b.slot / GROUP_SLOTS, 0);
    assert_int_equal(c.gen, GEN_MOST);
    assert_int_equal(get(100, 4).slot / GROUP_SLOTS, 1);
    expect(c, 100, 3);
    allot_movable_check(&heap);
    allot_movable_put(&heap, b);
    assert_int_equal(get(100, 5).slot / GROUP_SLOTS, 1);
    allot_movable_put(&heap, a);
    allot_movable_put(&heap, c);
    allot_movable_check(&heap);
    for (int i = 0; i < 1000; i++) {
        assert_int_not_equal(get(20, 6).slot / GROUP_SLOTS, 0);
    }
    assert_false(allot_movable_is(&heap, c));
    end();
}

static void sizes(void **state)
{
    (void)state;
    static const size_t some[] = {0, 1, 2, 3, 10, 11, 511, 8177, 8178, 8179, 65536, 4 << 20, 5 << 20};
    begin(NULL);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        refs[i] = get(some[i], (int)i);
        assert_int_equal((uintptr_t)allot_movable_at(&heap, refs[i]) % 8, 0);
    }
    for (size_t i = 3; i < sizeof some / sizeof *some; i++) {
        expect(refs[i], some[i], (int)i);
    }
    assert_int_equal(allot_movable_size(&heap, refs[0]), 3);
    assert_int_equal(stats().large, 4);
    errno = 0;
    assert_int_equal(allot_movable_get(&heap, SIZE_MAX).gen, 0);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(allot_movable_get(&heap, (size_t)1 << 46).gen, 0);
    assert_int_equal(stats().use.refused, 2);
    end();
}

static void options(void **state)
{
    (void)state;
    assert_int_equal(allot_movable_init(&heap, 0, &(struct allot_movable_opts){.waste = 100}), -EINVAL);
    assert_int_equal(allot_movable_init(&heap, 0, &(struct allot_movable_opts){.align = 32}), -EINVAL);
    assert_int_equal(allot_movable_init(&heap, SIZE_MAX, NULL), -EINVAL);
    assert_int_equal(allot_movable_init(&heap, (size_t)1 << 48, NULL), -ENOMEM);
    assert_int_equal(allot_movable_init(&heap, 1, NULL), 0); /* one chunk, one zone */
    size_t some = 0;
    while (allot_movable_get(&heap, 1000).gen) {
        some++;
    }
    assert_in_range(some, 515, 524);
    end();
}

/* -- sizes that change -- */

static void resizing(void **state)
{
    (void)state;
    begin(NULL);
    allot_ref a = get(100, 1), b = get(100, 2);
    void *at = allot_movable_at(&heap, a);
    assert_int_equal(allot_movable_resize(&heap, a, 50), 0);
    assert_ptr_equal(allot_movable_at(&heap, a), at);
    expect(a, 50, 1);
    assert_int_equal(allot_movable_resize(&heap, a, 98), 0); /* into what it left */
    assert_ptr_equal(allot_movable_at(&heap, a), at);
    assert_int_equal(allot_movable_resize(&heap, a, 1000), 0);
    assert_int_equal(((char *)allot_movable_at(&heap, a))[49], 1);
    assert_int_equal(allot_movable_resize(&heap, a, 1 << 20), 0); /* out of its chunk, */
    assert_int_equal(((char *)allot_movable_at(&heap, a))[49], 1);
    assert_int_equal(stats().large, 1);
    assert_int_equal(allot_movable_resize(&heap, a, 50), 0); /* and home */
    expect(a, 50, 1);
    assert_int_equal(stats().large, 0);
    void *pin = allot_movable_pin(&heap, b);
    assert_int_equal(allot_movable_resize(&heap, b, 200), 0); /* the last one, where it is */
    get(100, 3);
    assert_int_equal(allot_movable_resize(&heap, b, 400), -EBUSY);
    assert_int_equal(allot_movable_resize(&heap, b, 100), 0);
    expect(b, 100, 2);
    assert_ptr_equal(allot_movable_at(&heap, b), pin);
    allot_movable_unpin(&heap, b);
    assert_int_equal(allot_movable_resize(&heap, b, SIZE_MAX), -ENOMEM);
    expect(b, 100, 2);
    end();
}

/* A full chunk: who grows leaves it, as nobody else's object may move for that. */
static void growing_in_a_full_chunk(void **state)
{
    (void)state;
    begin(NULL);
    int n = 0;
    do {
        refs[n] = get(20, n);
    } while (++n < MANY && stats().chunks == 1);
    assert_int_equal(allot_movable_resize(&heap, refs[5], 60), 0);
    assert_int_equal(stats().large, 1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(*(unsigned char *)allot_movable_at(&heap, refs[i]), (unsigned char)i);
    }
    for (int i = 6; i < 9; i++) {
        allot_movable_put(&heap, refs[i]);
    }
    assert_int_equal(allot_movable_resize(&heap, refs[5], 50), 0);
    assert_int_equal(stats().large, 0);
    assert_int_equal(*(unsigned char *)allot_movable_at(&heap, refs[5]), 5);
    end();
}

/* The system moves pages of their own where they cannot grow. */
static void pages_grow(void **state)
{
    (void)state;
    begin(NULL);
    for (int i = 0; i < 8; i++) {
        refs[i] = get(5 << 20, i);
    }
    for (int size = 6; size < 40; size += 11) {
        for (int i = 0; i < 8; i++) {
            assert_int_equal(allot_movable_resize(&heap, refs[i], (size_t)size << 20), 0);
            const unsigned char *p = allot_movable_at(&heap, refs[i]);
            assert_true(p[0] == i && p[(5 << 20) - 1] == i);
        }
        allot_movable_check(&heap);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(allot_movable_resize(&heap, refs[i], 1000), 0);
        expect(refs[i], 1000, i);
    }
    end();
}

/* Also where nothing may move, and where there is no room for another place. */
static void pages_become_fewer(void **state)
{
    (void)state;
    begin(&(struct allot_movable_opts){.limit = CHUNK_SIZE + (6 << 20)});
    allot_ref ref = get(5 << 20, 7);
    void *pin = allot_movable_pin(&heap, ref);
    assert_int_equal(allot_movable_resize(&heap, ref, 4500000), 0); /* of its own, */
    assert_int_equal(allot_movable_resize(&heap, ref, 3500000), 0); /* and not any more */
    assert_ptr_equal(allot_movable_at(&heap, ref), pin);
    expect(ref, 3500000, 7);
    allot_movable_check(&heap);
    allot_movable_unpin(&heap, ref);
    assert_int_equal(allot_movable_resize(&heap, ref, 3400000), 0);
    expect(ref, 3400000, 7);
    allot_movable_check(&heap);
    assert_int_equal(allot_movable_resize(&heap, ref, 1000), 0);
    expect(ref, 1000, 7);
    end();
}

/* -- tables -- */

/* Until there are too many, and then as ever. */
static void few_slots_have_addresses(void **state)
{
    (void)state;
    begin(NULL);
    struct movable *h = heap.state;
    uint32_t few = h->watched ? 0 : 512; /* who watches sees each look-up in the library */
    for (int i = 0; i < 512; i++) {
        refs[i] = get(20 + random_below(&dice, 300), i);
    }
    assert_int_equal(heap.near_slots, few);
    for (int i = 0; i < 512; i++) {
        if (i % 4) {
            allot_movable_put(&heap, refs[i]);
            refs[i].gen = 0;
        }
    }
    settle();
    assert_true(stats().moves > 0);
    allot_movable_check(&heap);
    assert_int_equal(heap.near_slots, few);
    expect_rest();
    for (uint32_t slot = 0; slot < few; slot++) {
        assert_true(heap.near_at[slot] == (heap.entry[slot] ? slot_at(h, slot) : NULL));
    }
    size_t held = stats().use.held;
    for (int i = 512; i < 2048; i++) {
        refs[i] = get(20, i);
    }
    assert_int_equal(heap.near_slots, 0);
    assert_true(stats().use.held < held + (1536 * 28 + 8192)); /* the table went back */
    allot_movable_check(&heap);
    expect_rest();
    end();
}

static void as_many_addresses_as_asked_for(void **state)
{
    (void)state;
    static const uint32_t asked[] = {1, 256, 257, UINT32_MAX}, are[] = {256, 256, 512, MANY};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        begin(&(struct allot_movable_opts){.near_slots = asked[i]});
        struct movable *h = heap.state;
        bool has_any = !h->watched;
        for (uint32_t n = 0; n < are[i]; n++) {
            refs[n] = get(10, (int)n);
        }
        assert_true((heap.near_slots > 0) == has_any);
        for (uint32_t n = are[i]; n < MANY; n++) {
            refs[n] = get(10, (int)n);
        }
        assert_true((heap.near_slots > 0) == (has_any && asked[i] == UINT32_MAX));
        expect_rest();
        end();
    }
}

/* -- alignment -- */

static char bytes[40 << 20];
static size_t used;
static int write_bytes(void *arg, const void *from, size_t length)
{
    (void)arg;
    assert_true(length <= sizeof bytes - used);
    memcpy(bytes + used, from, length);
    used += length;
    return 0;
}

static int read_bytes(void *arg, void *to, size_t length)
{
    (void)arg;
    memcpy(to, bytes + used, length);
    used += length;
    return 0;
}

static void expect_at_16(void)
{
    for (int i = 0; i < MANY; i++) {
        assert_true(!refs[i].gen || (uintptr_t)allot_movable_at(&heap, refs[i]) % 16 == 0);
    }
}

static void at_multiples_of_16(void **state)
{
    (void)state;
    struct allot_movable_opts opts = {.align = 16};
    begin(&opts);
    fill_and_thin();
    expect_at_16();
    settle();
    assert_true(stats().moves > 0);
    allot_movable_check(&heap);
    expect_at_16();
    expect_rest();
    assert_in_range(resident(), 0, stats().use.used * 111 / 100);
    for (int i = 0; i < MANY; i++) { /* of each size, from each other one */
        if (refs[i].gen) {
            size_t size = 3 + random_below(&dice, 60) + (random_below(&dice, 10) ? 0 : 8130);
            size_t both = size_min(size, allot_movable_size(&heap, refs[i]));
            assert_int_equal(allot_movable_resize(&heap, refs[i], size), 0);
            const unsigned char *p = allot_movable_at(&heap, refs[i]);
            assert_int_equal(p[both - 1], (unsigned char)i);
            memset(allot_movable_at(&heap, refs[i]), i, size);
            assert_int_equal(allot_movable_size(&heap, refs[i]), size);
        }
    }
    settle();
    allot_movable_check(&heap);
    expect_at_16();
    expect_rest();
    used = 0;
    assert_int_equal(allot_movable_save(&heap, write_bytes, NULL), 0);
    end();

    used = 0;
    assert_int_equal(allot_movable_init(&heap, (size_t)1 << 30, NULL), 0);
    assert_int_equal(allot_movable_load(&heap, read_bytes, NULL), -EINVAL);
    end();
    used = 0;
    assert_int_equal(allot_movable_init(&heap, (size_t)1 << 30, &opts), 0);
    assert_int_equal(allot_movable_load(&heap, read_bytes, NULL), 0);
    expect_at_16();
    expect_rest();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_end_with_their_object),
        cmocka_unit_test(references_run_out_for_good),
        cmocka_unit_test(sizes),
        cmocka_unit_test(options),
        cmocka_unit_test(resizing),
        cmocka_unit_test(growing_in_a_full_chunk),
        cmocka_unit_test(pages_grow),
        cmocka_unit_test(pages_become_fewer),
        cmocka_unit_test(few_slots_have_addresses),
        cmocka_unit_test(as_many_addresses_as_asked_for),
        cmocka_unit_test(at_multiples_of_16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
