/* See html.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "command.h"
#include "outfile.h"
#include "page/base64.h"
#include "page/html.h"
#include "page/write.h"

static const char place[] = "id=\"data\"></script>"; /* once in it: the build looks */
#define INTO (sizeof "id=\"data\">" - 1)

/* Where in the template the data goes; NULL: nowhere, it is empty. */
static const char *place_in(const char *template, size_t bytes)
{
    const char *at = memmem(template, bytes, place, sizeof place - 1);
    return at ? at + INTO : NULL;
}

bool html_ready(const char *output)
{
    size_t bytes;
    const char *template = html_template(&bytes);
    if (!place_in(template, bytes)) {
        complain(
            "no page in this allot, %s, it was built where npm was not: install npm and build it again, or look by "
            "--view",
            output);
        return false;
    }
    int error = outfile_check(output);
    if (error) {
        complain("cannot write, %s, %s", output, strerror(-error));
    }
    return error == 0;
}

/* -- JSON goes in, base64 comes out -- */

struct packer {
    z_stream z;
    struct base64 to;
    bool failed;
};

static void pack(struct packer *p, const char *bytes, size_t count, int flush)
{
    unsigned char out[16384];
    p->z.next_in = (unsigned char *)(uintptr_t)bytes;
    p->z.avail_in = (unsigned)count;
    do {
        p->z.next_out = out;
        p->z.avail_out = sizeof out;
        int answer = deflate(&p->z, flush);
        p->failed |= answer != Z_OK && answer != Z_STREAM_END && answer != Z_BUF_ERROR;
        base64_put(&p->to, out, sizeof out - p->z.avail_out);
    } while (p->z.avail_out == 0 && !p->failed);
}

static ssize_t take(void *cookie, const char *bytes, size_t count)
{
    struct packer *p = cookie;
    pack(p, bytes, count, Z_NO_FLUSH);
    return p->failed ? -1 : (ssize_t)count;
}

static bool put_data(FILE *to, const struct page *page)
{
    struct packer p = {.to.to = to};
    if (deflateInit2(&p.z, 4, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        return false;
    }
    FILE *in = fopencookie(&p, "w", (cookie_io_functions_t){.write = take});
    if (in) {
        setvbuf(in, NULL, _IOFBF, 1 << 16);
        page_json(in, page, PART_ALL);
        p.failed |= fclose(in) != 0;
        pack(&p, NULL, 0, Z_FINISH);
        base64_end(&p.to);
    }
    deflateEnd(&p.z);
    return in && !p.failed;
}

bool html_write(const char *output, const struct page *page)
{
    size_t bytes;
    const char *template = html_template(&bytes), *at = place_in(template, bytes);
    FILE *file = tmpfile();
    int error = file ? 0 : -errno;
    if (file) {
        fwrite(template, 1, (size_t)(at - template), file);
        error = put_data(file, page) ? 0 : -ENOMEM;
        fwrite(at, 1, bytes - (size_t)(at - template), file);
        if (!error && (fflush(file) != 0 || ferror(file))) {
            error = -errno;
        }
        error = error ? error : outfile_write(output, fileno(file));
        fclose(file);
    }
    if (error) {
        complain("cannot write, %s, %s", output, strerror(-error));
    }
    return error == 0;
}
