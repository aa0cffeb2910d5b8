/* Reading program files: what the kernel would make of whole ones, of cut ones and of hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "program.h"
#include "target.h"

/* The file that is read: in memory, by a name under /proc. */
static int file;
static char path[40];

/* This program's own head: its ELF header, its program headers and its loader's name, as far as the name's end. */
static unsigned char own[1 << 16];
static size_t own_size;
static struct program own_program;
static size_t own_interp; /* where in `own` the PT_INTERP entry is */

static void put(const void *bytes, size_t size)
{
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, bytes, size, 0), (ssize_t)size);
}

static struct program read_bytes(const void *bytes, size_t size)
{
    struct program out;

    put(bytes, size);
    memset(&out, 0xa5, sizeof out);
    program_read(path, &out);
    return out;
}

static int setup(void **state)
{
    (void)state;
    file = memfd_create("program", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int self = open("/proc/self/exe", O_RDONLY);
    own_size = (size_t)pread(self, own, sizeof own, 0);
    close(self);

    Elf64_Ehdr *header = (Elf64_Ehdr *)own;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        own_interp = header->e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr *entry = (Elf64_Phdr *)(own + own_interp);
        if (entry->p_type == PT_INTERP) {
            own_size = entry->p_offset + entry->p_filesz;
            break;
        }
    }
    program_read("/proc/self/exe", &own_program);
    return file < 0;
}

static int teardown(void **state)
{
    (void)state;
    return close(file);
}

static void own_program_is_dynamic(void **state)
{
    (void)state;
    assert_int_equal(own_program.kind, PROGRAM_DYNAMIC);
    assert_int_equal(access(own_program.interpreter, X_OK), 0);
    struct program copy = read_bytes(own, own_size);
    assert_int_equal(copy.kind, PROGRAM_DYNAMIC);
    assert_string_equal(copy.interpreter, own_program.interpreter);
}

/* Whatever is missing at the end, it is either all there or the file is damaged. */
static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t size = 0; size < own_size; size++) {
        struct program cut = read_bytes(own, size);
        assert_int_equal(cut.kind, size == 0 ? PROGRAM_TEXT : size < SELFMAG ? PROGRAM_TEXT : PROGRAM_UNKNOWN);
        assert_string_equal(cut.interpreter, "");
    }
}

static void without_a_loader(void **state)
{
    (void)state;
    unsigned char bytes[sizeof own];
    memcpy(bytes, own, own_size);
    ((Elf64_Phdr *)(bytes + own_interp))->p_type = PT_NULL;
    assert_int_equal(read_bytes(bytes, own_size).kind, PROGRAM_STATIC);
}

static void header_lies(void **state)
{
    (void)state;
    const struct {
        size_t offset, size;
        uint64_t value;
    } lies[] = {
#define HEADER(field, value) {offsetof(Elf64_Ehdr, field), sizeof((Elf64_Ehdr *)0)->field, value}
        HEADER(e_phnum, 0),
        HEADER(e_phnum, 0xffff),
        HEADER(e_phnum, (64 << 10) / sizeof(Elf64_Phdr) + 1),
        HEADER(e_phentsize, 0),
        HEADER(e_phentsize, sizeof(Elf64_Phdr) + 8),
        HEADER(e_phoff, UINT64_MAX),
        HEADER(e_phoff, INT64_MAX),
        HEADER(e_phoff, INT64_MAX - 10),
        HEADER(e_phoff, 1 << 20),
        HEADER(e_type, ET_REL),
        HEADER(e_type, ET_CORE),
#define INTERP(field, value) {own_interp + offsetof(Elf64_Phdr, field), sizeof((Elf64_Phdr *)0)->field, value}
        INTERP(p_filesz, 0),
        INTERP(p_filesz, 1),
        INTERP(p_filesz, PATH_MAX + 1),
        INTERP(p_filesz, UINT64_MAX),
        INTERP(p_filesz, 4), /* its last byte is no zero */
        INTERP(p_offset, UINT64_MAX),
        INTERP(p_offset, INT64_MAX),
        INTERP(p_offset, 8), /* zeros: an empty name */
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        unsigned char bytes[sizeof own];
        memcpy(bytes, own, own_size);
        memcpy(bytes + lies[i].offset, &lies[i].value, lies[i].size);
        struct program lying = read_bytes(bytes, own_size);
        assert_int_equal(lying.kind, PROGRAM_UNKNOWN);
        assert_string_equal(lying.interpreter, "");
    }
}

