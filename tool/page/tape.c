/* See tape.h. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "page/tape.h"
#include "scratch.h"

static int write_out(struct tape *t)
{
    if (t->fd == 0) {
        int fd = scratch_open(t->folder);
        if (fd < 0) {
            return errno;
        }
        t->fd = fd;
    }
    int failed = scratch_write(t->fd, t->row, t->rows * sizeof *t->row, t->written * sizeof *t->row);
    if (failed) {
        return -failed;
    }
    t->written += t->rows;
    t->rows = 0;
    return 0;
}

void tape_put(struct tape *t, const struct tape_row *row)
{
    if (t->error) {
        return;
    }
    if (!t->row && !(t->row = malloc(TAPE_TOGETHER * sizeof *t->row))) {
        t->error = ENOMEM;
        return;
    }
    t->row[t->rows++] = *row;
    if (t->rows == TAPE_TOGETHER) {
        t->error = write_out(t);
    }
}

int tape_each(struct tape *t, void (*tell)(void *arg, const struct tape_row *row), void *arg)
{
    struct tape_row *row = t->error || !t->written ? NULL : malloc(TAPE_TOGETHER * sizeof *row);
    if (t->error || (t->written && !row)) {
        return t->error ? t->error : ENOMEM;
    }
    for (uint64_t at = 0; at < t->written; at += TAPE_TOGETHER) { /* they were written so many together */
        int failed = scratch_read(t->fd, row, TAPE_TOGETHER * sizeof *row, at * sizeof *row);
        if (failed) {
            free(row);
            return -failed;
        }
        for (size_t i = 0; i < TAPE_TOGETHER; i++) {
            tell(arg, &row[i]);
        }
    }
    free(row);
    for (size_t i = 0; i < t->rows; i++) {
        tell(arg, &t->row[i]);
    }
    return 0;
}

void tape_end(struct tape *t)
{
    if (t->fd > 0) {
        close(t->fd);
    }
    free(t->row);
    *t = (struct tape){0};
}
