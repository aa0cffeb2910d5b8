/* Frames of a file, whole ones only. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "trace/allot.h"

int frames_wrong(struct trace_error *error, uint64_t at, const char *what)
{
    snprintf(error->line, sizeof error->line, "%s at byte %" PRIu64, what, at);
    return -1;
}

/* All of it; false: there is not so much, or `errno`. */
static bool read_at(const struct frames *f, void *to, size_t length, uint64_t at)
{
    for (char *end = to; length > 0;) {
        ssize_t got = pread(f->fd, end, length, (off_t)at);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        if (got > 0) {
            end += got;
            at += (uint64_t)got;
            length -= (size_t)got;
        }
    }
    return true;
}

bool frames_open(struct frames *f, int fd, struct trace_about *about, struct file_head *head, char **command,
                 struct trace_error *error)
{
    struct stat st;

    *f = (struct frames){.fd = fd, .about = about};
    *command = NULL;
    if (fstat(fd, &st) != 0) {
        frames_wrong(error, 0, strerror(errno));
        return false;
    }
    f->size = (uint64_t)st.st_size;
    about->bytes = f->size;
    if (f->size < sizeof *head || !read_at(f, head, sizeof *head, 0)) {
        frames_wrong(error, f->size, "the file ends within its head,");
        return false;
    }
    if (memcmp(head->magic, FILE_MAGIC, sizeof head->magic) != 0) {
        frames_wrong(error, 0, "no trace of allot's");
        return false;
    }
    if (head->version != FILE_VERSION) {
        char what[96];
        snprintf(what, sizeof what, "version %" PRIu32 " of the format, this allot reads %d,", head->version,
                 FILE_VERSION);
        frames_wrong(error, offsetof(struct file_head, version), what);
        return false;
    }
    if (head->command_bytes > FILE_PAYLOAD || head->bytes < sizeof *head + head->command_bytes ||
        head->bytes > sizeof *head + head->command_bytes + 7) {
        frames_wrong(error, offsetof(struct file_head, bytes), "a head of a wrong length");
        return false;
    }
    char *words = malloc(head->command_bytes + 1);
    f->zstd = ZSTD_createDCtx();
    if (!words || !f->zstd) {
        free(words);
        frames_close(f);
        frames_wrong(error, 0, "no memory");
        return false;
    }
    if (!read_at(f, words, head->command_bytes, sizeof *head)) {
        free(words);
        frames_close(f);
        frames_wrong(error, f->size, "the file ends within its head,");
        return false;
    }
    uLong check = crc32(0, (const Bytef *)head, offsetof(struct file_head, check));
    if (crc32(check, (const Bytef *)words, head->command_bytes) != head->check) {
        free(words);
        frames_close(f);
        frames_wrong(error, offsetof(struct file_head, check), "the head is damaged,");
        return false;
    }
    words[head->command_bytes] = 0;
    *command = words;
    f->at = head->bytes;
    return true;
}

void frames_close(struct frames *f)
{
    ZSTD_freeDCtx(f->zstd);
    free(f->packed);
    f->zstd = NULL;
    f->packed = NULL;
}

int frames_peek(struct frames *f, struct file_frame *head, struct trace_error *error)
{
    struct stat st;

    f->about->read = f->at < f->size ? f->at : f->size;
    if (f->at + sizeof *head > f->size || !read_at(f, head, sizeof *head, f->at)) {
        /* It may still be written to. */
        if (fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > f->size) {
            f->size = f->about->bytes = (uint64_t)st.st_size;
            return frames_peek(f, head, error);
        }
        f->about->truncated = true;
        return 0;
    }
    if (head->magic != FILE_FRAME || head->kind < FILE_KIND_EVENTS || head->kind > FILE_KIND_SNAPSHOT || head->zero[0] ||
        head->zero[1] || head->zero[2]) {
        return frames_wrong(error, f->at, "no frame begins");
    }
    if (head->bytes > FILE_PAYLOAD || head->raw > FILE_PAYLOAD || head->count > FILE_NODES_MOST ||
        (head->kind == FILE_KIND_EVENTS && head->count > FILE_EVENTS)) {
        return frames_wrong(error, f->at, "a frame too large");
    }
    if (head->bytes > f->size - f->at - sizeof *head) {
        f->about->truncated = true;
        return 0;
    }
    return 1;
}

unsigned char *frames_unpack(struct frames *f, uint64_t at, const struct file_frame *head, struct trace_error *error)
{
    if (head->bytes > f->packed_room) {
        free(f->packed);
        f->packed = malloc(head->bytes);
        f->packed_room = f->packed ? head->bytes : 0;
    }
    unsigned char *raw = malloc(head->raw + 1);
    if (!raw || !f->packed_room || !read_at(f, f->packed, head->bytes, at + sizeof *head)) {
        free(raw);
        frames_wrong(error, at, raw && f->packed_room ? "cannot read the frame" : "no memory for the frame");
        return NULL;
    }
    uLong check = crc32(0, (const Bytef *)head, offsetof(struct file_frame, check));
    if (crc32(check, f->packed, head->bytes) != head->check) {
        free(raw);
        frames_wrong(error, at, "a damaged frame");
        return NULL;
    }
    size_t got = ZSTD_decompressDCtx(f->zstd, raw, head->raw, f->packed, head->bytes);
    if (ZSTD_isError(got) || got != head->raw) {
        free(raw);
        frames_wrong(error, at, "a frame that cannot be unpacked");
        return NULL;
    }
    return raw;
}
