/* fuzz/pages_fuzz.c - any bytes as a trace of references, in every format: read or refused with one line, and what is read is replayed, with the
 * equations that hold of any trace. The first byte says how it is to be read, the rest is the file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages/curves.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static void replay(const struct refs *refs, const struct translate_shape *shape)
{
    uint32_t frames[] = {1, 3, 40};
    struct translate_table table;
    struct curves_wanted w = {.policy = {CURVES_OPT, ALLOT_LRU, ALLOT_S3FIFO, ALLOT_GRADUAL},
                              .policies = 4,
                              .frames = frames,
                              .sizes = 3,
                              .threads = 1};
    bool translated = shape && translate_table(&table, refs, shape);
    w.table = translated ? &table : NULL;
    struct curves_cell *cell = curves_make(refs, &w);
    check(cell, "a small replay has its memory");
    for (unsigned i = 0; i < 12; i++) {
        check(cell[i].misses >= cell[i % 3].misses && cell[i].misses >= refs->ids.count &&
                  cell[i].misses <= refs->kept.count,
              "no policy misses less than the optimum");
        check(!translated || (cell[i].translated.faults == cell[i].misses &&
                              cell[i].translated.hits + cell[i].translated.walks == refs->kept.count),
              "a miss is a fault");
    }
    for (unsigned i = 1; i < 6; i++) {
        check(i == 3 || cell[i].misses <= cell[i - 1].misses, "more frames do not miss more");
    }
    free(cell);
    if (translated) {
        translate_table_end(&table);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd;
    static const char *const columns[] = {NULL, "1", "2", "page"};
    const struct translate_shape shape = {3, {4, 7, 5}, 12, 16, 4};
    if (size == 0) {
        return 0;
    }
    unsigned how = data[0];
    struct refs_wanted wanted = {.format = how % REFS_FORMATS,
                                 .addresses = how & 8,
                                 .no_code = how & 16,
                                 .column = columns[how >> 6],
                                 .page_shift = 12,
                                 .address_bits = how & 8 ? translate_address_bits(&shape) : 64,
                                 .window = how & 32 ? 3 : -1,
                                 .limit = how == 255 ? 7 : 0};
    fd = fd ? fd : memfd_create("fuzz", MFD_CLOEXEC);
    check(ftruncate(fd, 0) == 0 && pwrite(fd, data + 1, size - 1, 0) == (ssize_t)(size - 1), "a file in memory");
    struct trace_error error = {{0}};
    struct refs refs;
    if (!refs_read(&refs, fd, "F", &wanted, &error)) {
        check(error.line[0] && strlen(error.line) < sizeof error.line && !refs.kept.at, "an error says something");
        check(strstr(error.line, " byte ") || strstr(error.line, "empty") || strstr(error.line, "no reference") ||
                  strstr(error.line, "memory") || strstr(error.line, "packed"),
              "an error names the byte");
        return 0;
    }
    check(refs.references >= refs.kept.count && refs.kept.count >= refs.ids.count && refs.ids.count > 0,
          "each page is referred to");
    uint32_t newest = 0;
    for (size_t i = 0; i < refs.kept.count; i++) {
        check(refs.kept.at[i] <= newest, "pages are numbered as they come");
        newest += refs.kept.at[i] == newest;
    }
    check(newest == refs.ids.count, "all pages come");
    replay(&refs, refs.addresses && how & 8 ? &shape : NULL);
    refs_end(&refs);
    return 0;
}
