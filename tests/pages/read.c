/* pages/read.c - each reader of traces of references, on files written by hand: what they say, and what is said of broken ones. */
#include "common/unit.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "pages/written.h"

static struct refs refs;
static struct trace_error error;

static bool read_text(const char *text, struct refs_wanted wanted)
{
    int fd = written(text, strlen(text));
    error.line[0] = '\0';
    wanted.window = wanted.window ? wanted.window : -1;
    wanted.address_bits = wanted.address_bits ? wanted.address_bits : 64;
    wanted.page_shift = wanted.page_shift ? wanted.page_shift : 12;
    bool read = refs_read(&refs, fd, "F", &wanted, &error);
    close(fd);
    return read;
}

/* The pages, by their numbers as they first came, as digits; and the format. */
static void is(const char *pages, enum refs_format format)
{
    assert_string_equal(error.line, "");
    assert_int_equal(refs.format, format);
    assert_int_equal(refs.kept.count, strlen(pages));
    for (size_t i = 0; pages[i]; i++) {
        assert_int_equal(refs.kept.at[i], pages[i] - '0');
    }
    refs_end(&refs);
}

static void reads(const char *text, const char *pages, enum refs_format format)
{
    assert_true(read_text(text, (struct refs_wanted){0}));
    is(pages, format);
}

static void refuses(const char *text, struct refs_wanted wanted, const char *said)
{
    assert_false(read_text(text, wanted));
    assert_string_equal(error.line, said);
    assert_null(refs.kept.at);
}

static void ids(void **state)
{
    (void)state;
    reads("5\n7\n5\n", "010", REFS_IDS);
    reads("0x10\n16\n  18446744073709551615 \n\n0X10", "0010", REFS_IDS);
    reads("1\r\n2\r\n1\r\n", "010", REFS_IDS);
    refuses("1\nabc\n", (struct refs_wanted){0},
            "no page's number 'abc' in line 2, byte 2, F, names are read as a table: --format csv --column 1");
    refuses("1\n2 3\n", (struct refs_wanted){0},
            "more than one number in a line: '3' in line 2, byte 4, F, mend it, or give its --format");
    refuses("18446744073709551616\n", (struct refs_wanted){0},
            "no page's number '18446744073709551616' in line 1, byte 0, F, names are read as a table: --format csv "
            "--column 1");
    refuses("-1\n", (struct refs_wanted){0},
            "no page's number '-1' in line 1, byte 0, F, names are read as a table: --format csv --column 1");
    refuses("", (struct refs_wanted){0}, "an empty file, F, give one with references");
    refuses("\n \n", (struct refs_wanted){0}, "no reference in it, F, give another file, or its --format");
}

static void addresses(void **state)
{
    (void)state;
    struct refs_wanted wanted = {.addresses = true, .address_bits = 48};
    assert_true(read_text("0x1000\n0x1fff\n0x2000\n8191\n", wanted));
    assert_int_equal(refs.ids.number[0], 1);
    assert_int_equal(refs.ids.number[1], 2);
    is("0010", REFS_IDS);
    wanted.page_shift = 16;
    assert_true(read_text("0x1000\n0x1fff\n0x2000\n0x10000\n", wanted));
    is("0001", REFS_IDS);
    assert_true(read_text("0xffffffffffff\n", wanted));
    is("0", REFS_IDS);
    refuses("1\n0x1000000000000\n", wanted,
            "an address beyond the page table '0x1000000000000' in line 2, byte 2, F, give --table more bits");
}