/* Thousands of random changes to the headers: whatever they say now, what comes out holds together. */
static void random_damage(void **state)
{
    (void)state;
    unsigned seen[PROGRAM_DYNAMIC + 1] = {0};
    uint64_t seed = 20261121;
    const size_t headers = sizeof(Elf64_Ehdr) + ((Elf64_Ehdr *)own)->e_phnum * sizeof(Elf64_Phdr);

#define RANDOM() (seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17)
    for (int round = 0; round < 5000; round++) {
        static unsigned char bytes[sizeof own];
        memcpy(bytes, own, own_size);
        for (int changes = 1 + RANDOM() % 8; changes > 0; changes--) {
            static const unsigned char telling[] = {0x00, 0xff, 0x7f, 0x80, 0x01, 0x02, 0x03};
            uint64_t how = RANDOM();
            size_t at = SELFMAG + RANDOM() % (headers - SELFMAG);
            bytes[at] = how & 1 ? telling[(how >> 8) % sizeof telling] : (unsigned char)(how >> 16);
        }
        size_t size = RANDOM() % 4 ? own_size : RANDOM() % (own_size + 1);
        struct program out = read_bytes(bytes, size);
        seen[out.kind]++;
        assert_true(memchr(out.interpreter, '\0', sizeof out.interpreter) != NULL);
        assert_int_equal(out.kind == PROGRAM_DYNAMIC, out.interpreter[0] != '\0');
        assert_int_equal(out.kind == PROGRAM_SCRIPT, 0);
        if (out.kind == PROGRAM_FOREIGN) {
            assert_true(out.bits == 32 || out.bits == 64);
        }
        struct target target;
        enum target_verdict verdict = target_judge(path, &target);
        assert_int_equal(verdict == TARGET_STATIC, out.kind == PROGRAM_STATIC);
        assert_int_equal(verdict == TARGET_FOREIGN, out.kind == PROGRAM_FOREIGN);
    }
    /* The damage was neither so slight nor so great that only one branch was tried. */
    assert_true(seen[PROGRAM_UNKNOWN] > 100 && seen[PROGRAM_FOREIGN] > 10 && seen[PROGRAM_STATIC] > 10 &&
                seen[PROGRAM_DYNAMIC] > 100);
}

static void scripts(void **state)
{
    (void)state;
    char full[300];
    memset(full, 'x', sizeof full);
    memcpy(full, "#!/", 3);
    const struct {
        const char *text;
        size_t size; /* 0: the string's */
        enum program_kind kind;
        const char *interpreter;
    } cases[] = {
        {"#!/bin/sh\n", 0, PROGRAM_SCRIPT, "/bin/sh"},
        {"#!/bin/sh", 0, PROGRAM_SCRIPT, "/bin/sh"},
        {"#! \t /bin/sh -e\t-x\n", 0, PROGRAM_SCRIPT, "/bin/sh"},
        {"#!/bin/sh\0/x\n", 13, PROGRAM_SCRIPT, "/bin/sh"},
        {"#!sh\necho", 0, PROGRAM_SCRIPT, "sh"},
        {"#!\n/bin/sh\n", 0, PROGRAM_TEXT, ""},
        {"#!   \n", 0, PROGRAM_TEXT, ""},
        {"#!", 0, PROGRAM_TEXT, ""},
        {"#", 0, PROGRAM_TEXT, ""},
        {"", 0, PROGRAM_TEXT, ""},
        {"echo \xc3\xa4\n\0\0", 10, PROGRAM_TEXT, ""},
        {"echo\0\n", 6, PROGRAM_UNKNOWN, ""},
        {"\x7f"
         "ELF",
         0, PROGRAM_UNKNOWN, ""},
        {full, sizeof full, PROGRAM_TEXT, ""},
        {full, 256, PROGRAM_TEXT, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program script = read_bytes(cases[i].text, cases[i].size ? cases[i].size : strlen(cases[i].text));
        assert_int_equal(script.kind, cases[i].kind);
        assert_string_equal(script.interpreter, cases[i].interpreter);
    }
}

static void what_is_no_file(void **state)
{
    (void)state;
    struct program out;
    const char *const paths[] = {"/", "/no/such/file", "", "/dev/null/x"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        program_read(paths[i], &out);
        assert_int_equal(out.kind, PROGRAM_UNKNOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_program_is_dynamic), cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(without_a_loader),       cmocka_unit_test(header_lies),
        cmocka_unit_test(random_damage),          cmocka_unit_test(scripts),
        cmocka_unit_test(what_is_no_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
