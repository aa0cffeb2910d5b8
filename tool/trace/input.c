/* The window slides over the text: what is left of it moves to the front when the next line is not whole. */
#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "trace/input.h"

#define COMPRESSED ((size_t)128 << 10)
#define WINDOW     ((size_t)128 << 10)   /* at first: it grows where a line is longer */
#define XZ_MEMORY  ((uint64_t)128 << 20) /* what zstd's window is limited to as well, by its default */

enum packed { PLAIN, GZIP, ZSTD, XZ };

struct input {
    int fd;
    enum packed packed;
    bool file_ended, text_ended;
    bool within; /* a compressed stream that has not come to its end */
    struct trace_about *about;
    z_stream gzip;
    ZSTD_DStream *zstd;
    lzma_stream xz;
    size_t from, filled; /* of `compressed`: what is not unpacked yet */
    char *window;
    size_t room;
    size_t at, end;       /* of `window`: what is not given out yet */
    uint64_t lines, byte; /* given out so far */
    unsigned char compressed[COMPRESSED];
};

static int fail(struct trace_error *error, const char *what)
{
    snprintf(error->line, sizeof error->line, "%s", what);
    return -1;
}

static int broken(struct input *input, struct trace_error *error, const char *what)
{
    snprintf(error->line, sizeof error->line, "%s at byte %llu", what,
             (unsigned long long)(input->about->read - (input->filled - input->from)));
    return -1;
}

static int read_file(struct input *input, void *to, size_t room, size_t *got, struct trace_error *error)
{
    ssize_t bytes;

    do {
        bytes = read(input->fd, to, room);
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0) {
        snprintf(error->line, sizeof error->line, "cannot read: %s", strerror(errno));
        return -1;
    }
    input->about->read += (uint64_t)bytes;
    input->file_ended = bytes == 0;
    *got = (size_t)bytes;
    return 0;
}

static int unpack_gzip(struct input *input, char *to, size_t room, size_t *got, struct trace_error *error)
{
    z_stream *z = &input->gzip;

    if (!input->within && input->from < input->filled) { /* another member */
        inflateReset(z);
        input->within = true;
    }
    z->next_in = input->compressed + input->from;
    z->avail_in = (uInt)(input->filled - input->from);
    z->next_out = (unsigned char *)to;
    z->avail_out = (uInt)room;
    int answer = inflate(z, Z_NO_FLUSH);
    input->from = input->filled - z->avail_in;
    *got = room - z->avail_out;
    if (answer == Z_STREAM_END) {
        input->within = false;
    } else if (answer != Z_OK && answer != Z_BUF_ERROR) {
        return broken(input, error, "broken gzip data");
    }
    return 0;
}

static int unpack_zstd(struct input *input, char *to, size_t room, size_t *got, struct trace_error *error)
{
    ZSTD_inBuffer in = {input->compressed, input->filled, input->from};
    ZSTD_outBuffer out = {to, room, 0};
    if (!input->within && in.pos == in.size) {
        *got = 0;
        return 0;
    }
    size_t answer = ZSTD_decompressStream(input->zstd, &out, &in);

    input->from = in.pos;
    *got = out.pos;
    if (ZSTD_isError(answer)) {
        return broken(input, error, "broken zstd data");
    }
    input->within = answer != 0;
    return 0;
}

static int unpack_xz(struct input *input, char *to, size_t room, size_t *got, struct trace_error *error)
{
    lzma_stream *xz = &input->xz;

    xz->next_in = input->compressed + input->from;
    xz->avail_in = input->filled - input->from;
    xz->next_out = (unsigned char *)to;
    xz->avail_out = room;
    lzma_ret answer = lzma_code(xz, input->file_ended ? LZMA_FINISH : LZMA_RUN);
    input->from = input->filled - xz->avail_in;
    *got = room - xz->avail_out;
    input->within = answer != LZMA_STREAM_END;
    if (answer != LZMA_OK && answer != LZMA_STREAM_END && answer != LZMA_BUF_ERROR) {
        return broken(input, error,
                      answer == LZMA_MEMLIMIT_ERROR ? "xz data that wants too much memory" : "broken xz data");
    }
    return 0;
}

static int copy_plain(struct input *input, char *to, size_t room, size_t *got, struct trace_error *error)
{
    if (input->from == input->filled) {
        return read_file(input, to, room, got, error);
    }
    *got = input->filled - input->from < room ? input->filled - input->from : room;
    memcpy(to, input->compressed + input->from, *got);
    input->from += *got;
    return 0;
}

