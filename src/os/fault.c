/* os/fault.c - see os/fault.h. */
#define _GNU_SOURCE
#include "os/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

const char fault_free_of_none[] = "free of what is no live block";

/* By a raw system call: libc's is a cancellation point, and a thread that is to be cancelled would end instead of the process. */
int os_write(int fd, const char *text, size_t length)
{
    while (length > 0) {
        long n = syscall(SYS_write, fd, text, length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

void os_say(const char *format, ...)
{
    char line[512] = "allot: ";
    enum { PREFIX = 7 };
    int saved = errno;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + PREFIX, sizeof line - PREFIX - 1, format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n < sizeof line - PREFIX - 1 ? (size_t)n : sizeof line - PREFIX - 2;
    line[PREFIX + length] = '\n';
    os_write(STDERR_FILENO, line, PREFIX + length + 1);
    errno = saved;
}

void (*os_after_fault)(void);

static void __attribute__((noreturn)) end(void)
{
    if (os_after_fault) {
        os_after_fault();
    }
    abort();
}

void allot_fault(const char *crime, const char *object, const void *address)
{
    os_say("%s: %s at %p", crime, object, address);
    end();
}

void allot_fault_block(const char *crime, const char *kind, size_t bytes, const void *address)
{
    os_say("%s: %s of %zu bytes at %p", crime, kind, bytes, address);
    end();
}
