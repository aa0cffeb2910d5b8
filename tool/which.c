/* The search along PATH, as execvp does it, but before anything is run: the file is looked at first. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "which.h"

static int why_not(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return errno;
    }
    if (S_ISDIR(st.st_mode)) {
        return EISDIR;
    }
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

int which(const char *name, char out[PATH_MAX])
{
    if (strchr(name, '/')) {
        if ((size_t)snprintf(out, PATH_MAX, "%s", name) >= PATH_MAX) {
            return ENAMETOOLONG;
        }
        return why_not(out);
    }
    if (!name[0]) {
        return ENOENT;
    }

    const char *path = getenv("PATH");
    int reason = ENOENT;
    for (const char *part = path ? path : "/bin:/usr/bin";; part++) {
        size_t length = strcspn(part, ":");
        /* An empty part is the current directory. */
        int printed = length ? snprintf(out, PATH_MAX, "%.*s/%s", (int)length, part, name)
                             : snprintf(out, PATH_MAX, "./%s", name);
        int error = printed < PATH_MAX ? why_not(out) : ENAMETOOLONG;
        if (error == 0) {
            return 0;
        }
        if (error == EACCES) {
            reason = EACCES;
        }
        part += length;
        if (!part[0]) {
            return reason;
        }
    }
}
