/* allot scrub - a trace of allot's with nothing in it that says whose it is: fit to be sent to somebody else.
 *
 *     names, paths, build-ids, marks     a keyed hash: the same name has the same one, and cannot be guessed without the key
 *     addresses of blocks                all moved by one distance
 *     modules                            put at other places; offsets in them stay
 *     command line, process ids, date    gone
 *     sizes, order, times, threads, the shape of stacks, counters      as they were
 *
 * Frame by frame: each is unpacked, changed and packed again.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "command.h"
#include "outfile.h"
#include "record/writer.h"
#include "trace/allot.h"
#include "trace/tables_file.h"

static const char help[] =
    "usage: allot scrub [--key TEXT] -o OUTPUT TRACE\n"
    "\n"
    "Writes TRACE, one of allot's own, without what says whose it is. Names, paths, build-ids and marks\n"
    "become hashes, addresses move, and the command line, process ids and the date are left out. What\n"
    "stays: sizes, order, times, threads, the shape of stacks with offsets in modules, and counters.\n"
    "\n"
    "  -o, --output=OUTPUT  the new trace, which is replaced as a whole\n"
    "      --key=TEXT       the same names get the same hashes wherever this key is used; else one by chance\n"
    "  -h, --help           this text\n"
    "\n"
    "Examples:\n"
    "  allot scrub -o to-send.allot server.allot\n"
    "  allot scrub --key 'only we know' -o a.allot before.allot\n";

struct scrub {
    struct frames frames;
    struct writer writer;
    struct packer packer;
    struct unpacker unpacker;
    uint64_t key[2];
    uint64_t distance; /* that addresses move by */
    uint64_t modules;
    uint64_t *key_at; /* where key frames are now */
    uint32_t keys, key_room;
};

