/* unit/cfi.c - call frame information: each instruction and expression as DWARF has it, real tables, and broken ones. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/check.h"
#include "probe/cfi.h"
#include "probe/object.h"

/* Bytes between two pages that cannot be read, at the end or at the beginning of what is between them. */
struct fence {
    uint8_t *pages;
    size_t length;
};

static struct fence fence_new(size_t length)
{
    struct fence fence = {.length = (length + 0xffff) & ~(size_t)0xffff};
    fence.pages = mmap(NULL, fence.length + 0x20000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(fence.pages != MAP_FAILED);
    fence.pages += 0x10000;
    mprotect(fence.pages, fence.length, PROT_READ | PROT_WRITE);
    return fence;
}

static void fence_free(struct fence fence) { munmap(fence.pages - 0x10000, fence.length + 0x20000); }

/* A section in the making: one CIE and one FDE, of a function at 0x1000 of 0x100 bytes. */
struct section {
    uint8_t bytes[512];
    size_t length;
};

static void put(struct section *section, const void *bytes, size_t length)
{
    memcpy(section->bytes + section->length, bytes, length);
    section->length += length;
}

static void put_word(struct section *section, uint64_t word, size_t bytes) { put(section, &word, bytes); }

static void end_entry(struct section *section, size_t began)
{
    uint32_t length = (uint32_t)(section->length - began - 4);
    memcpy(section->bytes + began, &length, 4);
}

enum { CODE_ALIGN = 1, DATA_ALIGN = -8, BEGIN = 0x1000 };

static void build(struct section *section, const char *first, size_t first_length, const char *then, size_t then_length)
{
    section->length = 0;
    put_word(section, 0, 8); /* length, and that it is a CIE */
    put(section, "\1zR", 4);
    put_word(section, CODE_ALIGN, 1);
    put_word(section, DATA_ALIGN & 0x7f, 1);
    put_word(section, CFI_RETURN, 1);
    put(section, "\1\0", 2); /* addresses are absolute */
    put(section, first, first_length);
    end_entry(section, 0);
    size_t fde = section->length;
    put_word(section, 0, 4);
    put_word(section, section->length, 4);
    put_word(section, BEGIN, 8);
    put_word(section, 0x100, 8);
    put_word(section, 0, 1);
    put(section, then, then_length);
    end_entry(section, fde);
    put_word(section, 0, 4);
}

static struct cfi_image image_of(const void *bytes, size_t length)
{
    uintptr_t start = (uintptr_t)bytes;
    return (struct cfi_image){.start = start, .end = start + length, .section = start};
}

/* Instructions of the CIE and the FDE, as literals. */
#define BUILD(section, first, then) build(section, first, sizeof first - 1, then, sizeof then - 1)

/* The row at an offset in the function. */
static bool row_at(const struct section *section, unsigned offset, struct cfi_row *row)
{
    struct cfi_image image = image_of(section->bytes, section->length);
    return cfi_find(&image, BEGIN + offset, row);
}

static void assert_rule(struct cfi_rule rule, uint32_t kind, int32_t value)
{
    assert_int_equal(rule.kind, kind);
    assert_int_equal(rule.value, value);
}

static void assert_cfa(const struct cfi_row *row, unsigned number, int32_t offset)
{
    assert_rule(row->cfa, CFI_REGISTER_PLUS, offset);
    assert_int_equal(row->cfa_register, number);
}

static void instructions(void **state)
{
    (void)state;
    struct section section;
    struct cfi_row row;
    /* def_cfa 7, 8; offset 16, 1 */
    BUILD(&section, "\x0c\7\10\x90\1", "\x41\x0e\x10\x86\2\x43\x0d\6\x02\x80\x0c\7\10\xc6");
    assert_true(row_at(&section, 0, &row));
    assert_cfa(&row, 7, 8);
    assert_rule(row.registers[16], CFI_AT_OFFSET, -8);
    assert_rule(row.registers[6], CFI_SAME, 0);
    assert_int_equal(row.return_register, CFI_RETURN);
    assert_false(row.signal);
    assert_true(row_at(&section, 1, &row));
    assert_cfa(&row, 7, 16);
    assert_rule(row.registers[6], CFI_AT_OFFSET, -16);
    assert_true(row_at(&section, 4, &row));
    assert_cfa(&row, 6, 16);
    assert_true(row_at(&section, 131, &row));
    assert_cfa(&row, 6, 16);
    assert_true(row_at(&section, 132, &row));
    assert_cfa(&row, 7, 8);
    assert_rule(row.registers[6], CFI_SAME, 0);
    assert_true(row_at(&section, 0xff, &row));
    assert_false(row_at(&section, 0x100, &row));
    struct cfi_image image = image_of(section.bytes, section.length);
    assert_false(cfi_find(&image, BEGIN - 1, &row));

    /* remember_state, def_cfa_offset, offset 3; restore_state */
    BUILD(&section, "\x0c\7\10\x90\1", "\x0a\x0e\x20\x83\3\x41\x0b\x0a\x41\x0b");
    assert_true(row_at(&section, 0, &row));
    assert_cfa(&row, 7, 32);
    assert_rule(row.registers[3], CFI_AT_OFFSET, -24);
    assert_true(row_at(&section, 2, &row));
    assert_cfa(&row, 7, 8);
    assert_rule(row.registers[3], CFI_SAME, 0);
    BUILD(&section, "\x0c\7\10", "\x0b");
    assert_false(row_at(&section, 0, &row));

    /* the longer forms: def_cfa_sf, offset_extended, _sf, val_offset, _sf, undefined, same_value, register,
     * negative_offset_extended, def_cfa_offset_sf, args_size, restore_extended, advance_loc2 and 4 */
    BUILD(&section, "\x12\7\x7e\x08\4",
          "\x05\3\2\x11\2\x7f\x14\1\3\x15\0\x7c\x07\x10\x09\5\6\x2f\4\1\x2e\x81\1\x03\1\0\x13\x7d\x06\4"
          "\x04\1\0\0\0\x08\3\x2d\0");
    assert_true(row_at(&section, 0, &row));
    assert_cfa(&row, 7, 16);
    assert_rule(row.registers[3], CFI_AT_OFFSET, -16);
    assert_rule(row.registers[2], CFI_AT_OFFSET, 8);
    assert_rule(row.registers[1], CFI_IS_OFFSET, -24);
    assert_rule(row.registers[0], CFI_IS_OFFSET, 32);
    assert_rule(row.registers[16], CFI_UNDEFINED, 0);
    assert_rule(row.registers[5], CFI_IN_REGISTER, 6);
    assert_rule(row.registers[4], CFI_AT_OFFSET, 8);
    assert_true(row_at(&section, 1, &row));
    assert_cfa(&row, 7, 24);
    assert_rule(row.registers[4], CFI_SAME, 0);
    assert_rule(row.registers[3], CFI_AT_OFFSET, -16);
    assert_true(row_at(&section, 2, &row));
    assert_rule(row.registers[3], CFI_SAME, 0);

    /* set_loc; registers that are none of ours do no harm; what nobody knows ends it */
    BUILD(&section, "\x0c\7\10", "\x01\x20\x10\0\0\0\0\0\0\x0e\x18\x05\xc8\1\1\x07\x7f");
    assert_true(row_at(&section, 0x1f, &row));
    assert_cfa(&row, 7, 8);
    assert_true(row_at(&section, 0x20, &row));
    assert_cfa(&row, 7, 24);
    BUILD(&section, "\x0c\7\10", "\x44\x3f");
    assert_true(row_at(&section, 3, &row));
    assert_false(row_at(&section, 4, &row));
    BUILD(&section, "\x0c\x7f\10", "\0");
    assert_false(row_at(&section, 0, &row));
    BUILD(&section, "\0", "\0"); /* no CFA */
    assert_false(row_at(&section, 0, &row));
}

static uintptr_t memory[4] = {0x1122334455667788, 3, 4, 5};

static bool load(void *context, uintptr_t address, uintptr_t *word)
{
    (void)context;
    if (address % 8 != 0 || address - (uintptr_t)memory >= sizeof memory) {
        return false;
    }
    *word = *(const uintptr_t *)address;
    return true;
}

static bool evaluate(const char *expression, size_t length, const uintptr_t *on_stack, uintptr_t *value)
{
    uint8_t bytes[300];
    uintptr_t registers[CFI_REGISTERS];
    for (unsigned i = 0; i < CFI_REGISTERS; i++) {
        registers[i] = 0x1000 * i;
    }
    registers[1] = (uintptr_t)memory;
    bytes[0] = (uint8_t)length;
    memcpy(bytes + 1, expression, length);
    struct cfi_image image = image_of(bytes, length + 1);
    return cfi_evaluate(&image, 0, registers, on_stack, load, NULL, value);
}

static void assert_value(const char *expression, size_t length, uintptr_t expected)
{
    uintptr_t value, seven = 7;
    assert_true(evaluate(expression, length, &seven, &value));
    assert_int_equal(value, expected);
}

#define VALUE(expression, expected) assert_value(expression, sizeof expression - 1, expected)
#define BROKEN(expression)                                                       \
    do {                                                                         \
        uintptr_t value;                                                         \
        assert_false(evaluate(expression, sizeof expression - 1, NULL, &value)); \
    } while (0)

static void expressions(void **state)
{
    (void)state;
    VALUE("", 7);
    VALUE("\x39", 9);                             /* lit9 */
    VALUE("\x09\xff\x22", 6);                     /* const1s -1, plus */
    VALUE("\x0a\xff\xff", 0xffff);                /* const2u */
    VALUE("\x0d\xfe\xff\xff\xff", (uintptr_t)-2); /* const4s */
    VALUE("\x0e\1\2\3\4\5\6\7\x08", 0x0807060504030201);
    VALUE("\x03\1\0\0\0\0\0\0\x80", 0x8000000000000001);
    VALUE("\x10\x80\1\x11\x7f\x22", 127); /* constu 128, consts -1, plus */
    VALUE("\x77\x78", 0x7000 - 8);        /* breg7 - 8 */
    VALUE("\x92\3\2", 0x3002);            /* bregx */
    VALUE("\x71\x08\x06", 3);             /* breg1 + 8, deref */
    VALUE("\x71\1\x94\2", 0x6677);        /* deref_size 2 of bytes 1 and 2 */
    VALUE("\x71\0\x94\x08", 0x1122334455667788);
    VALUE("\x12\x22", 14);                /* dup, plus */
    VALUE("\x32\x14\x1c", (uintptr_t)-5); /* over, minus: 2 - 7 */
    VALUE("\x32\x33\x15\2", 7);           /* pick 2 */
    VALUE("\x32\x16\x13", 2);             /* swap, drop */
    VALUE("\x1f\x19", 7);                 /* neg, abs */
    VALUE("\x20", ~(uintptr_t)7);
    VALUE("\x1f\x32\x1b", (uintptr_t)-3);          /* neg, lit2, div: -7 / 2 */
    VALUE("\x34\x1d", 3);                          /* 7 mod 4 */
    VALUE("\x33\x1e\x35\x1a\x38\x21\x31\x27", 12); /* 7 * 3 & 5 | 8 ^ 1 */
    VALUE("\x34\x24\x31\x25", 56);                 /* 7 << 4 >> 1 */
    VALUE("\x1f\x31\x26", (uintptr_t)-4);          /* -7 >> 1, signed */
    VALUE("\x23\x80\1", 135);                      /* plus_uconst 128 */
    VALUE("\x37\x29", 1);                          /* eq */
    VALUE("\x37\x2e", 0);
    VALUE("\x1f\x30\x2d", 1); /* -7 < 0 */
    VALUE("\x1f\x30\x2b", 0);
    VALUE("\x37\x2a\x31\x2c", 1);     /* 7 >= 7, 1 <= 1 */
    VALUE("\x31\x28\1\0\x13\x39", 9); /* bra over drop */
    VALUE("\x30\x28\1\0\x39", 9);
    VALUE("\x2f\1\0\xff\x96", 7); /* skip over what nobody knows, nop */
    /* the PLT's of x86-64: sp + 8 + ((pc & 15) >= 11) * 8 */
    VALUE("\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22", 0x7008);
    VALUE("\x77\x08\x80\x0b\x3f\x1a\x3b\x2a\x33\x24\x22", 0x7010);

    BROKEN("");
    BROKEN("\x22");         /* nothing to add */
    BROKEN("\x31\x30\x1b"); /* by 0 */
    BROKEN("\x31\x30\x1d");
    BROKEN("\x30\x06");     /* from nowhere */
    BROKEN("\x71\7\x94\2"); /* not within a word */
    BROKEN("\x71\7\x94\0");
    BROKEN("\x2f\xfd\xff"); /* for ever */
    BROKEN("\x2f\x01\x00"); /* out of it */
    BROKEN("\x2f\x00\x80");
    BROKEN("\xff");
    BROKEN("\x0e\1");
    BROKEN("\x92\x7f\0"); /* a register that is none of ours */
    BROKEN("\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30\x30");
}

/* The sections of this program, copied elsewhere: addresses in them count from where they are, so all moves along. */
struct copy {
    struct fence fence;
    struct cfi_image image;
    uintptr_t moved, text, text_end; /* where the functions would be */
};

static struct copy copy_of(void)
{
    struct object object;
    struct copy copy = {0};
    assert_true(object_find((uintptr_t)cfi_find, &object));
    assert_true(object_image(&object, &copy.image));
    if (copy.image.header == 0) {
        skip(); /* linked without a table, as by Debian's musl-gcc */
    }
    size_t length = copy.image.end - copy.image.header;
    copy.fence = fence_new(length);
    uint8_t *at = copy.fence.pages + copy.fence.length - length;
    memcpy(at, (const void *)copy.image.header, length);
    copy.moved = (uintptr_t)at - copy.image.header;
    copy.text = object.start + copy.moved;
    copy.text_end = object.end + copy.moved;
    copy.image = (struct cfi_image){.start = (uintptr_t)at, .end = (uintptr_t)at + length, .header = (uintptr_t)at};
    return copy;
}

/* An expression's place is told from the start of the image, which is another. */
static bool same_rule(struct cfi_rule a, struct cfi_rule b)
{
    return a.kind == b.kind && (a.kind == CFI_AT_EXPRESSION || a.kind == CFI_IS_EXPRESSION || a.value == b.value);
}

static void a_copy_says_the_same(void **state)
{
    (void)state;
    struct object object;
    struct cfi_image image, all;
    struct copy copy = copy_of();
    assert_true(object_find((uintptr_t)cfi_find, &object));
    assert_true(object_image(&object, &image));
    uint32_t section;
    memcpy(&section, (const void *)(image.header + 4), 4); /* relative to itself, four bytes */
    all = image;
    all.section = image.header + 4 + (uintptr_t)(int32_t)section;
    all.header = 0;
    unsigned found = 0;
    for (uintptr_t at = object.start; at < object.end; at += 3) {
        struct cfi_row row = {0}, copied = {0}, looked = {0};
        bool has = cfi_find(&image, at, &row);
        assert_int_equal(has, cfi_find(&copy.image, at + copy.moved, &copied));
        if (at % 16 == 0) {
            assert_int_equal(has, cfi_find(&all, at, &looked)); /* all of the section looked through */
            assert_true(!has || memcmp(&row, &looked, sizeof row) == 0);
        }
        for (unsigned i = 0; has && i < CFI_REGISTERS; i++) {
            assert_true(same_rule(row.registers[i], copied.registers[i]));
        }
        assert_true(!has || (same_rule(row.cfa, copied.cfa) && row.cfa_register == copied.cfa_register));
        found += has;
    }
    assert_true(found > 1000);
    fence_free(copy.fence);
}

/* Finds, and evaluates what it finds. */
static bool try_at(const struct cfi_image *image, uintptr_t at)
{
    struct cfi_row row;
    uintptr_t registers[CFI_REGISTERS] = {(uintptr_t)memory, (uintptr_t)memory, 1, 0}, value;
    if (!cfi_find(image, at, &row)) {
        return false;
    }
    CHECK(row.return_register < CFI_REGISTERS && row.cfa_register < CFI_REGISTERS);
    for (unsigned i = 0; i < CFI_REGISTERS; i++) {
        CHECK(row.registers[i].kind <= CFI_IS_EXPRESSION);
        CHECK(row.registers[i].kind != CFI_IN_REGISTER || (uint32_t)row.registers[i].value < CFI_REGISTERS);
        if (row.registers[i].kind >= CFI_AT_EXPRESSION) {
            cfi_evaluate(image, row.registers[i].value, registers, &registers[0], load, NULL, &value);
        }
    }
    if (row.cfa.kind == CFI_IS_EXPRESSION) {
        cfi_evaluate(image, row.cfa.value, registers, NULL, load, NULL, &value);
    }
    return true;
}

/* A few bytes are others, or the end is missing: it ends, and reads nothing beyond. */
static void broken_copies(void **state)
{
    (void)state;
    uint64_t random = 4711;
    struct copy copy = copy_of();
    size_t length = copy.image.end - copy.image.start;
    uint8_t *whole = malloc(length);
    memcpy(whole, (void *)copy.image.start, length);
    unsigned found = 0;
    for (unsigned i = 0; i < 6000 * test_scale(); i++) {
        size_t left = i % 3 ? length : random_below(&random, length) + 1;
        uint8_t *at = copy.fence.pages + copy.fence.length - left;
        memcpy(at, whole, left);
        size_t upto = i % 2 ? 64 : left; /* the header, or anywhere */
        for (size_t changes = random_below(&random, i % 7 ? 20 : 2000); changes > 0; changes--) {
            static const uint8_t hostile[] = {0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x0b, 0x10, 0x16, 0x2f, 0x28};
            size_t where = random_below(&random, upto < left ? upto : left);
            at[where] = i % 5 ? hostile[random_below(&random, sizeof hostile)] : (uint8_t)random_next(&random);
        }
        struct cfi_image image = {(uintptr_t)at, (uintptr_t)at + left, (uintptr_t)at, 0};
        uintptr_t text = copy.text + ((uintptr_t)at - copy.image.start);
        for (unsigned try = 0; try < 20; try++) {
            found += try_at(&image, text + random_below(&random, copy.text_end - copy.text));
        }
    }
    assert_true(found > 1000); /* not all of it is broken */
    free(whole);
    fence_free(copy.fence);
}

/* Instructions at random in a section that is otherwise well formed. */
static void random_instructions(void **state)
{
    (void)state;
    uint64_t random = 42;
    struct fence fence = fence_new(sizeof(struct section));
    unsigned found = 0;
    for (unsigned i = 0; i < 100000 * test_scale(); i++) {
        char first[40] = "\x0c\7\10", then[200];
        size_t first_length = 3 + random_below(&random, 30), then_length = random_below(&random, sizeof then);
        for (size_t b = 3; b < sizeof first; b++) {
            first[b] = (char)(random_next(&random) >> random_below(&random, 8));
        }
        for (size_t b = 0; b < sizeof then; b++) {
            then[b] = (char)(random_next(&random) & (i % 2 ? 0xff : 0x3f));
        }
        struct section section;
        build(&section, first, i % 3 ? 3 : first_length, then, then_length);
        uint8_t *at = fence.pages + fence.length - section.length;
        memcpy(at, section.bytes, section.length);
        struct cfi_image image = image_of(at, section.length);
        found += try_at(&image, BEGIN + random_below(&random, 0x100));
        at = fence.pages;
        memcpy(at, section.bytes, section.length);
        image = image_of(at, section.length - random_below(&random, section.length));
        try_at(&image, BEGIN + random_below(&random, 0x100));
    }
    assert_true(found > 1000);
    fence_free(fence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions),  cmocka_unit_test(expressions),         cmocka_unit_test(a_copy_says_the_same),
        cmocka_unit_test(broken_copies), cmocka_unit_test(random_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
