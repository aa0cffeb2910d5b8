/* Frames: a head, and one zstd frame in which a long part is a block of its own, as like packs best with like. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>
#include <zstd.h>

#include "record/writer.h"

#define LEVEL 1
#define LONG  2048 /* bytes of a part that are worth a table of their own */

static void write_whole(struct writer *w, const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0 && !w->error;) {
        ssize_t written = write(w->fd, at, length);
        if (written >= 0) {
            at += written;
            length -= (size_t)written;
            w->at += (uint64_t)written;
        } else if (errno != EINTR) {
            w->error = -errno;
        }
    }
}

bool writer_continue(struct writer *w, int fd)
{
    *w = (struct writer){.fd = fd, .zstd = ZSTD_createCCtx()};
    if (w->zstd) {
        ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
    }
    return w->zstd;
}

bool writer_open(struct writer *w, int fd, const struct file_head *head, const char *command)
{
    static const char zeros[8];
    struct file_head full = *head;
    size_t padding = -full.command_bytes & 7;

    if (!writer_continue(w, fd)) {
        w->error = -ENOMEM;
        return false;
    }
    memcpy(full.magic, FILE_MAGIC, sizeof full.magic);
    full.version = FILE_VERSION;
    full.bytes = (uint32_t)(sizeof full + full.command_bytes + padding);
    uLong check = crc32(0, (const Bytef *)&full, offsetof(struct file_head, check));
    full.check = (uint32_t)crc32(check, (const Bytef *)command, full.command_bytes);
    write_whole(w, &full, sizeof full);
    write_whole(w, command, full.command_bytes);
    write_whole(w, zeros, padding);
    return !w->error;
}

/* Packs them into the buffer behind the head's room; false: it has no memory for it. */
static bool pack(struct writer *w, const struct part *parts, size_t count, size_t raw, size_t *packed)
{
    ZSTD_outBuffer out = {w->buffer + sizeof(struct file_frame), w->room - sizeof(struct file_frame), 0};
    bool open = false; /* a block has been begun */

    ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_only);
    ZSTD_CCtx_setPledgedSrcSize(w->zstd, raw);
    for (size_t i = 0; i < count; i++) {
        ZSTD_inBuffer in = {parts[i].bytes, parts[i].length, 0};
        bool own = parts[i].length >= LONG;
        if (own && open && ZSTD_compressStream2(w->zstd, &out, &(ZSTD_inBuffer){0}, ZSTD_e_flush) != 0) {
            return false;
        }
        while (in.pos < in.size) {
            size_t left = ZSTD_compressStream2(w->zstd, &out, &in, own ? ZSTD_e_flush : ZSTD_e_continue);
            if (ZSTD_isError(left) || (left && out.pos == out.size)) {
                return false;
            }
        }
        open = !own;
    }
    if (ZSTD_compressStream2(w->zstd, &out, &(ZSTD_inBuffer){0}, ZSTD_e_end) != 0) {
        return false;
    }
    *packed = out.pos;
    return true;
}

void writer_frame(struct writer *w, struct file_frame frame, const struct part *parts, size_t count)
{
    size_t raw = 0, packed;

    for (size_t i = 0; i < count; i++) {
        raw += parts[i].length;
    }
    size_t room = sizeof frame + ZSTD_compressBound(raw) + 64 * count;
    if (room > w->room) {
        free(w->buffer);
        w->buffer = malloc(room);
        w->room = w->buffer ? room : 0;
    }
    if (w->error || !w->buffer || !pack(w, parts, count, raw, &packed)) {
        writer_fail(w, -ENOMEM);
        return;
    }
    frame.magic = FILE_FRAME;
    frame.bytes = (uint32_t)packed;
    frame.raw = (uint32_t)raw;
    uLong check = crc32(0, (const Bytef *)&frame, offsetof(struct file_frame, check));
    frame.check = (uint32_t)crc32(check, w->buffer + sizeof frame, (uInt)packed);
    memcpy(w->buffer, &frame, sizeof frame);
    write_whole(w, w->buffer, sizeof frame + packed);
}

void writer_close(struct writer *w, uint64_t end)
{
    struct file_tail tail = {.end = end};

    memcpy(tail.magic, FILE_TAIL, sizeof tail.magic);
    write_whole(w, &tail, sizeof tail);
    if (close(w->fd) != 0 && !w->error) {
        w->error = -errno;
    }
    ZSTD_freeCCtx(w->zstd);
    free(w->buffer);
    w->zstd = NULL;
    w->buffer = NULL;
    w->room = 0;
}
