/* probe/elf.c - see probe/elf.h. */
#include "probe/elf.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "os/memory.h"

uintptr_t elf_program(void)
{
    const ElfW(Phdr) *table = (const ElfW(Phdr) *)getauxval(AT_PHDR), *own = NULL;
    uintptr_t head = (uintptr_t)table - sizeof(ElfW(Ehdr));
    if (head % ELF_PAGE == 0) {
        return head;
    }
    size_t count = table ? getauxval(AT_PHNUM) : 0;
    for (size_t i = 0; i < count; i++) {
        if (table[i].p_type == PT_PHDR) {
            own = &table[i];
        } else if (table[i].p_type == PT_LOAD) { /* of which this is the first, as in elf_read */
            return own ? (uintptr_t)table - own->p_vaddr + table[i].p_vaddr - table[i].p_offset : 0;
        }
    }
    return 0;
}

/* They may be anywhere, and in the memory of the process elsewhere than in the file; of the program the kernel says where. */
static const ElfW(Phdr) * program_headers(const ElfW(Ehdr) * header)
{
    size_t length = header->e_phnum * sizeof(ElfW(Phdr));
    if (header->e_phoff % 8 == 0 && header->e_phoff <= ELF_PAGE && length <= ELF_PAGE - header->e_phoff) {
        return (const ElfW(Phdr) *)((uintptr_t)header + header->e_phoff);
    }
    bool known = (uintptr_t)header == elf_program() && header->e_phnum == getauxval(AT_PHNUM);
    return known ? (const ElfW(Phdr) *)getauxval(AT_PHDR) : NULL;
}

uintptr_t elf_headers(uintptr_t head) { return (uintptr_t)program_headers((const ElfW(Ehdr) *)head); }

bool elf_read(uintptr_t head, struct elf *elf)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)head;
    if (head % ELF_PAGE != 0 || !os_readable(head) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(ElfW(Phdr))) {
        return false;
    }
    const ElfW(Phdr) *phdr = program_headers(header);
    if (!phdr) {
        return false;
    }
    *elf = (struct elf){.end = head};
    bool begun = false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        uintptr_t start = elf->bias + phdr[i].p_vaddr, end = start + phdr[i].p_filesz;
        switch (phdr[i].p_type) {
        case PT_LOAD:
            if (!begun) { /* they are in order, and the file's first byte is in the first */
                begun = true;
                elf->bias = head - (phdr[i].p_vaddr - phdr[i].p_offset);
                elf->start = head;
                start = elf->bias + phdr[i].p_vaddr;
                end = start + phdr[i].p_filesz;
            }
            if (phdr[i].p_flags & PF_R && elf->loads < sizeof elf->load / sizeof elf->load[0]) {
                elf->load[elf->loads].start = start;
                elf->load[elf->loads++].end = end;
            }
            elf->end = start + phdr[i].p_memsz;
            break;
        case PT_GNU_EH_FRAME:
            elf->frame_header = phdr[i].p_vaddr;
            break;
        case PT_DYNAMIC:
            elf->dynamic = phdr[i].p_vaddr;
            break;
        case PT_NOTE:
            if (elf->notes < sizeof elf->note / sizeof elf->note[0]) {
                elf->note[elf->notes].start = phdr[i].p_vaddr;
                elf->note[elf->notes++].end = phdr[i].p_vaddr + phdr[i].p_filesz;
            }
            break;
        }
    }
    /* Those that may stand before the first PT_LOAD, which tells the bias. */
    elf->frame_header += elf->frame_header ? elf->bias : 0;
    elf->dynamic += elf->dynamic ? elf->bias : 0;
    elf->dynamic = elf->dynamic % sizeof(ElfW(Addr)) == 0 ? elf->dynamic : 0;
    for (unsigned i = 0; i < elf->notes; i++) {
        elf->note[i].start += elf->bias;
        elf->note[i].end += elf->bias;
    }
    return begun;
}

uintptr_t elf_mapped_until(const struct elf *elf, uintptr_t address)
{
    for (unsigned i = 0; i < elf->loads; i++) {
        if (address >= elf->load[i].start && address < elf->load[i].end) {
            return elf->load[i].end;
        }
    }
    return 0;
}

static bool mapped(const struct elf *elf, uintptr_t address, size_t bytes)
{
    return elf_mapped_until(elf, address) - address >= bytes && elf_mapped_until(elf, address) != 0;
}

uintptr_t elf_build_id(const struct elf *elf)
{
    uintptr_t head = elf->start;
    for (unsigned i = 0; i < elf->notes; i++) {
        uintptr_t at = elf->note[i].start, end = elf->note[i].end;
        while (at % 4 == 0 && end - at >= sizeof(ElfW(Nhdr)) && at - head < ELF_PAGE - 32 && mapped(elf, at, 32)) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(note + 1, "GNU", 4) == 0) {
                return at - head;
            }
            uintptr_t next = at + sizeof *note + ((note->n_namesz + 3) & ~3u) + ((note->n_descsz + 3) & ~3u);
            if (next <= at || next > end) {
                break;
            }
            at = next;
        }
    }
    return 0;
}