/* SipHash-2-4 (Aumasson and Bernstein, 2012). */
static uint64_t rotate(uint64_t x, unsigned by) { return x << by | x >> (64 - by); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t hash(const uint64_t key[2], const void *bytes, size_t length)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u,
                     key[1] ^ 0x7465646279746573u};
    const unsigned char *at = bytes;

    for (size_t done = 0; done <= length; done += 8) {
        size_t left = length - done;
        uint64_t word = left < 8 ? (uint64_t)length << 56 : 0;
        memcpy(&word, at + done, left < 8 ? left : 8);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static size_t hashed(const struct scrub *s, const char *what, const void *bytes, size_t length, char out[32])
{
    return length ? (size_t)snprintf(out, 32, "%s-%016" PRIx64, what, hash(s->key, bytes, length)) : 0;
}

/* -- events -- */

/* A note without names; how many bytes it has then, 0: it is broken. */
static uint32_t scrub_note(const struct scrub *s, const unsigned char *note, uint32_t bytes, unsigned char out[128])
{
    static const struct {
        unsigned numbers, kept;
        const char *text;
    } kinds[] = {
        [FILE_NOTE_PROCESS] = {3, 2, "program"}, [FILE_NOTE_EXIT] = {1, 1, NULL},
        [FILE_NOTE_THREAD] = {1, 0, "thread"},   [FILE_NOTE_MARK] = {0, 0, "mark"},
        [FILE_NOTE_COUNTERS] = {2, 2, NULL},     [FILE_NOTE_LOST] = {1, 1, NULL},
    };
    const unsigned char *at = note + 1, *end = note + bytes;
    unsigned char *to = out;
    uint64_t number;

    if (note[0] < FILE_NOTE_PROCESS || note[0] > FILE_NOTE_LOST) {
        return 0;
    }
    *to++ = note[0];
    for (unsigned i = 0; i < kinds[note[0]].numbers; i++) {
        at = file_get_number(at, end, &number);
        if (!at) {
            return 0;
        }
        to = file_put_number(to, i < kinds[note[0]].kept ? number : 0);
    }
    if (kinds[note[0]].text) {
        to += hashed(s, kinds[note[0]].text, at, (size_t)(end - at), (char *)to);
    }
    return (uint32_t)(to - out);
}

static const char *scrub_events(struct scrub *s, const struct file_frame *head, const unsigned char *raw)
{
    const char *wrong = unpacker_begin(&s->unpacker, raw, head->raw, head->count, head->first);
    struct file_event event;
    int got = 1;

    if (wrong || !packer_begin(&s->packer, head->first)) {
        return wrong ? wrong : "no memory";
    }
    while ((got = unpacker_next(&s->unpacker, &event, &wrong)) > 0) {
        unsigned char note[128];
        if (event.op == FILE_NOTE) {
            event.note_bytes = scrub_note(s, event.note, event.note_bytes, note);
            event.note = note;
            if (event.note_bytes == 0) {
                return "an unknown note";
            }
        } else if (event.op != FILE_FAILED) {
            event.address = (event.address + s->distance) & (((uint64_t)1 << 48) - 1);
        }
        if (!packer_add(&s->packer, &event)) {
            return "no memory";
        }
    }
    if (got < 0) {
        return wrong;
    }
    uint32_t length[COLUMNS];
    struct part part[1 + COLUMNS] = {{length, sizeof length}};
    for (unsigned i = 0; i < COLUMNS; i++) {
        length[i] = s->packer.column[i].used;
        part[1 + i] = (struct part){s->packer.column[i].bytes, length[i]};
    }
    writer_frame(&s->writer, *head, part, 1 + COLUMNS);
    return NULL;
}

/* -- tables -- */

/* Modules under names that say nothing, side by side in a space of their own. */
static const char *scrub_modules(struct scrub *s, const unsigned char *at, const unsigned char *end, unsigned char *out,
                                 uint32_t *used)
{
    unsigned char *to = out;

    while (at < end) {
        uint64_t start, stop, bias, id_bytes, path_bytes;
        char text[32];
        at = file_get_number(at, end, &start);
        at = at ? file_get_number(at, end, &stop) : NULL;
        at = at ? file_get_number(at, end, &bias) : NULL;
        at = at ? file_get_number(at, end, &id_bytes) : NULL;
        if (!at || id_bytes > (size_t)(end - at)) {
            return "a broken module";
        }
        const unsigned char *id = at;
        at = file_get_number(at + id_bytes, end, &path_bytes);
        if (!at || path_bytes > (size_t)(end - at)) {
            return "a broken module";
        }
        uint64_t place = ++s->modules << 32;
        to = file_put_number(to, start - bias + place);
        to = file_put_number(to, stop - bias + place);
        to = file_put_number(to, place);
        to = file_put_number(to, id_bytes ? 8 : 0);
        if (id_bytes) {
            uint64_t of_it = hash(s->key, id, id_bytes);
            memcpy(to, &of_it, 8);
            to += 8;
        }
        size_t length = hashed(s, "module", at, path_bytes, text);
        to = file_put_number(to, length);
        memcpy(to, text, length);
        to += length;
        at += path_bytes;
    }
    *used = (uint32_t)(to - out);
    return NULL;
}

static const char *scrub_tables(struct scrub *s, const struct file_frame *head, const unsigned char *raw)
{
    uint32_t length[TABLE_COLUMNS];
    const unsigned char *column[TABLE_COLUMNS + 1] = {raw + sizeof length};

    if (head->raw < sizeof length) {
        return "tables too short";
    }
    memcpy(length, raw, sizeof length);
    for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
        if (length[i] > (size_t)(raw + head->raw - column[i])) {
            return "a column longer than its tables";
        }
        column[i + 1] = column[i] + length[i];
    }
    /* A module may get longer: its numbers, hash and name. Frames of no module are addresses: they move too. */
    unsigned char *modules = malloc(16 * (size_t)length[TABLE_MODULE] + 1),
                  *offsets = malloc(FILE_NUMBER_BYTES * (size_t)length[TABLE_FRAME_OFFSET] + 1);
    const char *wrong = modules && offsets ? NULL : "no memory";
    const unsigned char *of = column[TABLE_FRAME_MODULE], *at = column[TABLE_FRAME_OFFSET];
    unsigned char *to = offsets;
    if (!wrong) {
        wrong = scrub_modules(s, column[TABLE_MODULE], column[TABLE_MODULE + 1], modules, &length[TABLE_MODULE]);
    }
    while (!wrong && of < column[TABLE_FRAME_MODULE + 1]) {
        uint64_t module, offset;
        of = file_get_number(of, column[TABLE_FRAME_MODULE + 1], &module);
        at = of ? file_get_number(at, column[TABLE_FRAME_OFFSET + 1], &offset) : NULL;
        if (!at) {
            wrong = "a frame of no module";
            break;
        }
        to = file_put_number(to, module ? offset : (offset + s->distance) & (((uint64_t)1 << 48) - 1));
    }
    if (!wrong) {
        struct part part[1 + TABLE_COLUMNS] = {{length, sizeof length}};
        length[TABLE_FRAME_OFFSET] = (uint32_t)(to - offsets);
        for (unsigned i = 0; i < TABLE_COLUMNS; i++) {
            part[1 + i] = (struct part){column[i], length[i]};
        }
        part[1 + TABLE_MODULE].bytes = modules;
        part[1 + TABLE_FRAME_OFFSET].bytes = offsets;
        writer_frame(&s->writer, *head, part, 1 + TABLE_COLUMNS);
    }
    free(modules);
    free(offsets);
    return wrong;
}

/* -- the end: where key frames are now -- */

