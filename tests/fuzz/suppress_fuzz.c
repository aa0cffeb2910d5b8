/* fuzz/suppress_fuzz.c - any bytes as a file of suppressions: read or refused with one line, and matched in bounded time. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "command.h"
#include "suppress.h"

void complain(const char *format, ...) { (void)format; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct symbol_frame stack[] = {
        {.function = "app::Buffer::grow(unsigned long)",
         .symbol = "_ZN3app6Buffer4growEm",
         .file = "/src/buffer.cc",
         .line = 12,
         .module = "/usr/lib/libapp.so.1"},
        {.module = "/usr/bin/app", .offset = 0x1234},
        {.function = "main", .file = "/src/main.c", .line = 7, .module = "/usr/bin/app"},
    };
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("suppressions", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) {
        abort();
    }
    struct suppressions *s = suppressions_begin();
    if (suppressions_read(s, path)) {
        for (enum graph_verdict v = GRAPH_UNKNOWN; v <= GRAPH_DEFINITE; v++) {
            suppressions_match(s, v, stack, sizeof stack / sizeof stack[0]);
            suppressions_match(s, v, stack, 0);
        }
    }
    suppressions_end(s);
    return 0;
}
