/* maps.c - a process near the kernel's limit of mappings (vm.max_map_count). Preloaded, it takes up all but LEFT of them before
 * main begins, so that no right is needed to lower the limit.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LEFT = 1000, READ_PART = 4096 };

static ssize_t read_part(int fd, char *text)
{
    ssize_t n = read(fd, text, READ_PART - 1);
    text[n > 0 ? n : 0] = 0;
    return n;
}

static long limit(void)
{
    char text[READ_PART];
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    read_part(fd, text);
    close(fd);
    return strtol(text, NULL, 10);
}

static long mappings(void)
{
    char text[READ_PART];
    long lines = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (read_part(fd, text) > 0) {
        for (const char *c = text; *c; c++) {
            lines += *c == '\n';
        }
    }
    close(fd);
    return lines;
}

static void fail(const char *what)
{
    perror(what);
    abort();
}

/* Every other page of a range is made readable, and is a mapping by itself, as is each between two such. */
__attribute__((constructor)) static void take_up(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    long pairs = (limit() - mappings() - LEFT) / 2;
    if (pairs <= 0) {
        return;
    }
    char *at = mmap(NULL, 2 * (size_t)pairs * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        fail("maps: mmap");
    }
    for (long i = 0; i < pairs; i++) {
        if (mprotect(at + 2 * (size_t)i * page, page, PROT_READ) != 0) {
            fail("maps: mprotect");
        }
    }
}
