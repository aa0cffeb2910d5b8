/* speedscope's own JSON: one list of calls, and for each figure a profile of stacks (outermost first) with their weights. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "export/export.h"
#include "json.h"

static const struct {
    enum export_figure figure;
    const char *name, *unit;
} profiles[] = {
    {EXPORT_PEAK_BYTES, "live at the peak", "bytes"},
    {EXPORT_LIVE_BYTES, "live at the end", "bytes"},
    {EXPORT_ALLOC_BYTES, "allocated", "bytes"},
    {EXPORT_ALLOC_BLOCKS, "allocations", "none"},
    {EXPORT_TEMPORARY_BLOCKS, "temporary blocks", "none"},
};

static void put_calls(struct json *json, const struct export_calls *calls)
{
    char room[64];

    for (size_t k = 0; k < calls->count; k++) {
        const struct symbol_frame *call = &calls->frame[k];
        json_object(json, NULL);
        json_text(json, "name", export_name(call, room));
        if (call->file || call->module) {
            json_text(json, "file", call->file ? call->file : call->module);
        }
        if (call->line) {
            json_number(json, "line", call->line);
        }
        json_end(json);
    }
}

static void put_samples(struct export *export, struct json *json, const uint32_t *first, enum export_figure figure)
{
    const struct profile *profile = export->profile;

    json_array(json, "samples");
    for (uint32_t i = 1; i <= profile->sites; i++) {
        if (export_value(&profile->site[i], figure) == 0) {
            continue;
        }
        size_t depth = export_stack(export, &profile->site[i]);
        json_array(json, NULL);
        while (depth-- > 0) {
            uint32_t frame = export->stack[depth];
            for (size_t k = export->calls[frame].count; k-- > 0;) {
                json_number(json, NULL, first[frame] + k);
            }
        }
        json_end(json);
    }
    json_end(json);
}

static uint64_t put_weights(const struct export *export, struct json *json, enum export_figure figure)
{
    const struct profile *profile = export->profile;
    uint64_t sum = 0;

    json_array(json, "weights");
    for (uint32_t i = 1; i <= profile->sites; i++) {
        uint64_t value = export_value(&profile->site[i], figure);
        if (value) {
            json_number(json, NULL, value);
            sum += value;
        }
    }
    json_end(json);
    return sum;
}

/* All frames are looked up, and where each begins in the list of calls is in `first`. */
static int number_calls(struct export *export, uint32_t *first)
{
    uint32_t calls = 0;

    for (uint32_t i = 0; i < export->frames + EXPORT_SPECIALS; i++) {
        first[i] = calls;
        const struct export_calls *these = export_calls(export, i);
        if (these->count == 0) {
            return -ENOMEM;
        }
        calls += (uint32_t)these->count;
    }
    return 0;
}

int export_speedscope(struct export *export, FILE *to)
{
    struct json json;
    uint32_t *first = calloc((size_t) export->frames + EXPORT_SPECIALS, sizeof *first);
    int error = first ? number_calls(export, first) : -ENOMEM;

    if (error) {
        free(first);
        return error;
    }
    json_begin(&json, to);
    json_object(&json, NULL);
    json_text(&json, "$schema", "https://www.speedscope.app/file-format-schema.json");
    json_text(&json, "exporter", "allot " ALLOT_VERSION);
    json_text(&json, "name", export->command ? export->command : "allot");
    json_number(&json, "activeProfileIndex", 0);
    json_object(&json, "shared");
    json_array(&json, "frames");
    for (uint32_t i = 0; i < export->frames + EXPORT_SPECIALS; i++) {
        put_calls(&json, &export->calls[i]);
    }
    json_end(&json);
    json_end(&json);
    json_array(&json, "profiles");
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        json_object(&json, NULL);
        json_text(&json, "type", "sampled");
        json_text(&json, "name", profiles[i].name);
        json_text(&json, "unit", profiles[i].unit);
        put_samples(export, &json, first, profiles[i].figure);
        uint64_t sum = put_weights(export, &json, profiles[i].figure);
        json_number(&json, "startValue", 0);
        json_number(&json, "endValue", sum);
        json_end(&json);
    }
    json_end(&json);
    json_end(&json);
    fputc('\n', to);
    free(first);
    return ferror(to) ? -EIO : 0;
}