static int unpack(struct input *input, char *to, size_t room, size_t *got, struct trace_error *error)
{
    if (input->from == input->filled && !input->file_ended) {
        input->from = input->filled = 0;
        if (read_file(input, input->compressed, COMPRESSED, &input->filled, error) != 0) {
            return -1;
        }
    }
    switch (input->packed) {
    case GZIP:
        return unpack_gzip(input, to, room, got, error);
    case ZSTD:
        return unpack_zstd(input, to, room, got, error);
    default:
        return unpack_xz(input, to, room, got, error);
    }
}

/* More text behind `end`, or the knowledge that there is none. */
static int fill(struct input *input, struct trace_error *error)
{
    if (input->at > 0) {
        memmove(input->window, input->window + input->at, input->end - input->at);
        input->end -= input->at;
        input->at = 0;
    }
    if (input->end == input->room) {
        char *larger = realloc(input->window, input->room * 2);
        if (!larger) {
            return fail(error, "out of memory");
        }
        input->window = larger;
        input->room *= 2;
    }
    size_t got = 0;
    char *to = input->window + input->end;
    size_t room = input->room - input->end;
    while (got == 0 && !input->text_ended) {
        int failed =
            input->packed == PLAIN ? copy_plain(input, to, room, &got, error) : unpack(input, to, room, &got, error);
        if (failed) {
            return -1;
        }
        if (got == 0 && input->file_ended && input->from == input->filled) {
            input->text_ended = true;
            input->about->truncated |= input->within;
        }
    }
    input->end += got;
    return 0;
}

/* The file's first bytes: of a pipe they are kept in `compressed`, to be taken from there. */
static int look(struct input *input, unsigned char *head, size_t room, ssize_t *bytes, struct trace_error *error)
{
    *bytes = pread(input->fd, head, room, 0);
    if (*bytes >= 0 || errno != ESPIPE) {
        return 0;
    }
    size_t got = 1;
    while (got > 0 && input->filled < room) {
        if (read_file(input, input->compressed + input->filled, COMPRESSED - input->filled, &got, error) != 0) {
            return -1;
        }
        input->filled += got;
    }
    *bytes = (ssize_t)(input->filled < room ? input->filled : room);
    memcpy(head, input->compressed, (size_t)*bytes);
    return 0;
}

