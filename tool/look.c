/* See look.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "look.h"
#include "progress.h"
#include "words.h"

static const char *looked_at;

static void show_progress(const struct trace_about *about)
{
    if (about->bytes > 0 && progress_due()) {
        words_put(stderr, words_base(looked_at), 60);
        fprintf(stderr, ": %d %%", (int)(100.0 * (double)about->read / (double)about->bytes));
    }
}

trace_progress *look_progress(const char *path)
{
    looked_at = path;
    progress_begin();
    return progress_shows() ? show_progress : NULL;
}

void look_progress_end(void) { progress_end(); }

void look_again(const struct look *look, const struct trace *trace, uint64_t event)
{
    if (event % 65536 < 32 && look->profile->wanted.progress) { /* who takes 32 at once comes by as well */
        look->profile->wanted.progress(trace_about(trace));
    }
}

bool look_at(struct look *look, const char *path, const struct profile_wanted *wanted)
{
    struct trace_error error;
    struct profile_wanted with = *wanted;
    *look = (struct look){.path = path};
    look->trace = trace_open(path, &error);
    if (!look->trace) {
        complain("%s", error.line);
        return false;
    }
    with.name = path;
    with.progress = look_progress(path);
    look->profile = profile_read(look->trace, &with, &error);
    look_progress_end();
    if (!look->profile) {
        complain("%s", error.line);
        look_end(look);
        return false;
    }
    look->symbols = symbols_begin();
    look->names = look->symbols ? names_begin(look->trace, look->symbols) : NULL;
    look->group = look->names ? names_group(look->names, look->profile, &look->groups, &look->group_of_site) : NULL;
    if (!look->group) {
        complain("out of memory, %s, end other programs", path);
        look_end(look);
        return false;
    }
    return true;
}

void look_end(struct look *look)
{
    free(look->group);
    free(look->group_of_site);
    names_end(look->names);
    symbols_end(look->symbols);
    profile_end(look->profile);
    if (look->trace) {
        trace_close(look->trace);
    }
    *look = (struct look){0};
}

size_t look_callers(const struct look *look, uint32_t site, struct symbol_frame *out, size_t most)
{
    static struct symbol_frame stack[NAMES_DEEPEST];
    size_t frames = names_stack(look->names, look->profile->site[site].stack, stack, NAMES_DEEPEST),
           place = names_place(stack, frames);
    size_t count = frames - place < most ? frames - place : most;
    memcpy(out, stack + place, count * sizeof *out);
    return count;
}