struct symbols {
    const ElfW(Sym) * table;
    uintptr_t strings;
    size_t count;
};

/* The hash table of GNU has no count: its last chain ends with the last symbol. */
static size_t count_by_gnu_hash(const struct elf *elf, uintptr_t at)
{
    struct {
        uint32_t buckets, first, filters, shift;
    } head;
    if (at % sizeof(uint32_t) != 0 || !mapped(elf, at, sizeof head)) {
        return 0;
    }
    memcpy(&head, (const void *)at, sizeof head);
    uintptr_t buckets = at + sizeof head + head.filters * sizeof(ElfW(Addr));
    uintptr_t chains = buckets + head.buckets * sizeof(uint32_t);
    uint32_t last = 0;
    if (!mapped(elf, buckets, head.buckets * sizeof(uint32_t))) {
        return 0;
    }
    for (uint32_t i = 0; i < head.buckets; i++) {
        uint32_t first = ((const uint32_t *)buckets)[i];
        last = first > last ? first : last;
    }
    if (last < head.first) {
        return 0;
    }
    for (;; last++) {
        uintptr_t link = chains + (last - head.first) * sizeof(uint32_t);
        if (!mapped(elf, link, sizeof(uint32_t))) {
            return 0;
        }
        if (*(const uint32_t *)link & 1) {
            return last + 1;
        }
    }
}

static bool read_symbols(const struct elf *elf, struct symbols *symbols)
{
    *symbols = (struct symbols){0};
    const ElfW(Dyn) *dynamic = (const ElfW(Dyn) *)elf->dynamic;
    for (; dynamic && mapped(elf, (uintptr_t)dynamic, sizeof *dynamic) && dynamic->d_tag != DT_NULL; dynamic++) {
        uintptr_t at = dynamic->d_un.d_ptr; /* glibc makes addresses of them, others leave them as in the file */
        at += at < elf->start ? elf->bias : 0;
        switch (dynamic->d_tag) {
        case DT_SYMTAB:
            symbols->table = (const ElfW(Sym) *)at;
            break;
        case DT_STRTAB:
            symbols->strings = at;
            break;
        case DT_HASH:
            symbols->count =
                at % sizeof(uint32_t) == 0 && mapped(elf, at, 8) ? ((const uint32_t *)at)[1] : symbols->count;
            break;
        case DT_GNU_HASH:
            symbols->count = symbols->count ? symbols->count : count_by_gnu_hash(elf, at);
            break;
        }
    }
    return symbols->table && (uintptr_t)symbols->table % sizeof(ElfW(Addr)) == 0 && symbols->count &&
           mapped(elf, (uintptr_t)symbols->table, symbols->count * sizeof(ElfW(Sym)));
}

static bool is_function(const ElfW(Sym) * symbol)
{
    unsigned type = symbol->st_info & 0xf;
    return symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC);
}

uintptr_t elf_function_at(const struct elf *elf, uintptr_t address, char *name, size_t size)
{
    struct symbols symbols;
    uintptr_t best = 0, best_name = 0;
    if (!read_symbols(elf, &symbols)) {
        return 0;
    }
    for (size_t i = 0; i < symbols.count; i++) {
        const ElfW(Sym) *symbol = &symbols.table[i];
        uintptr_t start = elf->bias + symbol->st_value, text = symbols.strings + symbol->st_name;
        if (!is_function(symbol) || start < best || start > address || address - start >= symbol->st_size ||
            !mapped(elf, text, 1)) {
            continue;
        }
        /* Of many names for one place the one for users. */
        if (start > best || best_name == 0 || *(const char *)best_name == '_') {
            best = start;
            best_name = text;
        }
    }
    if (best == 0) {
        return 0;
    }
    size_t room = elf_mapped_until(elf, best_name) - best_name, length = 0;
    for (; length < size - 1 && length < room && ((const char *)best_name)[length]; length++) {
        name[length] = ((const char *)best_name)[length];
    }
    name[length] = 0;
    return best;
}

uintptr_t elf_entry_named(const struct elf *elf, const char *name, size_t *next)
{
    struct symbols symbols;
    size_t length = strlen(name) + 1;
    if (!read_symbols(elf, &symbols)) {
        return 0;
    }
    while (*next < symbols.count) {
        const ElfW(Sym) *symbol = &symbols.table[(*next)++];
        uintptr_t text = symbols.strings + symbol->st_name;
        if (is_function(symbol) && mapped(elf, text, length) && memcmp((const char *)text, name, length) == 0) {
            return (uintptr_t)symbol;
        }
    }
    return 0;
}

uintptr_t elf_function_named(const struct elf *elf, const char *name)
{
    size_t next = 0;
    const ElfW(Sym) *symbol = (const ElfW(Sym) *)elf_entry_named(elf, name, &next);
    return symbol ? elf->bias + symbol->st_value : 0;
}
