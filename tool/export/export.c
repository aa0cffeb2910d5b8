/* Sites' stacks as frames, and frames as names, each looked up once. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "export/export.h"
#include "words.h"

const char *const export_figure_names[EXPORT_FIGURES] = {
    "alloc-blocks", "alloc-bytes", "live-blocks",      "live-bytes",
    "peak-blocks",  "peak-bytes",  "temporary-blocks", "temporary-bytes",
};

int export_figure(const char *name)
{
    for (int i = 0; i < EXPORT_FIGURES; i++) {
        if (strcmp(name, export_figure_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

int export_begin(struct export *export, const struct profile *profile, const struct trace *trace,
                 struct symbols *symbols)
{
    static const char *const names[EXPORT_SPECIALS] = {"(unknown)", "(before recording)", "(other stacks)", "(deeper)"};

    *export =
        (struct export){.profile = profile, .trace = trace, .symbols = symbols, .command = trace_about(trace)->command};
    export->node = trace_nodes(trace, &export->nodes);
    export->frame = trace_frames(trace, &export->frames);
    export->module = trace_modules(trace, &export->modules);
    for (int i = 0; i < EXPORT_SPECIALS; i++) {
        export->special[i] = (struct symbol_frame){.function = names[i]};
    }
    export->calls = calloc((size_t) export->frames + EXPORT_SPECIALS, sizeof *export->calls);
    export->symbols_module = calloc((size_t) export->modules + 1, sizeof *export->symbols_module);
    if (!export->calls || !export->symbols_module) {
        export_end(export);
        return -ENOMEM;
    }
    for (int i = 0; i < EXPORT_SPECIALS; i++) {
        export->calls[export->frames + i] = (struct export_calls){&export->special[i], 1};
    }
    for (uint32_t i = 0; i < export->modules; i++) {
        export->symbols_module[i] = -1;
    }
    return 0;
}

void export_end(struct export *export)
{
    free(export->calls);
    free(export->symbols_module);
}

uint64_t export_value(const struct profile_site *site, enum export_figure figure)
{
    switch (figure) {
    case EXPORT_ALLOC_BLOCKS:
        return site->allocs;
    case EXPORT_ALLOC_BYTES:
        return site->bytes;
    case EXPORT_LIVE_BLOCKS:
        return site->left_blocks;
    case EXPORT_LIVE_BYTES:
        return site->left_bytes;
    case EXPORT_PEAK_BLOCKS:
        return site->peak_blocks;
    case EXPORT_PEAK_BYTES:
        return site->peak_bytes;
    case EXPORT_TEMPORARY_BLOCKS:
        return site->temporary;
    case EXPORT_TEMPORARY_BYTES:
        return site->temporary_bytes;
    case EXPORT_FIGURES:
        break;
    }
    return 0;
}

size_t export_stack(struct export *export, const struct profile_site *site)
{
    size_t depth = 0;
    uint32_t node = site->stack;

    if (node == PROFILE_STACK_BEFORE || node == PROFILE_STACK_OTHER || node == 0 || node >= export->nodes) {
        export->stack[0] = export->frames + (node == PROFILE_STACK_BEFORE  ? EXPORT_BEFORE
                                             : node == PROFILE_STACK_OTHER ? EXPORT_OTHER
                                                                           : EXPORT_UNKNOWN);
        return 1;
    }
    for (; node != 0 && depth < EXPORT_DEEPEST; node = export->node[node].parent) {
        export->stack[depth++] = export->node[node].frame;
    }
    if (node != 0) {
        export->stack[depth++] = export->frames + EXPORT_DEEPER;
    }
    return depth;
}

const struct export_calls *export_calls(struct export *export, uint32_t number)
{
    struct export_calls *calls = &export->calls[number];

    if (calls->count == 0) {
        const struct trace_frame *frame = &export->frame[number];
        const struct trace_module *module = frame->module < export->modules ? &export->module[frame->module] : NULL;
        if (frame->function) {
            calls->count = symbols_known(export->symbols, frame->function, frame->file, frame->line,
                                         module ? module->path : NULL, frame->offset, &calls->frame);
        } else {
            int in = -1;
            if (module) {
                int *known = &export->symbols_module[frame->module];
                if (*known < 0) {
                    *known = symbols_module(export->symbols, module->path, module->build_id, module->build_id_bytes);
                }
                in = *known;
            }
            calls->count = symbols_find(export->symbols, in, frame->offset, true, &calls->frame);
        }
    }
    return calls;
}

const char *export_name(const struct symbol_frame *call, char room[64])
{
    if (call->function) {
        return call->function;
    }
    const char *slash = call->module ? strrchr(call->module, '/') : NULL;
    if (call->module) {
        snprintf(room, 64, "%.40s+0x%" PRIx64, slash ? slash + 1 : call->module, call->offset);
    } else {
        snprintf(room, 64, "0x%" PRIx64, call->offset);
    }
    return room;
}

char *export_plain(const char *text)
{
    char *copy = malloc(strlen(text) + 1), *to = copy;

    for (size_t length; copy && *text; text += length) {
        if (words_printable(words_decode(text, &length))) {
            memcpy(to, text, length);
            to += length;
        } else {
            *to++ = '?';
        }
    }
    if (copy) {
        *to = '\0';
    }
    return copy;
}

void export_put(FILE *to, const char *text, char other, char instead)
{
    for (size_t length; *text; text += length) {
        bool shows = words_printable(words_decode(text, &length));
        if (shows && length > 1) {
            fwrite(text, 1, length, to);
        } else {
            fputc(!shows ? '?' : *text == other ? instead : *text, to);
        }
    }
}
