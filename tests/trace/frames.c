/* Events come out of a frame as they went in; and of a file that is cut or damaged, as many as there can be. */
#include "common/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/random.h"
#include "trace/build.h"

enum { LIVE = 500 };

/* A program's life in random: blocks that live long and short, of a few sizes and stacks, and what else there is. */
struct life {
    struct random random;
    uint64_t live[LIVE];
    uint64_t time, next;
    uint64_t resizing; /* the block of a realloc that has begun */
};

static void live_on(struct life *life, struct file_event *e)
{
    struct random *r = &life->random;
    uint64_t *slot = &life->live[random_below(r, LIVE)];

    memset(e, 0, sizeof *e);
    life->time += random_below(r, 30) == 0 ? random_below(r, 1 << 20) : random_below(r, 40);
    e->time = life->time;
    if (life->resizing || *slot == 0) {
        static const enum file_op ops[] = {FILE_MALLOC, FILE_MALLOC, FILE_CALLOC, FILE_ALIGNED,
                                           FILE_BEFORE, FILE_FAILED, FILE_VERDICT};
        e->op = life->resizing ? FILE_REALLOC_TO : ops[random_below(r, 7)];
        e->size = random_below(r, 20) == 0 ? random_next(r) >> random_below(r, 64) : 16 + random_below(r, 6) * 24;
        e->stack = e->op == FILE_BEFORE || e->op == FILE_VERDICT ? 0 : (uint32_t)random_below(r, 40);
        e->extra = e->op == FILE_ALIGNED ? 12 : e->op == FILE_VERDICT ? 5 : 0;
        if (e->op != FILE_FAILED) {
            e->address = random_below(r, 3) == 0 && life->resizing ? life->resizing
                                                                   : (life->next += 16 + 16 * random_below(r, 3));
        }
        if (e->op != FILE_FAILED && e->op != FILE_VERDICT) {
            *slot = e->address;
        }
        life->resizing = 0;
    } else if (random_below(r, 50) == 0) {
        static const unsigned char note[] = {FILE_NOTE_MARK, 'm', 'a', 'r', 'k'};
        e->op = FILE_NOTE;
        e->note = note;
        e->note_bytes = sizeof note;
    } else {
        e->op = random_below(r, 8) == 0 ? FILE_REALLOC_FROM : FILE_FREE;
        e->address = *slot;
        life->resizing = e->op == FILE_REALLOC_FROM ? *slot : 0;
        *slot = 0;
    }
}

static unsigned char *raw_of(const struct packer *p, size_t *bytes)
{
    unsigned char *raw = malloc(*bytes = packer_bytes(p)), *at = raw + COLUMNS * sizeof(uint32_t);

    for (unsigned i = 0; i < COLUMNS; i++) {
        memcpy(raw + i * sizeof(uint32_t), &p->column[i].used, sizeof(uint32_t));
        if (p->column[i].used) {
            memcpy(at, p->column[i].bytes, p->column[i].used);
        }
        at += p->column[i].used;
    }
    return raw;
}

static void a_million_events(void **state)
{
    (void)state;
    static struct file_event event[FILE_EVENTS];
    struct life life = {.random = {0x9876}, .next = 0x7f0000001000};
    struct packer packer = {0};
    struct unpacker unpacker = {0};
    const char *wrong;

    for (unsigned frame = 0; frame < 32; frame++) {
        for (unsigned i = 0; i < FILE_EVENTS; i++) {
            live_on(&life, &event[i]);
            assert_true(i > 0 || packer_begin(&packer, event[0].time));
            assert_true(packer_add(&packer, &event[i]));
        }
        size_t bytes;
        unsigned char *raw = raw_of(&packer, &bytes);
        assert_null(unpacker_begin(&unpacker, raw, bytes, FILE_EVENTS, packer.first));
        for (unsigned i = 0; i < FILE_EVENTS; i++) {
            struct file_event got;
            assert_int_equal(unpacker_next(&unpacker, &got, &wrong), 1);
            assert_int_equal(got.op, event[i].op);
            assert_int_equal(got.time, event[i].time);
            assert_int_equal(got.address, event[i].address);
            assert_int_equal(got.size,
                             event[i].op == FILE_FREE || event[i].op == FILE_REALLOC_FROM ? 0 : event[i].size);
            assert_int_equal(got.stack, event[i].stack);
            assert_int_equal(got.extra, event[i].extra);
            assert_int_equal(got.note_bytes, event[i].note_bytes);
            assert_true(!got.note || memcmp(got.note, event[i].note, got.note_bytes) == 0);
        }
        assert_int_equal(unpacker_next(&unpacker, &(struct file_event){0}, &wrong), 0);
        free(raw);
    }
    packer_done(&packer);
    unpacker_done(&unpacker);
}

/* A small file with something of everything. */
static int small_file(void)
{
    struct build b;

    build_begin(&b);
    build_thread(&b, 1, 1);
    build_note(&b, 0, FILE_NOTE_PROCESS, 0, "/bin/program");
    build_nodes(&b, 5);
    build_thread(&b, 1, 1);
    build_event(&b, FILE_MALLOC, 10, 0x1000, 32, 5);
    build_event(&b, FILE_CALLOC, 20, 0x2000, 64, 4);
    build_thread(&b, 1, 2);
    build_event(&b, FILE_FREE, 15, 0x1000, 0, 0);
    build_since(&b, 30);
    build_thread(&b, 1, 1);
    build_event(&b, FILE_REALLOC_FROM, 40, 0x2000, 0, 0);
    build_event(&b, FILE_REALLOC_TO, 50, 0x3000, 100, 3);
    build_note(&b, 60, FILE_NOTE_MARK, 0, "here");
    build_thread(&b, 1, 0);
    build_note(&b, 70, FILE_NOTE_EXIT, 1, "");
    return build_end(&b, true);
}

