/* replay/at_hand.c - the real mallocs of this machine: the C library's, allot's, and those that the dynamic linker or the usual folders
 * know of. */
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"
#include "program.h"
#include "replay/comparison.h"

/* Names as distributions have them, the first that is there counts. */
static const struct known {
    const char *name, *pattern[3];
} known[] = {
    {"jemalloc", {"libjemalloc.so.2", "libjemalloc.so*"}},
    {"mimalloc", {"libmimalloc.so.[0-9]", "libmimalloc.so*"}},
    {"tcmalloc", {"libtcmalloc_minimal.so.[0-9]", "libtcmalloc.so.[0-9]", "libtcmalloc*.so*"}},
};

/* NULL: that of the C library. */
static const char *const folders[] = {NULL, "/usr/local/lib", "/usr/lib64", "/usr/lib", "/lib64", "/lib", "/opt/lib"};

static void folder_of_libc(char out[PATH_MAX])
{
    Dl_info info;
    void *function = dlsym(RTLD_DEFAULT, "gnu_get_libc_version");
    if (!function || !dladdr(function, &info) || !realpath(info.dli_fname, out)) {
        snprintf(out, PATH_MAX, "/lib");
    }
    char *slash = strrchr(out, '/');
    if (slash) {
        *slash = '\0';
    }
}

static bool find(const struct known *known, const char *libc, char out[PATH_MAX])
{
    char folder[PATH_MAX], pattern[PATH_MAX + 64];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        snprintf(folder, sizeof folder, "%s", i == 0 ? libc : folders[i]);
        for (size_t k = 0; k < 3 && known->pattern[k]; k++) {
            glob_t found;
            snprintf(pattern, sizeof pattern, "%s/%s", folder, known->pattern[k]);
            bool some = glob(pattern, 0, NULL, &found) == 0;
            bool good = some && realpath(found.gl_pathv[0], out);
            if (some) {
                globfree(&found);
            }
            if (good) {
                return true;
            }
        }
    }
    return false;
}

/* Elsewhere, as the dynamic linker's cache has it: "	libjemalloc.so.2 (libc6,x86-64) => /opt/x/libjemalloc.so.2". */
static bool find_in_cache(const char *name, char out[PATH_MAX])
{
    char line[2 * PATH_MAX], begin[64];
    bool found = false;
    FILE *cache = popen("PATH=/sbin:/usr/sbin:$PATH ldconfig -p 2>/dev/null", "re");
    snprintf(begin, sizeof begin, "\tlib%s", name);
    while (cache && fgets(line, sizeof line, cache)) {
        struct program library;
        char *arrow = strstr(line, " => ");
        if (found || strncmp(line, begin, strlen(begin)) != 0 || strstr(line, "debug") || !arrow) {
            continue;
        }
        arrow[strcspn(arrow, "\n")] = '\0';
        program_read(arrow + 4, &library);
        found = (library.kind == PROGRAM_STATIC || library.kind == PROGRAM_DYNAMIC) && realpath(arrow + 4, out);
    }
    if (cache) {
        pclose(cache);
    }
    return found;
}

unsigned comparison_at_hand(struct comparison_real *out, unsigned most)
{
    static char path[sizeof known / sizeof known[0]][PATH_MAX], own[PATH_MAX];
    char libc[PATH_MAX];
    unsigned count = 0;
    folder_of_libc(libc);
    if (count < most) {
        out[count++] = (struct comparison_real){"glibc", ""};
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (count < most && (find(&known[i], libc, path[i]) || find_in_cache(known[i].name, path[i]))) {
            out[count++] = (struct comparison_real){known[i].name, path[i]};
        }
    }
    if (count < most && library_find(LIBRARY_MALLOC, own)) {
        out[count++] = (struct comparison_real){"allot", own};
    }
    return count;
}
