/* probe/mapped.c - see probe/mapped.h. */
#define _GNU_SOURCE
#include "probe/mapped.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/memory.h"
#include "probe/elf.h"
#include "probe/object.h"

/* The loadable segment that an address lies in. */
static bool find_segment(const struct object *object, uintptr_t bias, uintptr_t address, struct mapped *out)
{
    ElfW(Ehdr) header;
    memcpy(&header, (const void *)object->head, sizeof header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        ElfW(Phdr) one;
        memcpy(&one, (const void *)(elf_headers(object->head) + i * sizeof one), sizeof one);
        uintptr_t start = align_down(bias + one.p_vaddr, os_page);
        uintptr_t end = align_up(bias + one.p_vaddr + one.p_memsz, os_page);
        if (one.p_type == PT_LOAD && address >= start && address < end) {
            out->start = start;
            out->end = end;
            out->offset = align_down(one.p_offset, os_page);
            return true;
        }
    }
    return false;
}

static void copy_id(const struct object *object, const struct elf *elf, struct mapped *out)
{
    uintptr_t at = elf_build_id(elf);
    ElfW(Nhdr) note;
    out->id_length = 0;
    if (at == 0) {
        return;
    }
    memcpy(&note, (const void *)(object->head + at), sizeof note);
    size_t from = at + sizeof note + align_up(note.n_namesz, 4);
    out->id_length = size_min(size_min(note.n_descsz, MAPPED_ID), from < ELF_PAGE ? ELF_PAGE - from : 0);
    memcpy(out->id, (const void *)(object->head + from), out->id_length);
}

/* As libc knows it; what libc has allocated may be overwritten, so nothing is read that cannot be. */
static void copy_path(const struct object *object, struct mapped *out)
{
    uintptr_t field = object->map + offsetof(struct link_map, l_name), path = 0;
    size_t length = 0;
    if (object->head == getauxval(AT_SYSINFO_EHDR)) {
        strcpy(out->path, "[vdso]");
        return;
    }
    if (object_is_program(object)) {
        int saved = errno;
        long n = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", out->path, sizeof out->path - 1);
        errno = saved;
        length = n > 0 ? (size_t)n : 0;
    } else if (object->map && os_readable(field)) {
        memcpy(&path, (const void *)field, sizeof path);
        bool readable = path && os_readable(path & ~(uintptr_t)7);
        for (; readable && *(const char *)path && length < sizeof out->path - 1; path++) {
            out->path[length++] = *(const char *)path;
            readable = (path + 1) % ELF_PAGE != 0 || os_readable(path + 1);
        }
    }
    out->path[length] = 0;
    if (length == 0) {
        strcpy(out->path, "[unknown]");
    }
}

bool mapped_find(uintptr_t address, struct mapped *out)
{
    struct object object;
    struct elf elf;
    if (!object_find(address, &object) || !elf_read(object.head, &elf) ||
        !find_segment(&object, elf.bias, address, out)) {
        return false;
    }
    copy_id(&object, &elf, out);
    copy_path(&object, out);
    return true;
}
