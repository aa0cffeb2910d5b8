/* probe/object.c - see probe/object.h. */
#define _GNU_SOURCE
#include "probe/object.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/memory.h"

#ifndef DLFO_STRUCT_HAS_EH_DBASE /* as glibc 2.35 declares it */
struct dl_find_object {
    unsigned long long dlfo_flags;
    void *dlfo_map_start, *dlfo_map_end;
    struct link_map *dlfo_link_map;
    void *dlfo_eh_frame;
    unsigned long long reserved[7];
};
int _dl_find_object(void *address, struct dl_find_object *result);
#endif
#pragma weak _dl_find_object

enum { PAGE = 4096 }; /* the smallest there is */

/* The program headers of an object, as addresses of this process. */
struct parts {
    uintptr_t bias, start, end;
    uintptr_t frame_header, dynamic; /* 0: none */
    unsigned notes, loads;
    struct {
        uintptr_t start, end;
    } load[8], note[4]; /* what of the file is mapped, readable */
};

static bool read_parts(uintptr_t head, struct parts *parts)
{
    const ElfW(Ehdr) *elf = (const ElfW(Ehdr) *)head;
    if (head % PAGE != 0 || !os_readable(head) || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
        elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_phentsize != sizeof(ElfW(Phdr)) || elf->e_phoff % 8 != 0 ||
        elf->e_phoff + elf->e_phnum * sizeof(ElfW(Phdr)) > PAGE) {
        return false;
    }
    const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)(head + elf->e_phoff);
    *parts = (struct parts){.end = head};
    bool begun = false;
    for (unsigned i = 0; i < elf->e_phnum; i++) {
        uintptr_t start = parts->bias + phdr[i].p_vaddr, end = start + phdr[i].p_filesz;
        switch (phdr[i].p_type) {
        case PT_LOAD:
            if (!begun) { /* they are in order, and the file's first byte is in the first */
                begun = true;
                parts->bias = head - (phdr[i].p_vaddr - phdr[i].p_offset);
                parts->start = head;
                start = parts->bias + phdr[i].p_vaddr;
                end = start + phdr[i].p_filesz;
            }
            if (phdr[i].p_flags & PF_R && parts->loads < sizeof parts->load / sizeof parts->load[0]) {
                parts->load[parts->loads].start = start;
                parts->load[parts->loads++].end = end;
            }
            parts->end = start + phdr[i].p_memsz;
            break;
        case PT_GNU_EH_FRAME:
            parts->frame_header = phdr[i].p_vaddr;
            break;
        case PT_DYNAMIC:
            parts->dynamic = phdr[i].p_vaddr;
            break;
        case PT_NOTE:
            if (parts->notes < sizeof parts->note / sizeof parts->note[0]) {
                parts->note[parts->notes].start = phdr[i].p_vaddr;
                parts->note[parts->notes++].end = phdr[i].p_vaddr + phdr[i].p_filesz;
            }
            break;
        }
    }
    /* Those that may stand before the first PT_LOAD, which tells the bias. */
    parts->frame_header += parts->frame_header ? parts->bias : 0;
    parts->dynamic += parts->dynamic ? parts->bias : 0;
    for (unsigned i = 0; i < parts->notes; i++) {
        parts->note[i].start += parts->bias;
        parts->note[i].end += parts->bias;
    }
    return begun;
}

/* The end of what is mapped of the file there, 0 when nothing is. */
static uintptr_t mapped_until(const struct parts *parts, uintptr_t address)
{
    for (unsigned i = 0; i < parts->loads; i++) {
        if (address >= parts->load[i].start && address < parts->load[i].end) {
            return parts->load[i].end;
        }
    }
    return 0;
}

static bool mapped(const struct parts *parts, uintptr_t address, size_t bytes)
{
    return mapped_until(parts, address) - address >= bytes && mapped_until(parts, address) != 0;
}

