/* os/cgroup.c - see os/cgroup.h.
 *
 *   /proc/self/cgroup:  0::/a/b          root/a/b/memory.high, .max, root/a/..., root/...
 *                       4:memory:/a/b    root/memory/a/b/memory.limit_in_bytes, ...
 *
 * In a container the path may lead past what is mounted there; the levels that do not exist say nothing.
 */
#define _GNU_SOURCE
#include "os/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "os/process.h"

enum { PATH_MOST = 1024 };

/* What one file of a group allows: a number, or "max". */
static size_t limit_in(const char *folder, const char *name)
{
    char path[PATH_MOST + 64], text[32];
    char *to = stpcpy(stpcpy(path, folder), "/");
    strcpy(to, name);
    if (!os_read_text(path, text, sizeof text) || text[0] < '0' || text[0] > '9') {
        return SIZE_MAX;
    }
    errno = 0;
    unsigned long long limit = strtoull(text, NULL, 10);
    /* Version 1 says "none" with the largest multiple of a page. */
    return errno || limit > PTRDIFF_MAX / 2 ? SIZE_MAX : (size_t)limit;
}

/* The least of a group, whose folder is root + path, and those above it. */
static size_t limit_of(const char *root, const char *path, const char *const *names)
{
    char folder[PATH_MOST];
    size_t above = strlen(root), limit = SIZE_MAX;
    if (path[0] != '/' || above + strlen(path) >= sizeof folder) {
        return SIZE_MAX;
    }
    strcpy(stpcpy(folder, root), path);
    for (;;) {
        for (const char *const *name = names; *name; name++) {
            limit = size_min(limit, limit_in(folder, *name));
        }
        if (folder[above] == 0) {
            return limit;
        }
        *strrchr(folder + above, '/') = 0;
    }
}

size_t os_cgroup_limit(const char *self, const char *root)
{
    static const char *const version_1[] = {"memory.limit_in_bytes", NULL};
    static const char *const version_2[] = {"memory.high", "memory.max", NULL};
    char text[4096], memory[256];
    int saved = errno;
    size_t limit = SIZE_MAX;
    if (strlen(root) + sizeof "/memory" > sizeof memory || !os_read_text(self, text, sizeof text)) {
        return limit;
    }
    strcpy(stpcpy(memory, root), "/memory");
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && rest;) {
        strsep(&line, ":");
        const char *controllers = strsep(&line, ":");
        if (line && *controllers == 0) {
            limit = size_min(limit, limit_of(root, line, version_2));
        } else if (line && strcmp(controllers, "memory") == 0) {
            limit = size_min(limit, limit_of(memory, line, version_1));
        }
    }
    errno = saved;
    return limit;
}
