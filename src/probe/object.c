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

#include "base/bits.h"
#include "os/memory.h"
#include "probe/elf.h"

#ifndef DLFO_STRUCT_HAS_EH_DBASE /* as glibc 2.35 declares it */
struct dl_find_object {
    unsigned long long dlfo_flags;
    void *dlfo_map_start, *dlfo_map_end;
    struct link_map *dlfo_link_map;
    void *dlfo_eh_frame;
    unsigned long long reserved[7];
};
#endif

/* Of a page whether an ELF header is there, and if so where in it the note with the build id is. It is kept, by the page, in
 * the bits below its number. */
enum { NO_NOTE = 0, NO_HEADER = 1 };

static unsigned known_of(uintptr_t page)
{
    enum { KNOWN = 256 };
    static _Atomic uint64_t pages[KNOWN];
    _Atomic uint64_t *known = &pages[page * 0x9e3779b97f4a7c15u >> 56];
    uint64_t word = atomic_load_explicit(known, memory_order_relaxed);
    if (unlikely(word / ELF_PAGE != page / ELF_PAGE || page == 0)) {
        struct elf elf;
        word = page | (elf_read(page, &elf) ? elf_build_id(&elf) : NO_HEADER);
        atomic_store_explicit(known, word, memory_order_relaxed);
    }
    return word % ELF_PAGE;
}

static uint64_t mark_of(uintptr_t head)
{
    unsigned known = known_of(head);
    uint64_t length = 0, id = 0;
    if (known != NO_HEADER) {
        memcpy(&length, (const void *)(head + offsetof(ElfW(Ehdr), e_shoff)), sizeof length);
    }
    if (known > NO_HEADER) {
        memcpy(&id, (const void *)(head + known + sizeof(ElfW(Nhdr)) + 4), sizeof id);
    }
    return object_mark(head, id, length);
}

static bool spans(uintptr_t head, uintptr_t address, struct object *object)
{
    struct elf elf;
    if (head == 0 || address < head || !elf_read(head, &elf) || address >= elf.end) {
        return false;
    }
    *object = (struct object){.start = elf.start, .end = elf.end, .head = head};
    return true;
}

/* The list for debuggers, which the program's dynamic section leads to. */
static uintptr_t first_map(void)
{
    struct elf elf;
    if (!elf_read(elf_program(), &elf)) {
        return 0;
    }
    const ElfW(Dyn) *dynamic = (const ElfW(Dyn) *)elf.dynamic;
    for (; dynamic && elf_mapped_until(&elf, (uintptr_t)dynamic) != 0 && dynamic->d_tag != DT_NULL; dynamic++) {
        if (dynamic->d_tag == DT_DEBUG && dynamic->d_un.d_ptr != 0) {
            return (uintptr_t)((const struct r_debug *)dynamic->d_un.d_ptr)->r_map;
        }
    }
    return 0;
}

enum { MAPS_MOST = 4096 }; /* a list that is broken may be a ring */

static bool map_is_readable(uintptr_t at)
{
    return at % sizeof at == 0 && os_readable(at) && os_readable(at + offsetof(struct link_map, l_next));
}

static bool in_list(uintptr_t address, struct object *object)
{
    uintptr_t at = first_map();
    for (unsigned i = 0; i < MAPS_MOST && map_is_readable(at); i++) {
        const struct link_map *map = (const struct link_map *)at;
        if (spans(map->l_addr, address, object)) {
            object->map = at;
            return true;
        }
        at = (uintptr_t)map->l_next;
    }
    return false;
}

#if defined(__GLIBC__)
/* libc needs the loader, so both are there from the start, and so are those before them; it appends what dlopen loads. */
static bool is_before_loader(uintptr_t map)
{
    enum { UNKNOWN, NONE };
    static _Atomic uintptr_t known_first, known_loader; /* the last set is the loader's map */
    uintptr_t loader = atomic_load_explicit(&known_loader, memory_order_acquire);
    if (unlikely(loader == UNKNOWN)) {
        uintptr_t base = getauxval(AT_BASE), first = first_map(), at = first;
        loader = NONE;
        for (unsigned i = 0; base != 0 && i < MAPS_MOST && loader == NONE && map_is_readable(at); i++) {
            const struct link_map *link = (const struct link_map *)at;
            loader = link->l_addr == base ? at : NONE;
            at = (uintptr_t)link->l_next;
        }
        atomic_store_explicit(&known_first, first, memory_order_relaxed);
        atomic_store_explicit(&known_loader, loader, memory_order_release);
    }
    if (map == 0 || loader == NONE) {
        return false;
    }
    uintptr_t at = atomic_load_explicit(&known_first, memory_order_relaxed);
    while (at != map && at != loader) {
        at = (uintptr_t)((const struct link_map *)at)->l_next;
    }
    return at == map;
}
#endif

