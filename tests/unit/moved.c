/* unit/moved.c - a program whose program headers do not follow its ELF header, as tools leave it that add one: it has the same
 * stacks, and its name.
 *
 * The program runs a copy of itself, with the headers moved to where it has kept room for them.
 */
#define _GNU_SOURCE
#include "common/unit.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "probe/stack.h"

/* With a value, so that it is in the file; nobody may take it for granted. */
static const volatile char room[2048] __attribute__((aligned(64))) = {1};

/* False when there is no header that says where they are, as in programs that are linked static: nobody would find them. */
static bool move_headers(char *file)
{
    ElfW(Ehdr) *header = (ElfW(Ehdr) *)file;
    ElfW(Phdr) *table = (ElfW(Phdr) *)(file + header->e_phoff), *own = table;
    size_t length = header->e_phnum * sizeof *table;
    if (own->p_type != PT_PHDR || length > sizeof room) {
        return false;
    }
    uintptr_t to = (uintptr_t)room - (getauxval(AT_PHDR) - own->p_vaddr);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (table[i].p_type == PT_LOAD && to - table[i].p_vaddr < table[i].p_filesz) {
            own->p_vaddr = own->p_paddr = to;
            own->p_offset = header->e_phoff = to - table[i].p_vaddr + table[i].p_offset;
            memcpy(file + own->p_offset, table, length);
            memset(table, 0, length);
            return true;
        }
    }
    return false;
}

static void run_moved(char **argv)
{
    int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), out = memfd_create("moved", MFD_CLOEXEC);
    struct stat status;
    CHECK(in >= 0 && out >= 0 && fstat(in, &status) == 0);
    size_t length = (size_t)status.st_size;
    char *file = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, in, 0);
    CHECK(file != MAP_FAILED);
    if (move_headers(file)) {
        CHECK(write(out, file, length) == (ssize_t)length);
        fexecve(out, argv, environ);
        CHECK(errno == ENOEXEC); /* another machine's program, under an emulator */
    }
}

static void *pcs[64];
static size_t taken;

__attribute__((noinline)) static int recurse(int n)
{
    if (n == 0) {
        taken = stack_take(pcs, 64);
        return 0;
    }
    return recurse(n - 1) + (int)opaque(1);
}

static void stack(void **state)
{
    (void)state;
    char text[256];
    if (getauxval(AT_PHDR) != (uintptr_t)room) {
        skip();
    }
    recurse(20);
    assert_in_range(taken, 24, 63);
    for (unsigned i = 2; i <= 20; i++) {
        assert_ptr_equal(pcs[i], pcs[1]);
    }
    stack_print(text, sizeof text, pcs[1], false);
    assert_non_null(strstr(text, "moved"));
    assert_true(stack_in_library(pcs[0]) == stack_library_is_apart());
}

int main(int argc, char **argv)
{
    (void)argc;
    if (getauxval(AT_PHDR) != (uintptr_t)room) {
        run_moved(argv);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(stack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
