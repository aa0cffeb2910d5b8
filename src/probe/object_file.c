/* probe/object_file.c - see probe/object_file.h. */
#include "probe/object_file.h"

#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/bits.h"
#include "os/memory.h"
#include "os/process.h"
#include "probe/elf.h"

size_t object_build_id(const struct object *object, unsigned char *id, size_t size)
{
    struct elf elf;
    uintptr_t at = elf_read(object->head, &elf) ? elf_build_id(&elf) : 0;
    if (!at) {
        return 0;
    }
    const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(object->head + at);
    uintptr_t bytes = (uintptr_t)note + sizeof *note + ((note->n_namesz + 3) & ~3u);
    size_t length = size_min(note->n_descsz, size);
    if (elf_mapped_until(&elf, bytes) < bytes + length) {
        return 0;
    }
    memcpy(id, (const void *)bytes, length);
    return length;
}

/* What libc has allocated may be overwritten: nothing is read that cannot be. */
static void copy(uintptr_t from, char *path, size_t size)
{
    size_t length = 0;
    bool readable = os_readable(from & ~(uintptr_t)7);
    for (; readable && length < size - 1 && *(const char *)from; from++) {
        path[length++] = *(const char *)from;
        readable = (from + 1) % ELF_PAGE != 0 || os_readable(from + 1);
    }
    path[length] = 0;
}

void object_path(const struct object *object, char *path, size_t size)
{
    uintptr_t field = object->map + offsetof(struct link_map, l_name), name = 0;
    path[0] = 0;
    if (object_is_program(object)) {
        os_program(path, (unsigned)size);
    } else if (object->map && os_readable(field)) {
        memcpy(&name, (const void *)field, sizeof name);
        if (name) {
            copy(name, path, size);
        }
    }
    if (!path[0] && object->head == getauxval(AT_SYSINFO_EHDR)) {
        strcpy(path, "linux-vdso.so.1");
    }
}