/* How many events it has; -1 where it is refused. */
static int read_all(int fd, bool *truncated, struct trace_error *error)
{
    struct trace *trace = build_open(fd, error);
    struct trace_event event;
    int events = 0, got;

    if (!trace) {
        return -1;
    }
    while ((got = trace_next(trace, &event, error)) == 1) {
        events++;
    }
    *truncated = trace_about(trace)->truncated;
    trace_close(trace);
    return got < 0 ? -1 : events;
}

static void all_of_it(void **state)
{
    (void)state;
    struct trace_error error;
    struct trace_event e;
    uint32_t count;
    int fd = small_file();
    struct trace *trace = build_open(fd, &error);

    assert_non_null(trace);
    const struct trace_about *about = trace_about(trace);
    assert_string_equal(about->format, "allot");
    assert_string_equal(about->command, "a b c");
    assert_true(about->has_stacks && about->has_times && about->has_addresses);
    assert_int_equal(about->began, 1000);

#define NEXT(OP, TIME, THREAD)                          \
    assert_int_equal(trace_next(trace, &e, &error), 1); \
    assert_int_equal(e.op, OP);                         \
    assert_int_equal(e.time, TIME);                     \
    assert_int_equal(e.thread, THREAD)
    NEXT(TRACE_PROCESS, 0, 1);
    assert_string_equal(e.text, "/bin/program");
    NEXT(TRACE_ALLOC, 10, 1);
    assert_int_equal(e.call, TRACE_MALLOC);
    assert_int_equal(e.address, 0x1000);
    assert_int_equal(e.size, 32);
    assert_int_equal(e.stack, 5);
    const struct trace_node *node = trace_nodes(trace, &count);
    assert_int_equal(count, 6);
    assert_int_equal(node[5].parent, 4);
    const struct trace_frame *frame = trace_frames(trace, &count);
    assert_int_equal(count, 5);
    assert_int_equal(frame[node[5].frame].offset, 0x50);
    assert_int_equal(frame[node[5].frame].pc, 0x1050);
    const struct trace_module *module = trace_modules(trace, &count);
    assert_int_equal(count, 1);
    assert_string_equal(module[0].path, "/lib");
    assert_int_equal(module[0].build_id_bytes, 2);
    NEXT(TRACE_FREE, 15, 2);
    assert_int_equal(e.address, 0x1000);
    NEXT(TRACE_ALLOC, 20, 1);
    assert_int_equal(e.call, TRACE_CALLOC);
    NEXT(TRACE_REALLOC, 50, 1);
    assert_int_equal(e.old, 0x2000);
    assert_int_equal(e.begun, 40);
    assert_int_equal(e.address, 0x3000);
    assert_int_equal(e.size, 100);
    NEXT(TRACE_MARK, 60, 1);
    assert_string_equal(e.text, "here");
    NEXT(TRACE_EXIT, 70, 1);
    assert_int_equal(e.size, 1);
    assert_int_equal(trace_next(trace, &e, &error), 0);
    assert_false(about->truncated);
    assert_int_equal(about->waited_ns, 5);
    assert_int_equal(about->collector_cpu_ns, 6);
    trace_close(trace);
    close(fd);
}

/* Cut anywhere it can be read: never less than from a shorter one, and it says that it was cut. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    struct trace_error error;
    bool truncated;
    int fd = small_file(), last = -1;
    off_t whole = lseek(fd, 0, SEEK_END);
    char *bytes = malloc((size_t)whole);

    assert_int_equal(pread(fd, bytes, (size_t)whole, 0), whole);
    for (off_t length = 1; length <= whole; length++) {
        int cut = memfd_create("cut", 0);
        assert_int_equal(write(cut, bytes, (size_t)length), length);
        int events = read_all(cut, &truncated, &error);
        if (events < 0) {
            assert_true(last < 0); /* within the head */
            assert_true(length < 56 && (length < 8 || strstr(error.line, "byte")));
        } else {
            assert_true(events >= last);
            last = events;
            assert_true(truncated == (length < whole - (off_t)sizeof(struct file_tail)));
        }
        close(cut);
    }
    assert_int_equal(last, 7);
    free(bytes);
    close(fd);
}

/* Any byte changed is found out, and told of in one line; but in the tail, which nothing depends on. */
static void damaged_at_every_byte(void **state)
{
    (void)state;
    struct trace_error error;
    bool truncated;
    int fd = small_file();
    off_t whole = lseek(fd, 0, SEEK_END);
    char *bytes = malloc((size_t)whole);

    assert_int_equal(pread(fd, bytes, (size_t)whole, 0), whole);
    for (off_t at = 0; at < whole - (off_t)sizeof(struct file_tail); at++) {
        for (int bit = 0; bit < 8; bit += 3) {
            int damaged = memfd_create("damaged", 0);
            bytes[at] ^= (char)(1 << bit);
            assert_int_equal(write(damaged, bytes, (size_t)whole), whole);
            bytes[at] ^= (char)(1 << bit);
            int events = read_all(damaged, &truncated, &error);
            bool padding = at == 54 || at == 55;
            if (events >= 0 && !truncated && !padding) {
                fail_msg("byte %d, bit %d: %d events", (int)at, bit, events);
            }
            assert_true(events >= 0 || (strchr(error.line, '\n') == NULL && strlen(error.line) > 10));
            close(damaged);
        }
    }
    free(bytes);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_events),
        cmocka_unit_test(all_of_it),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(damaged_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
