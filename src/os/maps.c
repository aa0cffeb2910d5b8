/* os/maps.c - see os/maps.h: /proc/self/maps, in one go as far as the kernel gives it. */
#define _GNU_SOURCE
#include "os/maps.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/memory.h"

/* All of it, ended by a 0. Made longer until it fits; the list is read anew then, as it may have changed. */
static bool read_text(struct os_maps *m)
{
    enum { FIRST = 256 << 10 };
    for (size_t room = FIRST;; room *= 2) {
        m->text = os_map(room);
        m->text_room = m->text ? room : 0;
        long fd = m->text ? syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0) {
            return false;
        }
        size_t have = 0;
        long got = 1;
        while (got > 0 && have < room - 1) {
            got = syscall(SYS_read, fd, m->text + have, room - 1 - have);
            have += got > 0 ? (size_t)got : 0;
        }
        syscall(SYS_close, fd);
        if (got <= 0) {
            m->text[have] = 0;
            return got == 0;
        }
        os_unmap(m->text, room);
    }
}

static uintptr_t hex(char **at)
{
    uintptr_t value = 0;
    for (;; ++*at) {
        unsigned digit = **at >= '0' && **at <= '9' ? (unsigned)(**at - '0') : (unsigned)(**at - 'a') + 10;
        if (digit > 15) {
            return value;
        }
        value = value << 4 | digit;
    }
}

/* from-to rwxp offset device inode    name */
static struct os_mapping read_line(char *at)
{
    struct os_mapping m = {.from = hex(&at)};
    at += *at == '-';
    m.to = hex(&at);
    at += *at == ' ';
    static const char flags[] = "rwxs";
    for (unsigned i = 0; i < 4 && *at; i++, at++) {
        m.flags |= *at == flags[i] ? 1u << i : 0;
    }
    at += *at == ' ';
    m.offset = hex(&at);
    for (unsigned fields = 0; fields < 2 && *at; fields++) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    m.name = at + strspn(at, " ");
    return m;
}

bool os_maps_read(struct os_maps *m)
{
    *m = (struct os_maps){0};
    if (!read_text(m)) {
        os_maps_free(m);
        return false;
    }
    for (const char *c = m->text; *c; c++) {
        m->room += *c == '\n';
    }
    m->mapping = os_map((m->room + 1) * sizeof *m->mapping);
    if (!m->mapping) {
        os_maps_free(m);
        return false;
    }
    for (char *line = m->text, *end; *line && m->count < m->room; line = end + 1) {
        end = strchr(line, '\n');
        *end = 0;
        m->mapping[m->count++] = read_line(line);
    }
    return true;
}

void os_maps_free(struct os_maps *m)
{
    if (m->text) {
        os_unmap(m->text, m->text_room);
    }
    if (m->mapping) {
        os_unmap(m->mapping, (m->room + 1) * sizeof *m->mapping);
    }
    *m = (struct os_maps){0};
}

const struct os_mapping *os_maps_find(const struct os_maps *maps, uintptr_t address)
{
    size_t from = 0, to = maps->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (maps->mapping[middle].to <= address) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < maps->count && maps->mapping[from].from <= address ? &maps->mapping[from] : NULL;
}

bool os_maps_can_read(const struct os_maps *maps, uintptr_t from, size_t bytes)
{
    const struct os_mapping *m = os_maps_find(maps, from), *end = maps->mapping + maps->count;
    while (m && m->flags & OS_MAP_READ && bytes > m->to - from) {
        bytes -= m->to - from;
        from = m->to;
        m = m + 1 < end && m[1].from == from ? m + 1 : NULL;
    }
    return m && m->flags & OS_MAP_READ;
}