static int recognise(struct input *input, struct trace_error *error)
{
    static const struct {
        enum packed packed;
        size_t bytes;
        unsigned char magic[6];
    } known[] = {{GZIP, 2, {0x1f, 0x8b}}, {ZSTD, 4, {0x28, 0xb5, 0x2f, 0xfd}}, {XZ, 6, {0xfd, '7', 'z', 'X', 'Z', 0}}};
    unsigned char head[6];
    ssize_t bytes;

    if (look(input, head, sizeof head, &bytes, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (bytes >= (ssize_t)known[i].bytes && memcmp(head, known[i].magic, known[i].bytes) == 0) {
            input->packed = known[i].packed;
        }
    }
    input->within = input->packed != PLAIN;
    bool ready = true;
    if (input->packed == GZIP) {
        ready = inflateInit2(&input->gzip, 15 + 16) == Z_OK;
    } else if (input->packed == ZSTD) {
        input->zstd = ZSTD_createDStream();
        ready = input->zstd && !ZSTD_isError(ZSTD_initDStream(input->zstd));
    } else if (input->packed == XZ) {
        ready = lzma_stream_decoder(&input->xz, XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK;
    }
    if (!ready) {
        input->packed = PLAIN;
        return fail(error, "out of memory");
    }
    return 0;
}

struct input *input_open(int fd, struct trace_about *about, struct trace_error *error)
{
    struct stat st;
    struct input *input = malloc(sizeof *input);
    char *window = malloc(WINDOW);

    if (!input || !window) {
        free(input);
        free(window);
        fail(error, "out of memory");
        return NULL;
    }
    memset(input, 0, offsetof(struct input, compressed));
    input->window = window;
    input->room = WINDOW;
    input->fd = fd;
    input->about = about;
    about->read = 0;
    about->bytes = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (lseek(fd, 0, SEEK_SET) != 0 && errno != ESPIPE) {
        snprintf(error->line, sizeof error->line, "cannot read: %s", strerror(errno));
        input_close(input);
        return NULL;
    }
    if (recognise(input, error) != 0) {
        input_close(input);
        return NULL;
    }
    return input;
}

void input_close(struct input *input)
{
    if (input->packed == GZIP) {
        inflateEnd(&input->gzip);
    } else if (input->packed == XZ) {
        lzma_end(&input->xz);
    }
    ZSTD_freeDStream(input->zstd);
    free(input->window);
    free(input);
}

const char *input_peek(struct input *input, size_t want, size_t *bytes, struct trace_error *error)
{
    struct trace_error ignored;

    while (input->end - input->at < want && !input->text_ended && fill(input, error ? error : &ignored) == 0) {
    }
    *bytes = input->end - input->at < want ? input->end - input->at : want;
    return input->window + input->at;
}

ssize_t input_read(struct input *input, void *to, size_t room, struct trace_error *error)
{
    if (input->at == input->end && !input->text_ended && fill(input, error) != 0) {
        return -1;
    }
    size_t bytes = input->end - input->at < room ? input->end - input->at : room;
    memcpy(to, input->window + input->at, bytes);
    input->at += bytes;
    input->byte += bytes;
    return (ssize_t)bytes;
}

int input_line(struct input *input, struct line *line, struct trace_error *error)
{
    char *newline;
    size_t searched = 0;

    while (!(newline = memchr(input->window + input->at + searched, '\n', input->end - input->at - searched))) {
        searched = input->end - input->at;
        if (searched >= INPUT_LINE) {
            snprintf(error->line, sizeof error->line, "a line of more than %zu bytes, line %llu, byte %llu", INPUT_LINE,
                     (unsigned long long)input->lines + 1, (unsigned long long)input->byte);
            return -1;
        }
        if (input->text_ended) {
            break;
        }
        if (fill(input, error) != 0) {
            return -1;
        }
    }
    size_t left = input->end - input->at;
    if (!newline && (left == 0 || input->within)) {
        return 0;
    }
    *line = (struct line){
        .text = input->window + input->at,
        .length = newline ? (size_t)(newline - (input->window + input->at)) : left,
        .number = ++input->lines,
        .byte = input->byte,
        .ended = newline,
    };
    size_t taken = line->length + (newline != NULL);
    input->at += taken;
    input->byte += taken;
    if (line->length > 0 && line->text[line->length - 1] == '\r') {
        line->length--;
    }
    return 1;
}

bool word_next(struct line_words *words, struct word *word)
{
    while (words->at < words->end && (*words->at == ' ' || *words->at == '\t')) {
        words->at++;
    }
    word->text = words->at;
    while (words->at < words->end && *words->at != ' ' && *words->at != '\t') {
        words->at++;
    }
    word->length = (size_t)(words->at - word->text);
    return word->length > 0;
}

bool word_is(struct word word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.text, text, word.length) == 0;
}

static bool read_digits(const char *at, const char *end, unsigned base, uint64_t *number)
{
    uint64_t value = 0;

    if (at == end) {
        return false;
    }
    for (; at < end; at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10)
                         : *at >= 'A' && *at <= 'F' ? (unsigned)(*at - 'A' + 10)
                                                    : 16;
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *number = value;
    return true;
}

static bool has_0x(struct word word)
{
    return word.length > 2 && word.text[0] == '0' && (word.text[1] == 'x' || word.text[1] == 'X');
}

bool word_number(struct word word, uint64_t *number)
{
    return has_0x(word) ? word_hex(word, number) : read_digits(word.text, word.text + word.length, 10, number);
}

bool word_hex(struct word word, uint64_t *number)
{
    return read_digits(word.text + (has_0x(word) ? 2 : 0), word.text + word.length, 16, number);
}

int line_wrong(struct trace_error *error, const struct line *line, const char *at, const char *what)
{
    struct line_words rest = {at, line->text + line->length};
    struct word word;
    char quoted[40] = "";

    if (word_next(&rest, &word)) {
        at = word.text;
        snprintf(quoted, sizeof quoted, " '%.*s%s'", word.length > 30 ? 27 : (int)word.length, word.text,
                 word.length > 30 ? "..." : "");
    }
    snprintf(error->line, sizeof error->line, "%.120s%s in line %llu, byte %llu", what, quoted,
             (unsigned long long)line->number, (unsigned long long)(line->byte + (uint64_t)(at - line->text)));
    return -1;
}