/* Marks. An object's build id tells it from any other; where it stands in the first page is kept, by the page: 12 bits of
 * offset below the page's number. Without one, the length of the file has to do. */

static _Atomic uint64_t known_notes[64];

enum { NO_NOTE = 0, NO_HEADER = 1 };

static uint64_t find_build_id(uintptr_t head)
{
    struct parts parts;
    if (!read_parts(head, &parts)) {
        return NO_HEADER;
    }
    for (unsigned i = 0; i < parts.notes; i++) {
        uintptr_t at = parts.note[i].start, end = parts.note[i].end;
        while (at % 4 == 0 && end - at >= sizeof(ElfW(Nhdr)) && at - head < PAGE - 32 && mapped(&parts, at, 32)) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
            if (note->n_type == NT_GNU_BUILD_ID) {
                return at - head;
            }
            uintptr_t next = at + sizeof *note + ((note->n_namesz + 3) & ~3u) + ((note->n_descsz + 3) & ~3u);
            if (next <= at || next > end) {
                break;
            }
            at = next;
        }
    }
    return NO_NOTE;
}

static uint64_t mark_of(uintptr_t head)
{
    _Atomic uint64_t *known = &known_notes[head / PAGE % 64];
    uint64_t word = atomic_load_explicit(known, memory_order_relaxed);
    uint64_t length = 0, id = 0;
    if (word >> 12 != head / PAGE) {
        word = head | find_build_id(head);
        atomic_store_explicit(known, word, memory_order_relaxed);
    }
    if (word % PAGE == NO_HEADER) {
        return head;
    }
    memcpy(&length, (const void *)(head + offsetof(ElfW(Ehdr), e_shoff)), sizeof length);
    if (word % PAGE != NO_NOTE) {
        memcpy(&id, (const void *)(head + word % PAGE + sizeof(ElfW(Nhdr)) + 4), sizeof id);
    }
    return ((id ^ length) * 0x9e3779b97f4a7c15u ^ head) * 0xbf58476d1ce4e5b9u;
}

/* Without _dl_find_object. */

/* Where the program's ELF header is: the program headers come right after it. */
static uintptr_t program_head(void)
{
    uintptr_t head = getauxval(AT_PHDR) - sizeof(ElfW(Ehdr));
    return head % PAGE == 0 ? head : 0;
}

static bool spans(uintptr_t head, uintptr_t address, struct object *object)
{
    struct parts parts;
    if (head == 0 || address < head || !read_parts(head, &parts) || address >= parts.end) {
        return false;
    }
    *object = (struct object){.start = parts.start, .end = parts.end, .mark = mark_of(head)};
    return true;
}

/* The list for debuggers, which the program's dynamic section leads to. */
static uintptr_t first_map(void)
{
    struct parts parts;
    if (!read_parts(program_head(), &parts)) {
        return 0;
    }
    const ElfW(Dyn) *dynamic = (const ElfW(Dyn) *)parts.dynamic;
    for (; dynamic && mapped(&parts, (uintptr_t)dynamic, sizeof *dynamic) && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_DEBUG && dynamic->d_un.d_ptr != 0) {
            return (uintptr_t)((const struct r_debug *)dynamic->d_un.d_ptr)->r_map;
        }
    }
    return 0;
}

static bool in_list(uintptr_t address, struct object *object)
{
    enum { MOST = 4096 }; /* a list that is broken may be a ring */
    uintptr_t at = first_map();
    for (unsigned i = 0;
         i < MOST && at % sizeof at == 0 && os_readable(at) && os_readable(at + offsetof(struct link_map, l_next));
         i++) {
        const struct link_map *map = (const struct link_map *)at;
        if (spans(map->l_addr, address, object)) {
            object->map = at;
            return true;
        }
        at = (uintptr_t)map->l_next;
    }
    return false;
}