static bool stays(const struct object *object)
{
#if defined(__GLIBC__)
    return is_before_loader(object->map) || object->head == elf_program() || object->head == getauxval(AT_SYSINFO_EHDR);
#else
    return object != NULL;
#endif
}

/* Looked up by hand, as a name that is linked to would keep the library from programs on an older glibc, though it can do without.
 * libc is where one of its functions is; it was there at the start, and so were those before it in the list. */
typedef int find_function(void *address, struct dl_find_object *result);

static find_function *libcs_own(void)
{
    enum { UNKNOWN, NONE };
    static _Atomic uintptr_t known;
    uintptr_t found = atomic_load_explicit(&known, memory_order_relaxed);
    if (unlikely(found == UNKNOWN)) {
        struct object libc;
        struct elf elf;
        found = NONE;
        if (in_list((uintptr_t)getauxval, &libc) && elf_read(libc.head, &elf)) {
            uintptr_t function = elf_function_named(&elf, "_dl_find_object");
            found = function ? function : NONE;
        }
        atomic_store_explicit(&known, found, memory_order_relaxed);
    }
    return found == NONE ? NULL : (find_function *)found;
}

/* Of an object with holes libc tells the part: its header is where it is said to be loaded, or the program's. */
static uintptr_t head_of(uintptr_t start, const struct link_map *map)
{
    return likely(known_of(start) != NO_HEADER) ? start : map->l_addr ? map->l_addr : elf_program();
}

static bool find_object(uintptr_t address, struct object *object)
{
    struct dl_find_object found;
    find_function *find = libcs_own();
    if (find) {
        if (find((void *)address, &found) != 0) {
            return false;
        }
        uintptr_t start = (uintptr_t)found.dlfo_map_start, head = head_of(start, found.dlfo_link_map);
        *object = (struct object){start, (uintptr_t)found.dlfo_map_end, head, (uintptr_t)found.dlfo_link_map, 0};
        return true;
    }
    return spans(elf_program(), address, object) || in_list(address, object) ||
           spans(getauxval(AT_SYSINFO_EHDR), address, object);
}

bool object_find(uintptr_t address, struct object *object)
{
    bool found = find_object(address, object);
    if (found) {
        object->mark = stays(object) ? 0 : mark_of(object->head);
    }
    return found;
}

bool object_is_still(const struct object *object)
{
    struct object now;
    return object_find(object->start, &now) && now.start == object->start && now.mark == object->mark;
}

bool object_is_program(const struct object *object) { return object->head == elf_program(); }

uintptr_t object_bias(const struct object *object)
{
    struct elf elf;
    return elf_read(object->head, &elf) ? elf.bias : object->head;
}

/* A program that is linked static has call frame information, but no header that leads to it; its file's section headers do. */
static bool read_at(int fd, void *out, size_t bytes, uint64_t offset)
{
    return syscall(SYS_pread64, fd, out, bytes, offset) == (long)bytes;
}

static uintptr_t frame_section_in_file(void)
{
    uintptr_t section = 0;
    ElfW(Ehdr) header;
    ElfW(Shdr) names, one;
    char name[sizeof ".eh_frame"];
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    if (read_at(fd, &header, sizeof header, 0) && header.e_shentsize == sizeof one &&
        read_at(fd, &names, sizeof names, header.e_shoff + header.e_shstrndx * sizeof one)) {
        for (unsigned i = 0; i < header.e_shnum && section == 0; i++) {
            if (read_at(fd, &one, sizeof one, header.e_shoff + i * sizeof one) && one.sh_flags & SHF_ALLOC &&
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
    struct elf elf;
    if (!elf_read(object->head, &elf)) {
        return false;
    }
    *image = (struct cfi_image){.header = elf.frame_header};
    if (!image->header && object_is_program(object)) {
        uintptr_t section = program_frame_section();
        image->section = section ? elf.bias + section : 0;
    }
    uintptr_t at = image->header ? image->header : image->section;
    for (unsigned i = 0; i < elf.loads; i++) {
        if (at >= elf.load[i].start && at < elf.load[i].end) {
            image->start = elf.load[i].start;
            image->end = elf.load[i].end;
        }
    }
    return image->end != 0;
}

uintptr_t object_function(const struct object *object, uintptr_t address, char *name, size_t size)
{
    struct elf elf;
    return elf_read(object->head, &elf) ? elf_function_at(&elf, address, name, size) : 0;
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
        readable = (path + 1) % ELF_PAGE != 0 || os_readable(path + 1);
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
    } else if (object->head == getauxval(AT_SYSINFO_EHDR)) {
        strcpy(link, "linux-vdso.so.1");
    }
    copy_last((uintptr_t)link, name, size);
}
