/* See descriptor.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "descriptor.h"

enum { PIECE = 1 << 20 };

bool descriptor_read(int memory, void *out, size_t bytes, uint64_t at)
{
    return pread(memory, out, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool is_desc(int memory, uint64_t at, bool *other)
{
    struct core_desc d;
    if (!descriptor_read(memory, &d, sizeof d, at) || memcmp(d.magic, CORE_DESC_MAGIC, sizeof d.magic) != 0 ||
        (uintptr_t)d.self != at || !d.in_use) {
        return false;
    }
    bool same = d.bytes == sizeof d && d.version == CORE_DESC_VERSION;
    *other |= !same;
    return same;
}

static uint64_t find_in(int memory, uint64_t from, uint64_t to, char *piece, bool *other)
{
    const size_t overlap = sizeof(struct core_desc);
    for (uint64_t at = from; at < to; at += PIECE - overlap) {
        ssize_t got = pread(memory, piece, to - at < PIECE ? to - at : PIECE, (off_t)at);
        const char *end = piece + (got > 0 ? got : 0);
        for (const char *c = piece; (c = memmem(c, (size_t)(end - c), CORE_DESC_MAGIC, sizeof CORE_DESC_MAGIC - 1));
             c++) {
            if (is_desc(memory, at + (uint64_t)(c - piece), other)) {
                return at + (uint64_t)(c - piece);
            }
        }
        if (got <= 0 || to - at <= PIECE) {
            return 0;
        }
    }
    return 0;
}

/* In a file's writable data, where a library's or a static program's lies. */
uint64_t descriptor_find(pid_t pid, int memory, bool *other)
{
    char path[64], line[8192];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    int error = maps ? 0 : errno;
    char *piece = malloc(PIECE);
    uint64_t found = 0;
    *other = false;
    while (maps && piece && !found && fgets(line, sizeof line, maps)) {
        uint64_t from, to;
        char flags[8];
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, flags) == 3 && strcmp(flags, "rw-p") == 0 &&
            strchr(line, '/')) {
            found = find_in(memory, from, to, piece, other);
        }
    }
    free(piece);
    if (maps) {
        fclose(maps);
    }
    errno = error;
    return found;
}

static bool write_at(int memory, const void *from, size_t bytes, uint64_t at)
{
    return pwrite(memory, from, bytes, (off_t)at) == (ssize_t)bytes;
}

/* Where the half of a word is that is for one of both. */
static uint64_t half_of(uint64_t word, bool page) { return word + (page ? sizeof(uint16_t) : 0); }

int descriptor_ask(int memory, uint64_t desc, const char *path, uint16_t *number)
{
    char room[CORE_DESC_PATH] = "";
    uint64_t asked = half_of(desc + offsetof(struct core_desc, asked), !path);
    if (path && strlen(path) >= sizeof room) {
        return -ENAMETOOLONG;
    }
    if (!descriptor_read(memory, number, sizeof *number, asked)) {
        return -ESRCH;
    }
    strcpy(room, path ? path : "");
    ++*number;
    errno = EIO;
    bool done = (!path || write_at(memory, room, sizeof room, desc + offsetof(struct core_desc, path))) &&
                write_at(memory, number, sizeof *number, asked);
    return done ? 0 : -errno;
}

int descriptor_answer(int memory, uint64_t desc, bool page, uint16_t number, int *error)
{
    uint16_t answered;
    int32_t said;
    uint64_t at = desc + (page ? offsetof(struct core_desc, page_error) : offsetof(struct core_desc, error));
    if (!descriptor_read(memory, &answered, sizeof answered,
                         half_of(desc + offsetof(struct core_desc, answered), page)) ||
        !descriptor_read(memory, &said, sizeof said, at)) {
        return -1;
    }
    *error = said;
    return answered == number;
}
