/* The text that gperftools' heap profiler writes, of exact figures ("heapprofile": nothing is scaled), which pprof, jeprof and their
 * like read:
 *
 *   heap profile: LIVE: BYTES [ALL: BYTES] @ heapprofile
 *        2:       80 [     7:      280] @ 0x55d0c8a5f1c9 0x7f0c...
 *   MAPPED_LIBRARIES:
 *   55d0c8a5f000-55d0c8a60000 r-xp 00000000 00:00 0 /usr/bin/program
 *
 * Addresses only, no names: what calls have no address is left out. Of several processes each object is listed where it was, so
 * take one process at a time.
 */
#include <errno.h>
#include <inttypes.h>

#include "export/export.h"

static void put_figures(FILE *to, uint64_t live, uint64_t live_bytes, uint64_t all, uint64_t all_bytes)
{
    fprintf(to, "%6" PRIu64 ": %8" PRIu64 " [%6" PRIu64 ": %8" PRIu64 "] @", live, live_bytes, all, all_bytes);
}

int export_heap(struct export *export, FILE *to)
{
    const struct profile *profile = export->profile;

    fputs("heap profile: ", to);
    put_figures(to, profile->left_blocks, profile->left_bytes, profile->allocs, profile->bytes);
    fputs(" heapprofile\n", to);
    for (uint32_t i = 1; i <= profile->sites; i++) {
        const struct profile_site *site = &profile->site[i];
        size_t depth = export_stack(export, site);
        put_figures(to, site->left_blocks, site->left_bytes, site->allocs, site->bytes);
        for (size_t k = 0; k < depth; k++) {
            if (export->stack[k] < export->frames && export->frame[export->stack[k]].pc) {
                fprintf(to, " 0x%" PRIx64, export->frame[export->stack[k]].pc);
            }
        }
        fputc('\n', to);
    }
    fputs("\nMAPPED_LIBRARIES:\n", to);
    for (uint32_t i = 0; i < export->modules; i++) {
        const struct trace_module *module = &export->module[i];
        if (module->end > module->start) {
            fprintf(to, "%" PRIx64 "-%" PRIx64 " r-xp %08" PRIx64 " 00:00 0 ", module->start, module->end,
                    module->start - module->bias);
            export_put(to, module->path, 0, 0);
            fputc('\n', to);
        }
    }
    return ferror(to) ? -EIO : 0;
}
