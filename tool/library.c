/* Finding a library of allot's: beside this command, in the tree it was built or installed in (which may have been
 * moved), and at last where the build said it would be installed.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "library.h"

/* The directory this command lies in; false where /proc does not say. */
static bool own_directory(char out[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash = length > 0 ? memrchr(out, '/', length) : NULL;

    if (slash) {
        *slash = '\0';
    }
    return slash;
}

bool library_find(const char *library, char out[PATH_MAX])
{
    static const char *const from_bindir[] = {"../lib", ALLOT_LIBDIR_FROM_BINDIR};
    char own[PATH_MAX], tried[2 * PATH_MAX];
    bool known = own_directory(own);

    for (size_t i = 0; known && i < sizeof from_bindir / sizeof from_bindir[0]; i++) {
        snprintf(tried, sizeof tried, "%s/%s/%s", own, from_bindir[i], library);
        if (realpath(tried, out) && access(out, R_OK) == 0) {
            return true;
        }
    }
    snprintf(tried, sizeof tried, ALLOT_LIBDIR "/%s", library);
    return realpath(tried, out) && access(out, R_OK) == 0;
}

static bool find_or_complain(const char *library, char out[PATH_MAX])
{
    char own[PATH_MAX];

    if (library_find(library, out)) {
        return true;
    }
    complain("no %s, neither in %s/../lib nor in " ALLOT_LIBDIR ", build it with make or install it", library,
             own_directory(own) ? own : "/proc/self/exe");
    return false;
}

bool library_preload(const char *name)
{
    char library[PATH_MAX];

    if (!find_or_complain(name, library)) {
        return false;
    }
    if (strpbrk(library, ": ")) {
        complain("a path with a blank or colon cannot be preloaded, %s, install allot elsewhere", library);
        return false;
    }
    const char *others = getenv("LD_PRELOAD");
    if (!others || !others[0]) {
        return setenv("LD_PRELOAD", library, 1) == 0;
    }

    char *list;
    return asprintf(&list, "%s:%s", library, others) >= 0 && setenv("LD_PRELOAD", list, 1) == 0;
}

void library_preload_too(const char *soname)
{
    const char *others = getenv("LD_PRELOAD");
    char *list;
    if (asprintf(&list, "%s%s%s", others ? others : "", others && others[0] ? ":" : "", soname) >= 0) {
        setenv("LD_PRELOAD", list, 1);
    }
}

void library_option(const char *options)
{
    const char *others = getenv("ALLOT_OPTIONS");
    char *list;

    if (others && others[0] && asprintf(&list, "%s,%s", others, options) >= 0) {
        setenv("ALLOT_OPTIONS", list, 1);
    } else {
        setenv("ALLOT_OPTIONS", options, 1);
    }
}
