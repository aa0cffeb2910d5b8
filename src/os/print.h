/* os/print.h - text for a file, gathered and written out by the page. Allocates nothing. The first error stays. */
#ifndef OS_PRINT_H
#define OS_PRINT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "os/fault.h"

struct page {
    int fd, error;
    size_t used;
    char text[4096];
};

static inline void flush(struct page *page)
{
    if (page->error == 0) {
        page->error = os_write(page->fd, page->text, page->used);
    }
    page->used = 0;
}

/* A piece of less than 512 bytes: what is more is cut off. */
static inline void __attribute__((format(printf, 2, 3))) put(struct page *page, const char *format, ...)
{
    enum { LINE = 512 };
    if (page->used + LINE > sizeof page->text) {
        flush(page);
    }
    va_list args;
    va_start(args, format);
    int n = vsnprintf(page->text + page->used, LINE, format, args);
    va_end(args);
    page->used += n < 0 ? 0 : n < LINE ? (size_t)n : LINE - 1;
}

#endif
