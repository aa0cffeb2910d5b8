/* Folded stacks, as flame graphs are drawn from: `main;load;parse 4096`, outermost first, one line a site, only those that have any
 * of the figure. What would break a line, a semicolon or a control character, is written as a colon or a question mark. */
#include <errno.h>
#include <inttypes.h>

#include "export/export.h"

int export_folded(struct export *export, enum export_figure figure, FILE *to)
{
    const struct profile *profile = export->profile;
    char room[64];

    for (uint32_t i = 1; i <= profile->sites; i++) {
        uint64_t value = export_value(&profile->site[i], figure);
        if (value == 0) {
            continue;
        }
        size_t depth = export_stack(export, &profile->site[i]);
        bool first = true;
        while (depth-- > 0) {
            const struct export_calls *calls = export_calls(export, export->stack[depth]);
            if (calls->count == 0) {
                return -ENOMEM;
            }
            for (size_t k = calls->count; k-- > 0; first = false) {
                if (!first) {
                    fputc(';', to);
                }
                export_put(to, export_name(&calls->frame[k], room), ';', ':');
            }
        }
        fprintf(to, " %" PRIu64 "\n", value);
    }
    return ferror(to) ? -EIO : 0;
}