static void tables(void **state)
{
    (void)state;
    reads("version,time,op,size,lbn\n1,5,2a,512,77\n1,6,2a,512,78\n1,7,2a,512,77\n", "010", REFS_CSV);
    reads("time;Obj-ID\n1;a\n2;b\n3;a\n", "010", REFS_CSV);
    reads("time\tkey\n1\t\"x\ty\"\n2\t\"\"\n3\t\"x\ty\"\n", "010", REFS_CSV);
    /* By number: the first line is names if it has no number and the second has one. */
    assert_true(read_text("t,what\n1,a\n2,b\n", (struct refs_wanted){.column = "2"}));
    is("01", REFS_CSV);
    assert_true(read_text("1,a\n2,b\n3,a\n", (struct refs_wanted){.column = "2"}));
    is("010", REFS_CSV);
    assert_true(read_text("x,a\ny,b\nz,a\n", (struct refs_wanted){.column = "2"}));
    is("010", REFS_CSV);
    /* One column of names. */
    assert_true(read_text("a\nb\na\n", (struct refs_wanted){.format = REFS_CSV, .column = "1"}));
    is("010", REFS_CSV);
    /* By name; as text 07 is not 7, as an address it is. */
    struct refs_wanted where = {.column = "where"};
    assert_true(read_text("id,where\n1,7\n2,07\n", where));
    is("01", REFS_CSV);
    where.addresses = true;
    assert_true(read_text("id,where\n1,7\n2,07\n3,0x2000\n", where));
    is("001", REFS_CSV);
    refuses("a,b\n1,2\n", (struct refs_wanted){0},
            "no column that is called as ids are, among 'a,b' in line 1, byte 0, F, say which: --column NAME or "
            "--column 2");
    refuses("a,b\n1,2\n", (struct refs_wanted){.column = "c"},
            "no column of that name among 'a,b' in line 1, byte 0, F, name one that is there, or give its number");
    refuses("id,x\n1,2\n3\n", (struct refs_wanted){.column = "x"},
            "no column 2 in line 3, byte 10, F, mend it, or give its --format");
    refuses("id,x\n1,2\n\"3\n", (struct refs_wanted){0},
            "no end of quotes '\"3' in line 3, byte 9, F, mend it, or give its --format");
    where.address_bits = 32;
    refuses("where\n1\nmore\n", (struct refs_wanted){.format = REFS_CSV, .column = "where", .addresses = true},
            "no address 'more' in line 3, byte 8, F, mend it, or give its --format");
    where.format = REFS_CSV;
    refuses("where\n0x100000000\n", where,
            "an address beyond the page table '0x100000000' in line 2, byte 6, F, give --table more bits");
}

static const char lackey_text[] = "==7== Lackey, an example Valgrind tool\n"
                                  "I  04001000,3\n"
                                  " L 1ffeffe7e0,8\n"
                                  "said by the program\n"
                                  " S 04001ffe,4\n"
                                  " M 1ffeffe000,8\n";

static void lackey(void **state)
{
    (void)state;
    /* What lies on two pages refers to both. */
    assert_true(read_text(lackey_text, (struct refs_wanted){.window = 0}));
    assert_int_equal(refs.references, 5);
    assert_int_equal(refs.other_lines, 1);
    assert_int_equal(refs.window, REFS_WINDOW_OF_LACKEY);
    assert_true(refs.addresses);
    assert_int_equal(refs.ids.number[0], 0x4001);
    assert_int_equal(refs.ids.number[1], 0x1ffeffe);
    is("01021", REFS_LACKEY);
    assert_true(read_text(lackey_text, (struct refs_wanted){.no_code = true}));
    is("0120", REFS_LACKEY);
    refuses("I  04001000,3\n L xyz,8\n", (struct refs_wanted){0},
            "no address and size 'xyz,8' in line 2, byte 17, F, mend it, or give its --format");
    refuses("I  04001000,3\n L 1000,99999999\n", (struct refs_wanted){0},
            "no address and size '1000,99999999' in line 2, byte 17, F, mend it, or give its --format");
    refuses("I  04001000,3\n L ffffffffffffffff,2\n", (struct refs_wanted){0},
            "no address and size 'ffffffffffffffff,2' in line 2, byte 17, F, mend it, or give its --format");
    refuses("I  04001000,3\n L 1000\n", (struct refs_wanted){0},
            "no address and size '1000' in line 2, byte 17, F, mend it, or give its --format");
}

/* -- records -- */

static size_t record(unsigned char *to, uint64_t id, uint32_t size, uint64_t next)
{
    memset(to, 0, 24);
    memcpy(to + 4, &id, 8);
    memcpy(to + 12, &size, 4);
    memcpy(to + 16, &next, 8);
    return 24;
}

static bool read_bytes(const void *bytes, size_t size, struct refs_wanted wanted)
{
    int fd = written(bytes, size);
    error.line[0] = '\0';
    wanted.window = -1;
    wanted.address_bits = wanted.address_bits ? wanted.address_bits : 64;
    bool read = refs_read(&refs, fd, "F", &wanted, &error);
    close(fd);
    return read;
}

