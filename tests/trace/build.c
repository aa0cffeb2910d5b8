#include "trace/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/tables_file.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

void build_begin(struct build *b)
{
    static const char command[] = "a\0b c"; /* two words */
    struct file_head head = {
        .flags = FILE_STACKS, .unit = (uint64_t)1 << 32, .command_bytes = sizeof command, .began = 1000};

    memset(b, 0, sizeof *b);
    b->fd = memfd_create("trace", MFD_CLOEXEC);
    MUST(b->fd >= 0 && writer_open(&b->writer, dup(b->fd), &head, command));
}

static void write_frame(struct build *b)
{
    uint32_t length[COLUMNS];
    struct part part[1 + COLUMNS] = {{length, sizeof length}};

    if (b->packer.events) {
        for (unsigned i = 0; i < COLUMNS; i++) {
            length[i] = b->packer.column[i].used;
            part[1 + i] = (struct part){b->packer.column[i].bytes, length[i]};
        }
        writer_frame(&b->writer,
                     (struct file_frame){.kind = FILE_KIND_EVENTS,
                                         .process = b->process,
                                         .thread = b->thread,
                                         .since = b->since,
                                         .first = b->packer.first,
                                         .count = b->packer.events},
                     part, 1 + COLUMNS);
        b->packer.events = 0;
    }
}

void build_thread(struct build *b, uint32_t process, uint32_t thread)
{
    write_frame(b);
    b->process = process;
    b->thread = thread;
}

static void add(struct build *b, const struct file_event *event)
{
    MUST(b->packer.events || packer_begin(&b->packer, event->time));
    MUST(packer_add(&b->packer, event));
    if (b->packer.events == FILE_EVENTS) {
        write_frame(b);
    }
}

void build_event(struct build *b, enum file_op op, uint64_t time, uint64_t address, uint64_t size, uint32_t stack)
{
    add(b, &(struct file_event){.op = op, .time = time, .address = address, .size = size, .stack = stack});
}

void build_note(struct build *b, uint64_t time, enum file_note kind, uint64_t number, const char *text)
{
    unsigned char note[256], *at = note;

    *at++ = (unsigned char)kind;
    at = kind == FILE_NOTE_MARK ? at : file_put_number(at, number);
    if (kind == FILE_NOTE_PROCESS || kind == FILE_NOTE_COUNTERS) {
        at = file_put_number(at, number);
    }
    if (kind == FILE_NOTE_PROCESS) {
        at = file_put_number(at, 77);
    }
    memcpy(at, text, strlen(text));
    at += strlen(text);
    add(b, &(struct file_event){.op = FILE_NOTE, .time = time, .note = note, .note_bytes = (uint32_t)(at - note)});
}

void build_since(struct build *b, uint64_t since)
{
    write_frame(b);
    b->since = since;
}

void build_nodes(struct build *b, uint32_t nodes)
{
    unsigned char *bytes = malloc(64 + 24 * (size_t)nodes), *at = bytes, *before = bytes;
    uint32_t length[TABLE_COLUMNS];

    write_frame(b);
    at = file_put_number(at, 0x1000);
    at = file_put_number(at, 0x100000);
    at = file_put_number(at, 0x1000);
    at = file_put_number(at, 2);
    *at++ = 0xab;
    *at++ = 0xcd;
    at = file_put_number(at, 4);
    memcpy(at, "/lib", 4);
    at += 4;
    length[TABLE_MODULE] = (uint32_t)(at - before);
    before = at;
    for (uint32_t i = 0; i < nodes; i++) {
        at = file_put_number(at, 1);
    }
    length[TABLE_FRAME_MODULE] = (uint32_t)(at - before);
    before = at;
    for (uint32_t i = 0; i < nodes; i++) {
        at = file_put_number(at, 0x10 * (i + 1));
    }
    length[TABLE_FRAME_OFFSET] = (uint32_t)(at - before);
    memset(at, TABLE_FRAME_FRESH, nodes);
    at += nodes;
    length[TABLE_NODE] = nodes;
    length[TABLE_NODE_PARENT] = length[TABLE_NODE_FRAME] = 0;
    writer_frame(&b->writer, (struct file_frame){.kind = FILE_KIND_TABLES, .since = b->since, .count = nodes},
                 (struct part[]){{length, sizeof length}, {bytes, (size_t)(at - bytes)}}, 2);
    free(bytes);
}

int build_end(struct build *b, bool ended)
{
    unsigned char number[16] = {3, 0, 5, 6, 7, 1, 0};

    write_frame(b);
    if (ended) {
        uint64_t end = b->writer.at;
        writer_frame(&b->writer, (struct file_frame){.kind = FILE_KIND_END, .since = b->since},
                     &(struct part){number, 7}, 1);
        writer_close(&b->writer, end);
    } else {
        close(b->writer.fd);
    }
    packer_done(&b->packer);
    MUST(b->writer.error == 0);
    return b->fd;
}

struct trace *build_open(int fd, struct trace_error *error)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return trace_open(path, error);
}
