/* pprof's profile.proto, gzipped: for each site its calls and eight figures. Every location has a mapping, and every mapping a
 * build-id; functions and lines are resolved, so it opens without the program's files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "export/export.h"
#include "probe/pprof.h"

static const struct {
    enum export_figure figure;
    const char *type, *unit;
} types[] = {
    {EXPORT_ALLOC_BLOCKS, "alloc_objects", "count"},    {EXPORT_ALLOC_BYTES, "alloc_space", "bytes"},
    {EXPORT_LIVE_BLOCKS, "inuse_objects", "count"},     {EXPORT_LIVE_BYTES, "inuse_space", "bytes"},
    {EXPORT_PEAK_BLOCKS, "peak_objects", "count"},      {EXPORT_PEAK_BYTES, "peak_space", "bytes"},
    {EXPORT_TEMPORARY_BLOCKS, "temp_objects", "count"}, {EXPORT_TEMPORARY_BYTES, "temp_space", "bytes"},
};
#define TYPES (sizeof types / sizeof types[0])

struct writer {
    struct export *export;
    struct pprof pprof;
    struct tables texts; /* every text once: */
    uint64_t *string;    /* by its number there, its number in the profile */
    uint32_t string_room;
    struct live functions; /* by (name, file): the number */
    uint64_t functions_told;
    bool *told; /* by frame */
    FILE *to;
    z_stream gzip;
};

static bool write_packed(void *arg, const void *bytes, size_t length)
{
    struct writer *writer = arg;
    unsigned char out[1 << 14];
    int flush = bytes ? Z_NO_FLUSH : Z_FINISH;

    writer->gzip.next_in = (unsigned char *)bytes;
    writer->gzip.avail_in = (uInt)length;
    do {
        writer->gzip.next_out = out;
        writer->gzip.avail_out = sizeof out;
        deflate(&writer->gzip, flush);
        size_t packed = sizeof out - writer->gzip.avail_out;
        if (fwrite(out, 1, packed, writer->to) != packed) {
            return false;
        }
    } while (writer->gzip.avail_out == 0);
    return true;
}

/* false: no memory. */
static bool string_of(struct writer *writer, const char *text, uint64_t *number)
{
    uint32_t known;

    *number = 0;
    if (!text || !text[0]) {
        return true;
    }
    if (!tables_text(&writer->texts, text, strlen(text), &known)) {
        return false;
    }
    if (known >= writer->string_room) {
        uint32_t room = known < 512 ? 1024 : known * 2;
        uint64_t *moved = reallocarray(writer->string, room, sizeof *moved);
        if (!moved) {
            return false;
        }
        memset(moved + writer->string_room, 0, (room - writer->string_room) * sizeof *moved);
        writer->string = moved;
        writer->string_room = room;
    }
    if (writer->string[known] == 0) {
        char *plain = export_plain(text);
        if (!plain) {
            return false;
        }
        writer->string[known] = pprof_string(&writer->pprof, plain);
        free(plain);
    }
    *number = writer->string[known];
    return true;
}

static bool function_of(struct writer *writer, const struct symbol_frame *call, uint64_t *number)
{
    char room[64];
    uint64_t name, symbol, file;

    if (!string_of(writer, export_name(call, room), &name) || !string_of(writer, call->symbol, &symbol) ||
        !string_of(writer, call->file, &file)) {
        return false;
    }
    struct live_slot *known = live_find(&writer->functions, (uint32_t)name, file);
    if (!known) {
        known = live_add(&writer->functions, (uint32_t)name, file, ++writer->functions_told);
        if (!known) {
            return false;
        }
        pprof_function(&writer->pprof, known->value, name, symbol ? symbol : name, file, 0);
    }
    *number = known->value;
    return true;
}

/* Mappings are numbered as modules, from 1; the last is of what lies in none. */
static bool put_mappings(struct writer *writer)
{
    const struct export *export = writer->export;

    for (uint32_t i = 0; i <= export->modules; i++) {
        static const struct trace_module nowhere = {.path = "(unknown)"};
        const struct trace_module *module = i < export->modules ? &export->module[i] : &nowhere;
        struct pprof_mapping mapping = {.id = (uint64_t)i + 1,
                                        .start = module->start,
                                        .limit = module->end,
                                        .offset = module->start - module->bias,
                                        .has_functions = true,
                                        .has_files = true,
                                        .has_lines = true,
                                        .has_inlined = true};
        char build_id[PPROF_BUILD_ID];
        pprof_build_id(build_id, module->build_id, module->build_id_bytes, module->path);
        if (!string_of(writer, module->path, &mapping.file) || !string_of(writer, build_id, &mapping.build_id)) {
            return false;
        }
        pprof_mapping(&writer->pprof, &mapping);
    }
    return true;
}

