/* tool/pageparts.c - the parts of a page that can be held to something simpler: a tape to what was put on it, intervals to their
 * ends, base64 to what it encodes, the catalogue to its own rules. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/random.h"
#include "page/base64.h"
#include "page/catalogue.h"
#include "page/plan.h"
#include "page/tape.h"

/* -- intervals -- */

static void an_interval_has_what_is_before_its_end(void **state)
{
    (void)state;
    struct plan *plan = calloc(1, sizeof *plan);
    assert_non_null(plan);
    for (uint32_t intervals = 1; intervals <= PLAN_INTERVALS; intervals += 7) {
        for (uint64_t length = intervals; length < (uint64_t)1 << 61; length = length * 37 + 11) {
            plan->begin = 1000;
            plan->end = plan->begin + length;
            plan->intervals = intervals;
            for (uint32_t i = 0; i < intervals; i++) {
                plan->ends[i] = plan->begin + (uint64_t)((unsigned __int128)length * (i + 1) / intervals);
            }
            assert_int_equal(plan_interval(plan, 0), 0);
            assert_int_equal(plan_interval(plan, UINT64_MAX), intervals - 1);
            for (uint32_t i = 0; i < intervals; i++) {
                assert_int_equal(plan_interval(plan, plan->ends[i] - 1), i);
                assert_int_equal(plan_interval(plan, plan->ends[i]), i + 1 < intervals ? i + 1 : i);
            }
        }
    }
    free(plan);
}

/* -- a tape -- */

struct reading {
    uint64_t next;
};

static void take(void *arg, const struct tape_row *row)
{
    struct reading *r = arg;
    assert_int_equal(row->bytes, r->next * 3);
    assert_int_equal(row->number, (uint32_t)r->next);
    r->next++;
}

static void a_tape_gives_what_was_put(void **state)
{
    (void)state;
    static const uint64_t counts[] = {0, 1, TAPE_TOGETHER - 1, TAPE_TOGETHER, TAPE_TOGETHER + 1, 5 * TAPE_TOGETHER + 7};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct tape t = {.fd = 0};
        struct reading r = {0};
        for (uint64_t n = 0; n < counts[i]; n++) {
            tape_put(&t, &(struct tape_row){.number = (uint32_t)n, .bytes = n * 3});
        }
        assert_int_equal(tape_each(&t, take, &r), 0);
        assert_int_equal(r.next, counts[i]);
        r.next = 0;
        assert_int_equal(tape_each(&t, take, &r), 0); /* as often as one likes */
        assert_int_equal(r.next, counts[i]);
        tape_end(&t);
    }
}

static void a_tape_without_a_place_says_so(void **state)
{
    (void)state;
    struct tape t = {.folder = "/nowhere/at/all"};
    struct reading r = {0};
    for (uint64_t n = 0; n < 2 * TAPE_TOGETHER; n++) {
        tape_put(&t, &(struct tape_row){.number = (uint32_t)n});
    }
    assert_int_not_equal(tape_each(&t, take, &r), 0);
    tape_end(&t);
}

/* -- base64 -- */

static void base64_is_as_others_write_it(void **state)
{
    (void)state;
    static const char *const of[][2] = {{"", ""},
                                        {"f", "Zg=="},
                                        {"fo", "Zm8="},
                                        {"foo", "Zm9v"},
                                        {"foob", "Zm9vYg=="},
                                        {"fooba", "Zm9vYmE="},
                                        {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
        char *text = base64_of(of[i][0], strlen(of[i][0]));
        assert_string_equal(text, of[i][1]);
        free(text);
    }
    char *text = NULL;
    size_t length;
    struct base64 in_pieces = {.to = open_memstream(&text, &length)};
    base64_put(&in_pieces, "fo", 2);
    base64_put(&in_pieces, "o", 1);
    base64_put(&in_pieces, "bar", 3);
    base64_end(&in_pieces);
    fclose(in_pieces.to);
    assert_string_equal(text, "Zm9vYmFy");
    free(text);
}

/* -- the catalogue -- */

static void each_stack_stands_once(void **state)
{
    (void)state;
    struct catalogue c;
    char name[64][8];
    assert_true(catalogue_begin(&c));
    assert_string_equal(c.text[0], "");
    for (int round = 0; round < 2; round++) {
        struct random random = {7};
        uint32_t nodes = c.nodes, frames = c.frames, texts = c.texts;
        for (int i = 0; i < 5000; i++) {
            struct symbol_frame frame[6];
            size_t count = 1 + random_below(&random, 6);
            for (size_t k = 0; k < count; k++) {
                unsigned n = (unsigned)random_below(&random, 64);
                snprintf(name[n], sizeof name[n], "f%u", n);
                frame[k] = (struct symbol_frame){
                    .function = n % 5 ? name[n] : NULL, .module = "/lib/libx.so", .offset = n, .line = n};
            }
            uint32_t node = catalogue_stack(&c, frame, count);
            for (size_t k = 0; k < count; k++) {
                assert_int_equal(c.node[node].frame, catalogue_frame(&c, &frame[k]));
                assert_true(c.node[node].parent < node);
                node = c.node[node].parent;
            }
            assert_int_equal(node, 0);
        }
        assert_true(round == 0 || (c.nodes == nodes && c.frames == frames && c.texts == texts));
    }
    catalogue_end(&c);
}

static void a_call_without_a_name_is_called_by_its_offset(void **state)
{
    (void)state;
    struct catalogue c;
    assert_true(catalogue_begin(&c));
    uint32_t frame = catalogue_frame(&c, &(struct symbol_frame){.module = "/lib/libx.so", .offset = 0x1234});
    assert_string_equal(c.text[c.frame[frame].function], "libx.so+0x1234");
    assert_int_equal(catalogue_frame(&c, &(struct symbol_frame){.module = "/lib/libx.so", .offset = 0x1234}), frame);
    frame = catalogue_frame(&c, &(struct symbol_frame){.offset = 0x77});
    assert_string_equal(c.text[c.frame[frame].function], "0x77");
    catalogue_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interval_has_what_is_before_its_end),
        cmocka_unit_test(a_tape_gives_what_was_put),
        cmocka_unit_test(a_tape_without_a_place_says_so),
        cmocka_unit_test(base64_is_as_others_write_it),
        cmocka_unit_test(each_stack_stands_once),
        cmocka_unit_test(a_call_without_a_name_is_called_by_its_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
