/* measure.c - a preload that tells what only the process itself can: its peak RSS, its RSS at exit, and whose malloc it
 * ran on. The same library is preloaded beside every malloc that is compared, so that its cost, under a millisecond,
 * falls on all alike.
 *
 * MEASURE_RECORD names a file. Each process that starts with it appends one line at its exit:
 *
 *     pid=123 peak_kib=4567 exit_kib=4321 malloc=/path/of/the/library/that/malloc/comes/from
 *
 * Times are not here: the parent has them from wait4, the teardown of the address space included.
 *
 * It must come first in LD_PRELOAD. It allocates nothing and holds no file open while the program runs. A process that
 * ends by a signal, or by the raw exit_group system call, leaves no line.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char record[PATH_MAX]; /* empty: write nothing */
static char malloc_from[PATH_MAX] = "?";
static pid_t measured; /* a forked child is not the process that was started */
static atomic_flag written = ATOMIC_FLAG_INIT;

/* The number after `name` in the text of /proc/self/status, which counts KiB. */
static unsigned long status_kib(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* Which file the process's malloc comes from. In a program that is not position-independent, malloc's address may be a
 * stub of the program's own, an undefined symbol with a value; then it is that of the next library that has one. */
static void find_malloc(void)
{
    Dl_info from;
    ElfW(Sym) *symbol = NULL;
    if (!dladdr1((void *)malloc, &from, (void **)&symbol, RTLD_DL_SYMENT))
        return;
    if (symbol && symbol->st_shndx == SHN_UNDEF && !dladdr(dlsym(RTLD_NEXT, "malloc"), &from))
        return;
    if (strlen(from.dli_fname) < sizeof malloc_from)
        strcpy(malloc_from, from.dli_fname);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MEASURE_RECORD");
    if (!path || strlen(path) >= sizeof record)
        return;
    find_malloc();
    measured = getpid();
    strcpy(record, path);
}

__attribute__((destructor)) static void end(void)
{
    if (!record[0] || getpid() != measured || atomic_flag_test_and_set(&written))
        return;
    char status[8192], line[PATH_MAX + 100];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, status, sizeof status - 1);
    close(fd);
    if (length <= 0)
        return;
    status[length] = 0;
    int n = snprintf(line, sizeof line, "pid=%d peak_kib=%lu exit_kib=%lu malloc=%s\n", (int)measured,
                     status_kib(status, "VmHWM:"), status_kib(status, "VmRSS:"), malloc_from);
    fd = open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    (void)!write(fd, line, (size_t)n); /* a missing line is for the reader to notice */
    close(fd);
}

/* Programs that leave by _exit run no destructors. */
void _exit(int status)
{
    end();
    for (;;)
        syscall(SYS_exit_group, status);
}

void _Exit(int status) { _exit(status); }
