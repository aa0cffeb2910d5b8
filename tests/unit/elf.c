/* unit/elf.c - loaded objects, forged and broken: nothing is read but what their program headers say is mapped. */
#include "common/unit.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "common/random.h"
#include "probe/elf.h"

/* An object of one page, and pages around it that cannot be read. */
struct page {
    ElfW(Ehdr) header;
    ElfW(Phdr) load, dynamic, notes;
    ElfW(Dyn) entries[4];
    ElfW(Sym) symbols[2];
    uint32_t hash[2];
    uint8_t note[64];
    char names[16];
};

static struct page *forge(void)
{
    enum { LARGEST_PAGE = 1 << 16 };
    char *pages = mmap(NULL, 3 * LARGEST_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + LARGEST_PAGE, LARGEST_PAGE, PROT_READ | PROT_WRITE), 0);
    struct page *page = (struct page *)(pages + LARGEST_PAGE);
    memcpy(page->header.e_ident, ELFMAG, SELFMAG);
    page->header.e_ident[EI_CLASS] = ELFCLASS64;
    page->header.e_phoff = offsetof(struct page, load);
    page->header.e_phentsize = sizeof(ElfW(Phdr));
    page->header.e_phnum = 3;
    page->load = (ElfW(Phdr)){.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = LARGEST_PAGE, .p_memsz = LARGEST_PAGE};
    page->dynamic = (ElfW(Phdr)){.p_type = PT_DYNAMIC, .p_vaddr = offsetof(struct page, entries)};
    page->notes =
        (ElfW(Phdr)){.p_type = PT_NOTE, .p_vaddr = offsetof(struct page, note), .p_filesz = sizeof page->note};
    page->entries[0] = (ElfW(Dyn)){.d_tag = DT_SYMTAB, .d_un.d_ptr = offsetof(struct page, symbols)};
    page->entries[1] = (ElfW(Dyn)){.d_tag = DT_STRTAB, .d_un.d_ptr = offsetof(struct page, names)};
    page->entries[2] = (ElfW(Dyn)){.d_tag = DT_HASH, .d_un.d_ptr = offsetof(struct page, hash)};
    page->hash[1] = sizeof page->symbols / sizeof page->symbols[0];
    page->symbols[1] =
        (ElfW(Sym)){.st_name = 1, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x800, .st_size = 0x100};
    /* Of another name the same number means something else. */
    static const ElfW(Nhdr) other = {.n_namesz = 8, .n_descsz = 12, .n_type = NT_GNU_BUILD_ID},
                            note = {.n_namesz = 4, .n_descsz = 16, .n_type = NT_GNU_BUILD_ID};
    memcpy(page->note, &other, sizeof other);
    memcpy(page->note + sizeof other, "stapsdt", 8);
    memcpy(page->note + 32, &note, sizeof note);
    memcpy(page->note + 32 + sizeof note, "GNU", 4);
    strcpy(page->names + 1, "function");
    return page;
}

static void function(void **state)
{
    (void)state;
    struct page *page = forge();
    uintptr_t at = (uintptr_t)page;
    struct elf elf;
    char name[16];
    assert_true(elf_read(at, &elf));
    assert_int_equal(elf.bias, at);
    assert_int_equal(elf_build_id(&elf), offsetof(struct page, note) + 32);
    assert_int_equal(elf_function_named(&elf, "function"), at + 0x800);
    assert_int_equal(elf_function_at(&elf, at + 0x8ff, name, sizeof name), at + 0x800);
    assert_string_equal(name, "function");
    assert_int_equal(elf_function_at(&elf, at + 0x900, name, sizeof name), 0);
    assert_int_equal(elf_function_at(&elf, at + 0x800, name, 4), at + 0x800);
    assert_string_equal(name, "fun");
}

/* They would lie before the header. */
static void program_headers_elsewhere(void **state)
{
    (void)state;
    struct page *page = forge();
    struct elf elf;
    for (unsigned n = 1; n <= 3; n++) {
        page->header.e_phnum = (ElfW(Half))n;
        page->header.e_phoff = 0 - (uint64_t)n * sizeof(ElfW(Phdr));
        assert_false(elf_read((uintptr_t)page, &elf));
    }
}

/* One that is said to begin at address 0, and to end nowhere. */
static void function_at_nothing(void **state)
{
    (void)state;
    struct page *page = forge();
    struct elf elf;
    char name[16];
    page->symbols[1].st_value = 0 - (uintptr_t)page;
    page->symbols[1].st_size = UINT64_MAX;
    assert_true(elf_read((uintptr_t)page, &elf));
    assert_int_equal(elf_function_at(&elf, (uintptr_t)page, name, sizeof name), 0);
}

/* All that the program headers lead to is others' bytes. */
static void broken(void **state)
{
    (void)state;
    struct page *page = forge(), whole = *page;
    uint8_t *bytes = (uint8_t *)page;
    struct random random = {4711};
    enum { FROM = offsetof(struct page, entries), TO = sizeof whole };
    for (unsigned i = 0; i < 200000; i++) {
        memcpy(bytes + FROM, (uint8_t *)&whole + FROM, TO - FROM);
        page->entries[2].d_tag = i % 2 ? DT_HASH : DT_GNU_HASH;
        for (unsigned n = 0; n < 1 + i % 4; n++) {
            size_t at = FROM + random_below(&random, TO - FROM);
            bytes[at] = i % 8 < 4 ? 0xff : (uint8_t)random_next(&random);
        }
        struct elf elf;
        char name[16];
        assert_true(elf_read((uintptr_t)page, &elf));
        assert_in_range(elf_build_id(&elf), 0, ELF_PAGE - 32);
        elf_function_at(&elf, (uintptr_t)page + random_below(&random, ELF_PAGE), name, sizeof name);
        elf_function_named(&elf, "function");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(function),
        cmocka_unit_test(program_headers_elsewhere),
        cmocka_unit_test(function_at_nothing),
        cmocka_unit_test(broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