bool object_find(uintptr_t address, struct object *object)
{
    struct dl_find_object found;
    if (_dl_find_object) {
        if (_dl_find_object((void *)address, &found) != 0) {
            return false;
        }
        uintptr_t head = (uintptr_t)found.dlfo_map_start;
        *object = (struct object){head, (uintptr_t)found.dlfo_map_end, (uintptr_t)found.dlfo_link_map, mark_of(head)};
        return true;
    }
    return spans(program_head(), address, object) || in_list(address, object) ||
           spans(getauxval(AT_SYSINFO_EHDR), address, object);
}

bool object_is_program(const struct object *object) { return object->start == program_head(); }

uintptr_t object_bias(const struct object *object)
{
    struct parts parts;
    return read_parts(object->start, &parts) ? parts.bias : object->start;
}

/* A program that is linked static has call frame information, but no header that leads to it; its file's section headers do. */
static bool read_at(int fd, void *out, size_t bytes, uint64_t offset)
{
    return syscall(SYS_pread64, fd, out, bytes, offset) == (long)bytes;
}

static uintptr_t frame_section_in_file(void)
{
    uintptr_t section = 0;
    ElfW(Ehdr) elf;
    ElfW(Shdr) names, one;
    char name[sizeof ".eh_frame"];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    if (read_at(fd, &elf, sizeof elf, 0) && elf.e_shentsize == sizeof one &&
        read_at(fd, &names, sizeof names, elf.e_shoff + elf.e_shstrndx * sizeof one)) {
        for (unsigned i = 0; i < elf.e_shnum && section == 0; i++) {
            if (read_at(fd, &one, sizeof one, elf.e_shoff + i * sizeof one) && one.sh_flags & SHF_ALLOC &&
                read_at(fd, name, sizeof name, names.sh_offset + one.sh_name) &&
                memcmp(name, ".eh_frame", sizeof name) == 0) {
                section = one.sh_addr;
            }
        }
    }
    syscall(SYS_close, fd);
    return section;
}

static uintptr_t program_frame_section(void)
{
    enum { UNKNOWN, NONE }; /* or where it is in the file */
    static _Atomic uintptr_t known;
    uintptr_t section = atomic_load_explicit(&known, memory_order_relaxed);
    if (section == UNKNOWN) {
        int saved = errno;
        section = frame_section_in_file();
        errno = saved;
        section = section ? section : NONE;
        atomic_store_explicit(&known, section, memory_order_relaxed);
    }
    return section == NONE ? 0 : section;
}

bool object_image(const struct object *object, struct cfi_image *image)
{
    struct parts parts;
    if (!read_parts(object->start, &parts)) {
        return false;
    }
    *image = (struct cfi_image){.header = parts.frame_header};
    if (!image->header && object_is_program(object)) {
        uintptr_t section = program_frame_section();
        image->section = section ? parts.bias + section : 0;
    }
    uintptr_t at = image->header ? image->header : image->section;
    for (unsigned i = 0; i < parts.loads; i++) {
        if (at >= parts.load[i].start && at < parts.load[i].end) {
            image->start = parts.load[i].start;
            image->end = parts.load[i].end;
        }
    }
    return image->end != 0;
}

/* Symbols. */

struct symbols {
    const ElfW(Sym) * table;
    uintptr_t strings;
    size_t count;
};

/* The hash table of GNU has no count: its last chain ends with the last symbol. */
static size_t count_by_gnu_hash(const struct parts *parts, uintptr_t at)
{
    struct {
        uint32_t buckets, first, filters, shift;
    } head;
    if (!mapped(parts, at, sizeof head)) {
        return 0;
    }
    memcpy(&head, (const void *)at, sizeof head);
    uintptr_t buckets = at + sizeof head + head.filters * sizeof(ElfW(Addr));
    uintptr_t chains = buckets + head.buckets * sizeof(uint32_t);
    uint32_t last = 0;
    if (!mapped(parts, buckets, head.buckets * sizeof(uint32_t))) {
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
        if (!mapped(parts, link, sizeof(uint32_t))) {
            return 0;
        }
        if (*(const uint32_t *)link & 1) {
            return last + 1;
        }
    }
}

