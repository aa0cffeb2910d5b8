/* tool/words.c - figures in words, what people write for them, and names that are safe to print; and JSON of any bytes. */
#include "common/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "words.h"

static void figures(void **state)
{
    (void)state;
    assert_string_equal(words_bytes(0).text, "0 B");
    assert_string_equal(words_bytes(1023).text, "1023 B");
    assert_string_equal(words_bytes(1536).text, "1.5 KiB");
    assert_string_equal(words_bytes(UINT64_MAX).text, "16.0 EiB");
    assert_string_equal(words_change(10, 3 << 20).text, "+3.0 MiB");
    assert_string_equal(words_change(12, 10).text, "-2 B");
    assert_string_equal(words_change(12, 12).text, "0 B");
    assert_string_equal(words_count(0).text, "0");
    assert_string_equal(words_count(999).text, "999");
    assert_string_equal(words_count(1234567).text, "1,234,567");
    assert_string_equal(words_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
    assert_string_equal(words_ns(999).text, "999 ns");
    assert_string_equal(words_ns(1000000).text, "1 ms");
    assert_string_equal(words_ns(1234567890).text, "1.23 s");
    assert_string_equal(words_ns(100000000000).text, "100 s");
    assert_string_equal(words_ns(7260000000000).text, "2.02 h");
}

static void shares(void **state)
{
    (void)state;
    assert_string_equal(words_percent(0, 0).text, "0 %");
    assert_string_equal(words_percent(1, 3).text, "33 %");
    assert_string_equal(words_percent(1, 30).text, "3.3 %");
    assert_string_equal(words_percent(1, 100000).text, "<0.1 %");
    assert_string_equal(words_percent(99999, 100000).text, "99.9 %");
    assert_string_equal(words_percent(7, 7).text, "100 %");
}

static void reading(void **state)
{
    (void)state;
    uint64_t value;
    assert_true(words_read_bytes("4096", &value) && value == 4096);
    assert_true(words_read_bytes("200M", &value) && value == 200u << 20);
    assert_true(words_read_bytes("1.5GiB", &value) && value == 3ull << 29);
    assert_true(words_read_bytes("2kB", &value) && value == 2048);
    assert_false(words_read_bytes("-1", &value));
    assert_false(words_read_bytes("", &value));
    assert_false(words_read_bytes("1X", &value));
    assert_false(words_read_bytes("1e30", &value));
    assert_true(words_read_ns("1.5", &value) && value == 1500000000);
    assert_true(words_read_ns("20ms", &value) && value == 20000000);
    assert_true(words_read_ns("5min", &value) && value == 300000000000);
    assert_false(words_read_ns("5 parsecs", &value));
    assert_false(words_read_ns("ms", &value));
    assert_true(words_read_number("0", 0, &value) && value == 0);
    assert_true(words_read_number("18446744073709551615", UINT64_MAX, &value) && value == UINT64_MAX);
    assert_true(words_read_address("0x7f0e0a4010", &value) && value == 0x7f0e0a4010);
    static const char *const none[] = {"", "-1", "+1", " 1", "1 ", "0x10", "1.5", "18446744073709551616", "101"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(words_read_number(none[i], 100, &value));
    }
    assert_false(words_read_number("18446744073709551616", UINT64_MAX, &value)); /* not cut to what fits */
    assert_false(words_read_address("0", &value));
    assert_false(words_read_address("x10", &value));
}

static void put(const char *text, size_t width, const char *wanted, size_t columns)
{
    char *out = NULL;
    size_t bytes;
    FILE *to = open_memstream(&out, &bytes);
    assert_int_equal(words_put(to, text, width), columns);
    fclose(to);
    assert_string_equal(out, wanted);
    free(out);
}

/* What a terminal would obey, or shows as nothing, never gets there. */
static void names(void **state)
{
    (void)state;
    put("plain", 0, "plain", 5);
    put("\033[31mred\r\n\a", 0, "?[31mred???", 11);
    put("\xc2\x9b"
        "2J",
        0, "?2J", 3);
    put("\xff\xfe", 0, "??", 2);
    put("a\xe2\x80\xae"
        "b",
        0, "a?b", 3);
    put("gr\xc3\xb6\xc3\x9f"
        "e",
        0,
        "gr\xc3\xb6\xc3\x9f"
        "e",
        5);
    put("\xe2\x82", 0, "??", 2);
    put("abcdefghij", 6, "abc...", 6);
    put("abcdef", 6, "abcdef", 6);
}

static void json(void **state)
{
    (void)state;
    char *out = NULL;
    size_t bytes;
    struct json j;
    FILE *to = open_memstream(&out, &bytes);
    json_begin(&j, to);
    json_object(&j, NULL);
    json_text(&j, "a", "q\"\\\n\x01\xff\xc3\xa9");
    json_array(&j, "b");
    json_number(&j, NULL, UINT64_MAX);
    json_real(&j, NULL, 0.5);
    json_real(&j, NULL, 0.0 / 0.0);
    json_end(&j);
    json_flag(&j, "c", false);
    json_text(&j, "d", NULL);
    json_object(&j, "e");
    json_end(&j);
    json_end(&j);
    fclose(to);
    assert_string_equal(out, "{\"a\":\"q\\\"\\\\\\u000a\\u0001\\ufffd\xc3\xa9\",\"b\":[18446744073709551615,0.5,null],"
                             "\"c\":false,\"d\":null,\"e\":{}}");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures), cmocka_unit_test(shares), cmocka_unit_test(reading),
        cmocka_unit_test(names),   cmocka_unit_test(json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
