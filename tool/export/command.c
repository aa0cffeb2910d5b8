/* From a trace's file to one in another format. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "export/export.h"
#include "look.h"
#include "outfile.h"

#define INDENT "                         "
const char export_help[] = INDENT
    "pprof           gzipped profile.proto\n" INDENT
    "folded          stacks, for flame graphs; or folded:FIGURE, of\n" INDENT
    "                {alloc,live,peak,temporary}-{blocks,bytes}\n" INDENT "speedscope      speedscope's JSON\n" INDENT
    "massif          massif.out, for ms_print\n" INDENT "heap            gperftools' text: addresses only\n" INDENT
    "heaptrack       for heaptrack_print and heaptrack_gui\n";

static int export_peak(struct export *export, FILE *to) { return export_folded(export, EXPORT_PEAK_BYTES, to); }

static const struct {
    const char *name;
    int (*write)(struct export *export, FILE *to);
} formats[] = {
    {"pprof", export_pprof},   {"folded", export_peak}, {"speedscope", export_speedscope},
    {"massif", export_massif}, {"heap", export_heap},
};
#define FORMATS (sizeof formats / sizeof formats[0])

static size_t find_format(const char *name)
{
    size_t i = 0;
    while (i < FORMATS && strcmp(name, formats[i].name) != 0) {
        i++;
    }
    return i;
}

/* -1: it is none of folded's. */
static int folded_figure(const char *format)
{
    return strncmp(format, "folded:", 7) == 0 ? export_figure(format + 7) : -1;
}

bool export_is_format(const char *format)
{
    return strcmp(format, "heaptrack") == 0 || find_format(format) < FORMATS || folded_figure(format) >= 0;
}

static int write_profile(struct trace *trace, const char *format, const struct profile_wanted *wanted,
                         struct symbols *symbols, FILE *to)
{
    struct trace_error error;
    struct export export;
    struct profile *profile = profile_read(trace, wanted, &error);

    look_progress_end();
    if (!profile) {
        complain("%s", error.line);
        return -1;
    }
    int failed = export_begin(&export, profile, trace, symbols);
    if (!failed) {
        size_t known = find_format(format);
        failed = known < FORMATS ? formats[known].write(&export, to)
                                 : export_folded(&export, (enum export_figure)folded_figure(format), to);
        export_end(&export);
    }
    if (failed) {
        errno = -failed;
        complain("cannot export, %s, %m", wanted->name);
    }
    profile_end(profile);
    return failed;
}

static int write_format(const char *path, const char *format, const struct profile_wanted *wanted, FILE *to)
{
    struct trace_error error;
    struct trace *trace = trace_open(path, &error);

    if (!trace) {
        complain("%s", error.line);
        return -1;
    }
    bool events = strcmp(format, "heaptrack") == 0;
    struct symbols *symbols = symbols_begin();
    int failed = -1;
    if (!symbols) {
        complain("out of memory, %s, end other programs", path);
    } else if (events && trace_about(trace)->is_profile) {
        complain("a profile without events, %s, heaptrack's format needs a trace", path);
    } else if (events) {
        failed = export_heaptrack(trace, wanted, symbols, to, &error);
        look_progress_end();
        if (failed) {
            complain("%s", error.line);
        }
    } else {
        failed = write_profile(trace, format, wanted, symbols, to);
    }
    if (symbols) {
        symbols_end(symbols);
    }
    trace_close(trace);
    return failed;
}

int export_trace(const char *path, const char *format, const char *out, const struct profile_wanted *wanted)
{
    struct profile_wanted with = *wanted;
    bool to_stdout = !out || strcmp(out, "-") == 0;
    int error = to_stdout ? 0 : outfile_check(out);

    if (error) {
        errno = -error;
        complain("cannot write, %s, %m", out);
        return 1;
    }
    FILE *file = tmpfile();
    if (!file) {
        complain("cannot make a temporary file, %s, %m", P_tmpdir);
        return 1;
    }
    with.name = path;
    with.progress = look_progress(path);
    bool failed = write_format(path, format, &with, file) != 0;
    if (!failed) {
        error = fflush(file) == 0 ? 0 : -errno;
        if (!error) {
            error = to_stdout ? copy_whole(fileno(file), STDOUT_FILENO) : outfile_write(out, fileno(file));
        }
        if (error) {
            errno = -error;
            complain("cannot write, %s, %m", to_stdout ? "standard output" : out);
        }
    }
    fclose(file);
    return failed || error;
}
