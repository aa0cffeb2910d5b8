/* See base64.h. */
#include <stdlib.h>

#include "page/base64.h"

static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put(FILE *to, const unsigned char *b, unsigned count)
{
    char out[4] = {digit[b[0] >> 2], digit[(b[0] & 3) << 4 | (count > 1 ? b[1] >> 4 : 0)],
                   count > 1 ? digit[(b[1] & 15) << 2 | (count > 2 ? b[2] >> 6 : 0)] : '=',
                   count > 2 ? digit[b[2] & 63] : '='};
    fwrite(out, 1, sizeof out, to);
}

void base64_put(struct base64 *out, const void *bytes, size_t count)
{
    const unsigned char *b = bytes;
    for (; count > 0; b++, count--) {
        if (out->lefts == 0 && count >= 3) {
            put(out->to, b, 3);
            b += 2;
            count -= 2;
            continue;
        }
        out->left[out->lefts++] = *b;
        if (out->lefts == 3) {
            put(out->to, out->left, 3);
            out->lefts = 0;
        }
    }
}

void base64_end(struct base64 *out)
{
    if (out->lefts > 0) {
        put(out->to, out->left, out->lefts);
        out->lefts = 0;
    }
}

char *base64_of(const void *bytes, size_t count)
{
    char *text = NULL;
    size_t length;
    struct base64 out = {.to = open_memstream(&text, &length)};
    if (!out.to) {
        return NULL;
    }
    base64_put(&out, bytes, count);
    base64_end(&out);
    if (fclose(out.to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
