/* page/base64.h - bytes as base64, as they come. */
#ifndef ALLOT_PAGE_BASE64_H
#define ALLOT_PAGE_BASE64_H

#include <stddef.h>
#include <stdio.h>

struct base64 {
    FILE *to;
    unsigned char left[3]; /* bytes that do not make four characters yet */
    unsigned lefts;
};

void base64_put(struct base64 *out, const void *bytes, size_t count);
void base64_end(struct base64 *out);

/* All of it as a text, to be freed; NULL: out of memory. */
char *base64_of(const void *bytes, size_t count);

#endif