static bool read_symbols(const struct parts *parts, struct symbols *symbols)
{
    *symbols = (struct symbols){0};
    const ElfW(Dyn) *dynamic = (const ElfW(Dyn) *)parts->dynamic;
    for (; dynamic && mapped(parts, (uintptr_t)dynamic, sizeof *dynamic) && dynamic->d_tag != DT_NULL; dynamic++) {
        uintptr_t at = dynamic->d_un.d_ptr; /* glibc makes addresses of them, others leave them as in the file */
        at += at < parts->start ? parts->bias : 0;
        switch (dynamic->d_tag) {
        case DT_SYMTAB:
            symbols->table = (const ElfW(Sym) *)at;
            break;
        case DT_STRTAB:
            symbols->strings = at;
            break;
        case DT_HASH:
            symbols->count = mapped(parts, at, 8) ? ((const uint32_t *)at)[1] : symbols->count;
            break;
        case DT_GNU_HASH:
            symbols->count = symbols->count ? symbols->count : count_by_gnu_hash(parts, at);
            break;
        }
    }
    return symbols->table && symbols->count &&
           mapped(parts, (uintptr_t)symbols->table, symbols->count * sizeof(ElfW(Sym)));
}

bool object_symbol(const struct object *object, uintptr_t address, char *name, size_t size, uintptr_t *begin)
{
    struct parts parts;
    struct symbols symbols;
    if (!read_parts(object->start, &parts) || !read_symbols(&parts, &symbols)) {
        return false;
    }
    uintptr_t best = 0, best_name = 0;
    for (size_t i = 0; i < symbols.count; i++) {
        const ElfW(Sym) *symbol = &symbols.table[i];
        unsigned type = symbol->st_info & 0xf;
        uintptr_t start = parts.bias + symbol->st_value, text = symbols.strings + symbol->st_name;
        if (symbol->st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_GNU_IFUNC) || start < best ||
            start > address || address - start >= symbol->st_size || !mapped(&parts, text, 1)) {
            continue;
        }
        /* Of many names for one place the one for users. */
        if (start > best || *(const char *)best_name == '_') {
            best = start;
            best_name = text;
        }
    }
    if (best_name == 0) {
        return false;
    }
    size_t room = mapped_until(&parts, best_name) - best_name, length = 0;
    for (; length < size - 1 && length < room && ((const char *)best_name)[length]; length++) {
        name[length] = ((const char *)best_name)[length];
    }
    name[length] = 0;
    *begin = best;
    return true;
}

/* Copies the last component of a path. What libc has allocated may be overwritten: nothing is read that cannot be. */
static size_t copy_last(uintptr_t path, char *name, size_t size)
{
    size_t length = 0;
    bool readable = os_readable(path & ~(uintptr_t)7);
    for (; readable && *(const char *)path; path++) {
        char letter = *(const char *)path;
        if (letter == '/') {
            length = 0;
        } else if (length < size - 1) {
            name[length++] = letter;
        }
        readable = (path + 1) % PAGE != 0 || os_readable(path + 1);
    }
    name[length] = 0;
    return length;
}

void object_name(const struct object *object, char *name, size_t size)
{
    uintptr_t field = object->map + offsetof(struct link_map, l_name), path = 0;
    if (object->map && os_readable(field)) {
        memcpy(&path, (const void *)field, sizeof path);
    }
    if (path && !object_is_program(object) && copy_last(path, name, size) > 0) {
        return;
    }
    char link[1024] = "?";
    if (object_is_program(object)) {
        int saved = errno;
        long length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", link, sizeof link - 1);
        errno = saved;
        link[length > 0 ? length : 1] = 0;
    } else if (object->start == getauxval(AT_SYSINFO_EHDR)) {
        strcpy(link, "linux-vdso.so.1");
    }
    copy_last((uintptr_t)link, name, size);
}
