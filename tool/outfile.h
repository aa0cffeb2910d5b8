/* Results that go to a file, whole or not at all. */
#ifndef ALLOT_TOOL_OUTFILE_H
#define ALLOT_TOOL_OUTFILE_H

/* Whether `path` could be written as things stand: 0 or -errno. Creates nothing. */
int outfile_check(const char *path);

/* Puts all that can be read from `from`, from its beginning, into `path`: 0 or -errno. An ordinary file has its old
 * contents until the new ones are complete; a device or pipe, and what lies under /dev and /proc, is written as it
 * stands. */
int outfile_write(const char *path, int from);

/* Copies all of `from`, from its beginning, to the descriptor `to`: 0 or -errno. */
int copy_whole(int from, int to);

#endif