/* Locations are numbered as frames, from 1. */
static bool put_location(struct writer *writer, uint32_t number)
{
    struct export *export = writer->export;
    const struct export_calls *calls = export_calls(export, number);

    if (calls->count == 0) {
        return false;
    }
    struct pprof_line *lines = calloc(calls->count, sizeof *lines);
    if (!lines) {
        return false;
    }
    bool fine = true;
    for (size_t i = 0; i < calls->count && fine; i++) {
        lines[i].line = calls->frame[i].line;
        fine = function_of(writer, &calls->frame[i], &lines[i].function);
    }
    if (fine) {
        const struct trace_frame *frame = number < export->frames ? &export->frame[number] : NULL;
        uint64_t mapping = frame && frame->module < export->modules ? frame->module : export->modules;
        pprof_location(&writer->pprof, (uint64_t)number + 1, mapping + 1, frame && frame->pc ? frame->pc - 1 : 0, lines,
                       calls->count);
    }
    free(lines);
    writer->told[number] = true;
    return fine;
}

static bool put_site(struct writer *writer, const struct profile_site *site, uint64_t process_key)
{
    struct export *export = writer->export;
    uint64_t location[EXPORT_DEEPEST + 1];
    int64_t value[TYPES];
    struct pprof_label process = {.key = process_key, .number = site->process};
    size_t depth = export_stack(export, site);

    for (size_t i = 0; i < depth; i++) {
        if (!writer->told[export->stack[i]] && !put_location(writer, export->stack[i])) {
            return false;
        }
        location[i] = (uint64_t) export->stack[i] + 1;
    }
    for (size_t i = 0; i < TYPES; i++) {
        uint64_t figure = export_value(site, types[i].figure);
        value[i] = figure < INT64_MAX ? (int64_t)figure : INT64_MAX;
    }
    pprof_sample(&writer->pprof, location, depth, value, &process, process_key != 0);
    return true;
}

static int write_all(struct writer *writer)
{
    struct export *export = writer->export;
    const struct profile *profile = export->profile;
    uint64_t process_key = 0;

    for (size_t i = 0; i < TYPES; i++) {
        pprof_sample_type(&writer->pprof, types[i].type, types[i].unit);
    }
    pprof_default_type(&writer->pprof, "inuse_space");
    pprof_period(&writer->pprof, "space", "bytes", 1);
    if (profile->timed) {
        pprof_time(&writer->pprof, trace_about(export->trace)->began * 1000000000,
                   (int64_t)(profile->end - profile->begin));
    }
    if (export->command) {
        char *plain = export_plain(export->command);
        if (!plain) {
            return -ENOMEM;
        }
        pprof_comment(&writer->pprof, plain);
        free(plain);
    }
    if (profile->processes > 1 && !string_of(writer, "process", &process_key)) {
        return -ENOMEM;
    }
    if (!put_mappings(writer)) {
        return -ENOMEM;
    }
    for (uint32_t i = 1; i <= profile->sites; i++) {
        if (!put_site(writer, &profile->site[i], process_key)) {
            return -ENOMEM;
        }
    }
    return pprof_end(&writer->pprof) && write_packed(writer, NULL, 0) && !ferror(writer->to) ? 0 : -EIO;
}

int export_pprof(struct export *export, FILE *to)
{
    struct writer *writer = calloc(1, sizeof *writer);
    int error = -ENOMEM;

    if (!writer) {
        return error;
    }
    writer->export = export;
    writer->to = to;
    writer->told = calloc((size_t) export->frames + EXPORT_SPECIALS, sizeof *writer->told);
    if (writer->told &&
        deflateInit2(&writer->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK) {
        pprof_begin(&writer->pprof, write_packed, writer);
        error = write_all(writer);
        deflateEnd(&writer->gzip);
    }
    tables_done(&writer->texts);
    live_done(&writer->functions);
    free(writer->string);
    free(writer->told);
    free(writer);
    return error;
}