static const char *scrub_end(struct scrub *s, const struct file_frame *head, const unsigned char *raw)
{
    unsigned char *out = malloc(head->raw + 10 * ((size_t)s->keys + 8)), *to = out;
    const unsigned char *at = raw, *end = raw + head->raw;
    uint64_t number, before = 0, begins = s->writer.at;

    for (unsigned i = 0; out && at && i < 6; i++) {
        at = file_get_number(at, end, &number);
        to = file_put_number(to, at ? number : 0);
    }
    if (!out || !at) {
        free(out);
        return out ? "a broken end" : "no memory";
    }
    to = file_put_number(to, s->keys);
    for (uint32_t i = 0; i < s->keys; i++) {
        to = file_put_number(to, s->key_at[i] - before);
        before = s->key_at[i];
    }
    writer_frame(&s->writer, *head, &(struct part){out, (size_t)(to - out)}, 1);
    writer_close(&s->writer, begins);
    free(out);
    return NULL;
}

/* 0, or what is wrong in *error: -1. */
static int scrub(struct scrub *s, bool *ended, struct trace_error *error)
{
    struct file_frame head;
    uint8_t before = 0;
    int got = 0;

    *ended = false;
    while (!*ended && (got = frames_peek(&s->frames, &head, error)) > 0) {
        unsigned char *raw = frames_unpack(&s->frames, s->frames.at, &head, error);
        const char *wrong = NULL;
        if (!raw) {
            return -1;
        }
        switch ((enum file_kind)head.kind) {
        case FILE_KIND_EVENTS:
            wrong = scrub_events(s, &head, raw);
            break;
        case FILE_KIND_TABLES:
            wrong = scrub_tables(s, &head, raw);
            break;
        case FILE_KIND_KEY:
            if (before != FILE_KIND_KEY &&
                model_more((void **)&s->key_at, &s->key_room, s->keys + 1, sizeof *s->key_at)) {
                s->key_at[s->keys++] = s->writer.at;
            }
            writer_frame(&s->writer, head, &(struct part){raw, head.raw}, 1);
            break;
        case FILE_KIND_END:
            wrong = scrub_end(s, &head, raw);
            *ended = true;
            break;
        case FILE_KIND_SNAPSHOT:
            wrong = "a snapshot among events";
            break;
        }
        free(raw);
        if (wrong) {
            return frames_wrong(error, s->frames.at, wrong);
        }
        before = head.kind;
        s->frames.at += sizeof head + head.bytes;
    }
    return got < 0 ? -1 : 0;
}

static bool choose_key(struct scrub *s, const char *text)
{
    static const uint64_t fixed[] = {0x616c6c6f74u, 0x7363727562u};

    if (text) {
        s->key[0] = hash(fixed, text, strlen(text));
        s->key[1] = hash(s->key, text, strlen(text));
    } else if (getrandom(s->key, sizeof s->key, 0) != sizeof s->key) {
        return false;
    }
    /* Whole pages of any size, and of all that is placed by address. */
    s->distance = (hash(s->key, "distance", 8) & 0x3fff) << 32;
    return true;
}

static int scrub_file(const char *path, const char *output, const char *key)
{
    static struct scrub s;
    struct trace_about about = {0};
    struct trace_error error;
    struct file_head head;
    char *command;
    bool ended;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), failed = outfile_check(output);

    if (fd < 0 || failed) {
        complain("cannot %s, %s, %s", fd < 0 ? "read" : "write", fd < 0 ? path : output,
                 fd < 0 ? strerror(errno) : strerror(-failed));
        return 1;
    }
    if (!frames_open(&s.frames, fd, &about, &head, &command, &error)) {
        complain("%s, %s, only allot's own traces can be scrubbed", error.line, path);
        return 1;
    }
    FILE *to = tmpfile();
    head.command_bytes = 0;
    head.pid = 0;
    head.began = 0;
    if (!to || !choose_key(&s, key) || !writer_open(&s.writer, dup(fileno(to)), &head, "")) {
        complain("cannot write, a temporary file, %m");
        return 1;
    }
    if (scrub(&s, &ended, &error) < 0) {
        complain("%s, %s, record it again", error.line, path);
        return 1;
    }
    failed = s.writer.error ? s.writer.error : outfile_write(output, fileno(to));
    if (failed) {
        complain("cannot write, %s, %s", output, strerror(-failed));
        return 1;
    }
    return 0;
}

int command_scrub(int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"key", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *output = NULL, *key = NULL;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            output = optarg;
            break;
        case 'k':
            key = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            complain_option("scrub", option, argv);
            return EXIT_USAGE;
        }
    }
    if (optind + 1 != argc || !output) {
        complain("scrub: %s, on the command line, see allot scrub --help", output ? "one trace is wanted" : "no -o");
        return EXIT_USAGE;
    }
    return scrub_file(argv[optind], output, key);
}
