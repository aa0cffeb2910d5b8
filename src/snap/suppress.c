/* snap/suppress.c - see snap/suppress.h. */
#define _GNU_SOURCE
#include "snap/suppress.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "graph/grow.h"

int suppress_read(struct suppressions *s, const char *path)
{
    *s = (struct suppressions){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC), error = fd < 0 ? -errno : 0;
    ssize_t got = 1;
    while (!error && got > 0) {
        error = grow((void **)&s->text, &s->room, s->length + 4097, 1) ? 0 : -ENOMEM;
        got = error ? 0 : read(fd, s->text + s->length, 4096);
        error = got < 0 && errno != EINTR ? -errno : error;
        s->length += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (error) {
        suppress_free(s);
        return error;
    }
    s->text[s->length] = 0;
    for (size_t i = 0; i < s->length; i++) {
        s->text[i] = s->text[i] == '\n' || s->text[i] == '\r' ? 0 : s->text[i];
    }
    return 0;
}

void suppress_free(struct suppressions *s)
{
    grow_free(s->text, s->room, 1);
    *s = (struct suppressions){0};
}

/* Greedy from the left, so a star never has to be tried again further on. */
static bool matches(const char *pattern, const char *name)
{
    bool begins = *pattern == '^';
    for (pattern += begins; *pattern; begins = false) {
        size_t length = strcspn(pattern, "*");
        bool ends = length && pattern[length] == 0 && pattern[length - 1] == '$';
        size_t piece = length - ends, left = strlen(name);
        const char *found =
            begins ? (strncmp(name, pattern, piece) == 0 ? name : NULL) : memmem(name, left, pattern, piece);
        if (ends) {
            found = left >= piece && memcmp(name + left - piece, pattern, piece) == 0 && (!begins || left == piece)
                        ? name + left - piece
                        : NULL;
        }
        if (!found) {
            return false;
        }
        name = found + piece;
        pattern += length;
        pattern += *pattern == '*';
    }
    return true;
}

bool suppress_has(const struct suppressions *s, const char *name)
{
    for (size_t at = 0; name && at < s->length; at += strlen(s->text + at) + 1) {
        const char *line = s->text + at + strspn(s->text + at, " \t");
        if (strncmp(line, "leak:", 5) == 0 && line[5] && matches(line + 5, name)) {
            return true;
        }
    }
    return false;
}