static void oracle(void **state)
{
    (void)state;
    unsigned char bytes[256];
    size_t size = record(bytes, 0x123456789abcdef0, 512, 3);
    size += record(bytes + size, 2, 512, UINT64_MAX);
    size += record(bytes + size, 3, 0, UINT64_MAX); /* of no bytes: libCacheSim leaves it out as well */
    size += record(bytes + size, 0x123456789abcdef0, 512, INT64_MAX);
    assert_true(read_bytes(bytes, size, (struct refs_wanted){0}));
    assert_int_equal(refs.without_size, 1);
    assert_true(refs.ids.number[0] == 0x123456789abcdef0);
    is("010", REFS_ORACLE);
    assert_false(read_bytes(bytes, size - 1, (struct refs_wanted){0}));
    assert_string_equal(error.line, "half a record of 24 bytes at byte 72, F, get all of it, or give its --format");
    assert_false(
        read_bytes(bytes, size, (struct refs_wanted){.addresses = true, .page_shift = 12, .address_bits = 48}));
    assert_string_equal(error.line, "an address beyond the page table, 0x123456789abcdef0 in record 1, byte 4, F, give "
                                    "--table more bits");
    record(bytes, 1, 512, 1ull << 50);
    assert_false(read_bytes(bytes, size, (struct refs_wanted){0}));
    assert_string_equal(error.line,
                        "no trace of references in a format that allot knows, at byte 0, F, see allot pages "
                        "--help");
    assert_true(read_bytes(bytes, size, (struct refs_wanted){.format = REFS_ORACLE}));
    refs_end(&refs);
}

/* -- packed, and through a pipe -- */

static size_t pack(int how, const char *text, unsigned char *out, size_t room)
{
    size_t length = strlen(text), size = 0;
    if (how == 0) {
        z_stream z = {.next_in = (unsigned char *)(uintptr_t)text,
                      .avail_in = (uInt)length,
                      .next_out = out,
                      .avail_out = (uInt)room};
        assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        size = z.total_out;
        deflateEnd(&z);
    } else if (how == 1) {
        size = ZSTD_compress(out, room, text, length, 3);
    } else {
        assert_int_equal(
            lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, (const uint8_t *)text, length, out, &size, room),
            LZMA_OK);
    }
    return size;
}

static void packed(void **state)
{
    (void)state;
    unsigned char bytes[512];
    for (int how = 0; how < 3; how++) {
        size_t size = pack(how, "5\n7\n5\n9\n", bytes, sizeof bytes);
        assert_true(read_bytes(bytes, size, (struct refs_wanted){0}));
        is("0102", REFS_IDS);
        assert_false(read_bytes(bytes, size - 5, (struct refs_wanted){0}));
        assert_non_null(strstr(error.line, " at byte "));
        /* Through a pipe likewise. */
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], bytes, size), size);
        close(ends[1]);
        error.line[0] = '\0';
        assert_true(refs_read(&refs, ends[0], "F", &(struct refs_wanted){.window = -1, .address_bits = 64}, &error));
        is("0102", REFS_IDS);
        close(ends[0]);
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "5\n7\n5", 5), 5);
    close(ends[1]);
    assert_true(refs_read(&refs, ends[0], "F", &(struct refs_wanted){.window = -1, .address_bits = 64}, &error));
    is("010", REFS_IDS);
    close(ends[0]);
}

static void limits(void **state)
{
    (void)state;
    assert_true(read_text("1\n2\n3\nbroken\n", (struct refs_wanted){.limit = 2}));
    is("01", REFS_IDS);
    /* Up to the last line all is read, whatever is wrong with it or not wanted any more. */
    static const char until[] = "I  1000,1\nI  2000,1\nI  3000,x\nend\nI  4000,1\n";
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], until, sizeof until - 1), sizeof until - 1);
    struct refs_wanted wanted = {
        .format = REFS_LACKEY, .window = -1, .page_shift = 12, .address_bits = 64, .limit = 2, .until = "end"};
    error.line[0] = '\0';
    assert_true(refs_read(&refs, ends[0], "F", &wanted, &error));
    is("01", REFS_LACKEY);
    assert_int_equal(write(ends[1], until, sizeof until - 1), sizeof until - 1);
    wanted.limit = 0;
    assert_false(refs_read(&refs, ends[0], "F", &wanted, &error));
    assert_string_equal(error.line,
                        "no address and size '3000,x' in line 3, byte 23, F, mend it, or give its --format");
    close(ends[0]);
    close(ends[1]);
}

/* Very many ids, numbers and texts: each has one number, whatever it hashes to. */
static void many(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    struct ids numbers = {0}, texts = {0};
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            char text[32];
            int length = snprintf(text, sizeof text, "%*u", 1 + (int)(i % 9), i);
            assert_int_equal(ids_number(&numbers, (uint64_t)i << 40), i);
            assert_int_equal(ids_text(&texts, text, (size_t)length), i);
        }
    }
    assert_int_equal(ids_text(&texts, "", 0), MANY);
    assert_int_equal(ids_text(&texts, "", 0), MANY);
    ids_end(&numbers);
    ids_end(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),    cmocka_unit_test(addresses), cmocka_unit_test(tables), cmocka_unit_test(lackey),
        cmocka_unit_test(oracle), cmocka_unit_test(packed),    cmocka_unit_test(limits), cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
