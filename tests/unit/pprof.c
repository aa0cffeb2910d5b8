/* unit/pprof.c - writes a profile of known contents to standard output, for unit/pprof to read; or, given a number of bytes, to a
 * sink that takes no more than that: exit 1 says that this was told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/pprof.h"

static long room = -1;

static bool sink(void *arg, const void *bytes, size_t length)
{
    (void)arg;
    if (room >= 0 && (room -= (long)length) < 0) {
        room = 0;
        return false;
    }
    return fwrite(bytes, 1, length, stdout) == length;
}

/* A mapping with an id that the file has, and one without; the second's functions are known. */
static void mappings(struct pprof *p)
{
    static const unsigned char id[20] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    char text[PPROF_BUILD_ID];
    struct pprof_mapping program = {.id = 1, .start = 0x400000, .limit = 0x500000, .offset = 0x1000};
    program.file = pprof_string(p, "/usr/bin/program");
    pprof_build_id(text, id, sizeof id, "/usr/bin/program");
    program.build_id = pprof_string(p, text);
    pprof_mapping(p, &program);
    struct pprof_mapping library = {.id = 7, .start = 0x7fffff000000, .limit = UINT64_MAX, .has_functions = true};
    library.has_files = library.has_lines = library.has_inlined = true;
    library.file = pprof_string(p, "/lib/a b.so");
    pprof_build_id(text, NULL, 0, "/lib/a b.so");
    library.build_id = pprof_string(p, text);
    pprof_mapping(p, &library);
}

static void locations(struct pprof *p)
{
    uint64_t file = pprof_string(p, "/src/\303\244.c");
    pprof_function(p, 300, pprof_string(p, "outer(int)"), pprof_string(p, "_Z5outeri"), file, 10);
    pprof_function(p, 2, pprof_string(p, "inlined"), 0, file, 0);
    const struct pprof_line lines[] = {{2, 70000}, {300, 12}};
    pprof_location(p, 1, 1, 0x400123, NULL, 0);
    pprof_location(p, 128, 7, 0x7fffff000010, lines, 2);
}

int main(int argc, char **argv)
{
    static struct pprof profile;
    struct pprof *p = &profile;
    room = argc > 1 ? atol(argv[1]) : -1;
    pprof_begin(p, sink, NULL);
    pprof_heap_types(p);
    pprof_sample_type(p, "peak_space", "bytes");
    pprof_period(p, "space", "bytes", 524288);
    pprof_time(p, 1700000000123456789, 5);
    pprof_comment(p, "what made it");
    mappings(p);
    locations(p);
    const struct pprof_label labels[] = {
        {.key = pprof_string(p, "thread"), .text = pprof_string(p, "worker")},
        {.key = pprof_string(p, "size"), .number = 4096, .unit = pprof_string(p, "bytes")},
        {.key = pprof_string(p, "below"), .number = -1},
    };
    const uint64_t stack[] = {128, 1};
    pprof_sample(p, stack, 2, (const int64_t[]){3, 12288, 1, 4096, INT64_MAX}, labels, 3);
    pprof_sample(p, stack + 1, 1, (const int64_t[]){0, 0, -1, INT64_MIN, 0}, NULL, 0);
    /* Deeper, and more of them, than the buffer holds. */
    static uint64_t deep[9000];
    for (size_t i = 0; i < sizeof deep / sizeof deep[0]; i++) {
        deep[i] = i % 3 ? 1 : 128;
    }
    pprof_sample(p, deep, sizeof deep / sizeof deep[0], (const int64_t[]){1, 1, 1, 1, 1}, NULL, 0);
    return pprof_end(p) ? 0 : 1;
}
