/* See behind.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/behind.h"
#include "record/writer.h"
#include "scratch.h"

/* The pieces of one. A file that a process did not write to its end is found to be none when it is read. */
static void put(struct writer *w, int from, unsigned char *piece)
{
    struct stat st;
    uint64_t bytes = fstat(from, &st) == 0 ? (uint64_t)st.st_size : 0;
    for (uint64_t at = 0; at < bytes && !w->error;) {
        size_t length = bytes - at < FILE_PAYLOAD / 2 ? (size_t)(bytes - at) : FILE_PAYLOAD / 2;
        int failed = scratch_read(from, piece, length, at);
        if (failed) {
            writer_fail(w, failed);
            return;
        }
        at += length;
        writer_frame(w, (struct file_frame){.kind = FILE_KIND_SNAPSHOT, .count = at == bytes},
                     &(struct part){piece, length}, 1);
    }
}

/* Of a file that ends with its tail. */
static bool open_behind(struct writer *w, const char *trace, uint64_t *end)
{
    struct stat st;
    struct file_tail tail;
    int fd = open(trace, O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof tail ||
        scratch_read(fd, &tail, sizeof tail, (uint64_t)st.st_size - sizeof tail) != 0 ||
        memcmp(tail.magic, FILE_TAIL, sizeof tail.magic) != 0 || !writer_continue(w, fd)) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    *end = tail.end;
    return true;
}

int behind_put(const char *trace, const char *folder)
{
    struct writer w = {0};
    uint64_t end;
    unsigned char *piece = trace ? malloc(FILE_PAYLOAD / 2) : NULL;
    bool writes = false;
    DIR *all = opendir(folder);
    for (const struct dirent *entry; all && (entry = readdir(all)) != NULL;) {
        char path[PATH_MAX + 300];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        int from = piece ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
        writes = writes || (from >= 0 && open_behind(&w, trace, &end));
        if (from >= 0 && writes) {
            put(&w, from, piece);
        }
        if (from >= 0) {
            close(from);
        }
        unlink(path);
    }
    if (all) {
        closedir(all);
    }
    rmdir(folder);
    free(piece);
    if (writes) {
        writer_close(&w, end);
    }
    return w.error;
}
