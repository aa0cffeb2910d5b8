/* See reach.h. In a folder of another's tree of files nothing is followed that leads out of it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reach.h"

static bool same(pid_t pid, const char *what, const char *own)
{
    struct stat here, there;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    return stat(own, &here) == 0 && stat(path, &there) == 0 && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

bool reach_is_near(pid_t pid)
{
    struct stat there;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return same(pid, "root", "/") && same(pid, "ns/pid", "/proc/self/ns/pid") && stat(path, &there) == 0 &&
           there.st_uid == geteuid();
}

static int open_folder(int root, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int make_in(int folder, const char *name, const struct stat *process, int *fd)
{
    int made = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = made < 0 ? -errno : 0;
    if (!error && process->st_uid != geteuid() && fchown(made, process->st_uid, process->st_gid) != 0) {
        error = -errno;
        unlinkat(folder, name, 0);
        close(made);
    }
    *fd = error ? 0 : made;
    return error;
}

int reach_make(pid_t pid, const char *kind, bool to_be_mapped, struct reach *out)
{
    static const char *const folders[] = {"/dev/shm", "/tmp"};
    struct stat process;
    char path[64];
    int error = -ENOENT;

    *out = (struct reach){0};
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (stat(path, &process) != 0) {
        return -ESRCH;
    }
    snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        return -errno;
    }
    snprintf(out->name, sizeof out->name, "%s-%d-%d", kind, (int)pid, (int)getpid());
    for (unsigned i = 0; i < 2 && error; i++) {
        const char *where = folders[to_be_mapped ? i : 1 - i];
        int folder = open_folder(root, where);
        snprintf(out->path, sizeof out->path, "%s/%s", where, out->name);
        error = folder < 0 ? -errno : make_in(folder, out->name, &process, &out->fd);
        if (error && folder >= 0) {
            close(folder);
        } else if (!error) {
            out->folder = folder;
        }
    }
    close(root);
    return error;
}

void reach_remove(struct reach *reach)
{
    if (reach->folder > 0) {
        unlinkat(reach->folder, reach->name, 0);
        close(reach->folder);
        reach->folder = 0;
    }
}
