/* Finds who reads a file, and hands over. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/input.h"
#include "trace/trace.h"

#define HEAD 4096

/* The stricter a format's mark, the earlier. */
static const struct trace_format *const formats[] = {
    &trace_format_allot, &trace_format_heaptrack, &trace_format_mtrace,
    &trace_format_dhat,  &trace_format_malloclab, &trace_format_text,
};

struct trace {
    const struct trace_format *format;
    void *reader;
    int fd;
    struct trace_about about;
    char path[]; /* its end only, where it is long: for errors */
};

static void say(struct trace_error *error, const char *what, const char *path, const char *what_to_do)
{
    snprintf(error->line, sizeof error->line, "%.110s, %s, %.60s", what, path, what_to_do);
}

/* What a reader found wrong says what and at which byte; here is added in which file. */
static void add_path(struct trace_error *error, const char *path)
{
    struct trace_error found = *error;
    say(error, found.line, path, "mend the file or record it again");
}

/* Formats go to and fro: what cannot, a pipe, is copied first. */
static int seekable(int fd)
{
    if (lseek(fd, 0, SEEK_CUR) >= 0) {
        return fd;
    }
    FILE *copy = tmpfile();
    int kept = copy ? fcntl(fileno(copy), F_DUPFD_CLOEXEC, 0) : -1;
    char buffer[1 << 16];
    ssize_t bytes = 0;
    while (kept >= 0 && (bytes = read(fd, buffer, sizeof buffer)) != 0) {
        if (bytes < 0 ? errno != EINTR : write(kept, buffer, (size_t)bytes) != bytes) {
            int why = errno;
            close(kept);
            kept = -1;
            errno = why;
        }
    }
    if (copy) {
        fclose(copy);
    }
    close(fd);
    return kept;
}

/* The beginning as it stands and unpacked, for the formats to look at. */
static const struct trace_format *who_reads(int fd, const char *path, struct trace_error *error)
{
    struct trace_about ignored = {0};
    unsigned char raw[HEAD];
    ssize_t raw_bytes = pread(fd, raw, sizeof raw, 0);

    if (raw_bytes < 0) {
        snprintf(error->line, sizeof error->line, "cannot read: %s", strerror(errno));
        return NULL;
    }
    if (trace_format_allot.is(raw, (size_t)raw_bytes, path)) {
        return &trace_format_allot;
    }
    struct input *input = input_open(fd, &ignored, error);
    if (!input) {
        return NULL;
    }
    size_t bytes;
    error->line[0] = 0;
    const unsigned char *head = (const unsigned char *)input_peek(input, HEAD, &bytes, error);
    const struct trace_format *format = NULL;
    for (size_t i = 1; i < sizeof formats / sizeof formats[0] && !format; i++) {
        format = formats[i]->is(head, bytes, path) ? formats[i] : NULL;
    }
    input_close(input);
    if (!format && !error->line[0]) {
        snprintf(error->line, sizeof error->line, "%s",
                 raw_bytes ? "no trace in any format that allot reads" : "an empty file");
    }
    return format;
}

struct trace *trace_open(const char *path, struct trace_error *error)
{
    size_t length = strlen(path);
    const char *shown = length > 80 ? path + length - 80 : path;
    struct trace *trace = calloc(1, sizeof *trace + strlen(shown) + 1);
    int fd = trace ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    struct stat st;

    if (trace) {
        memcpy(trace->path, shown, strlen(shown) + 1);
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        fd = -1;
        errno = EISDIR;
    }
    fd = fd >= 0 ? seekable(fd) : fd;
    if (fd < 0) {
        char why[80];
        snprintf(why, sizeof why, "cannot open it: %s", strerror(errno));
        say(error, why, shown, "name a trace that can be read");
        free(trace);
        return NULL;
    }
    trace->fd = fd;
    trace->format = who_reads(fd, path, error);
    if (!trace->format) {
        struct trace_error found = *error;
        say(error, found.line, shown, "see allot dump --help for what is read");
        close(fd);
        free(trace);
        return NULL;
    }
    trace->about.format = trace->format->name;
    trace->reader = lseek(fd, 0, SEEK_SET) == 0 ? trace->format->open(fd, &trace->about, error) : NULL;
    if (!trace->reader) {
        add_path(error, shown);
        close(fd);
        free(trace);
        return NULL;
    }
    return trace;
}

int trace_next(struct trace *trace, struct trace_event *event, struct trace_error *error)
{
    int answer = trace->format->next(trace->reader, event, error);

    if (answer < 0) {
        add_path(error, trace->path);
    }
    return answer;
}

void trace_close(struct trace *trace)
{
    trace->format->close(trace->reader);
    close(trace->fd);
    free(trace);
}

const struct trace_about *trace_about(const struct trace *trace) { return &trace->about; }

const struct trace_node *trace_nodes(const struct trace *trace, uint32_t *count)
{
    return trace->format->nodes(trace->reader, count);
}

const struct trace_frame *trace_frames(const struct trace *trace, uint32_t *count)
{
    return trace->format->frames(trace->reader, count);
}

const struct trace_module *trace_modules(const struct trace *trace, uint32_t *count)
{
    return trace->format->modules(trace->reader, count);
}

const struct trace_total *trace_totals(const struct trace *trace, uint32_t *count)
{
    *count = 0;
    return trace->format->totals ? trace->format->totals(trace->reader, count) : NULL;
}
