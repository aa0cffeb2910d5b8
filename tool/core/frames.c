/* frames.c - see frames.h. */
#include <stdlib.h>

#include "core/frames.h"
#include "probe/calls.h"

struct frames {
    const struct dead *dead;
    struct symbols *symbols;
    int *number; /* of each module among the symbols'; -1: not asked yet */
    struct symbol_frame frame[FRAMES_MOST];
};

struct frames *frames_begin(const struct dead *dead)
{
    const size_t modules = dead->core.modules.count;
    struct frames *f = malloc(sizeof *f);
    int *number = malloc((modules + 1) * sizeof *number);
    struct symbols *symbols = symbols_begin();
    if (!f || !number || !symbols) {
        free(f);
        free(number);
        if (symbols) {
            symbols_end(symbols);
        }
        return NULL;
    }
    for (size_t i = 0; i < modules; i++) {
        number[i] = -1;
    }
    f->dead = dead;
    f->symbols = symbols;
    f->number = number;
    return f;
}

void frames_end(struct frames *f)
{
    if (f) {
        symbols_end(f->symbols);
        free(f->number);
    }
    free(f);
}

/* What is called at a return address; only the address itself where its object is not there any more. */
static size_t look_up(struct frames *f, uint64_t pc, bool loaded, const struct symbol_frame **out)
{
    const struct core_modules *modules = &f->dead->core.modules;
    const struct core_module *m = loaded ? core_module_of(modules, pc - 1) : NULL;
    if (!m) {
        return symbols_find(f->symbols, -1, pc, true, out);
    }
    int *number = &f->number[m - modules->module];
    if (*number < 0) {
        *number = symbols_module(f->symbols, m->file, m->build_id, m->build_id_bytes);
    }
    return symbols_find(f->symbols, *number, pc - m->bias, true, out);
}

const struct symbol_frame *frames_of(struct frames *f, uint32_t site, size_t *count)
{
    uint64_t pc;
    bool loaded;
    *count = 0;
    while (*count < FRAMES_MOST && core_site_frame(&f->dead->sites, site, &site, &pc, &loaded)) {
        const struct symbol_frame *found;
        if (pc <= CALLS_ELIDED) {
            f->frame[(*count)++] = (struct symbol_frame){.function = "(callers left out)"};
            continue;
        }
        size_t frames = look_up(f, pc, loaded, &found);
        for (size_t i = 0; i < frames && *count < FRAMES_MOST; i++) {
            f->frame[(*count)++] = found[i];
        }
    }
    return f->frame;
}
