/* Which programs a preloaded library reaches.
 *
 * The dynamic loader reads LD_PRELOAD: so there must be one, of the same machine and the same C library as allot's own,
 * and it must not be in secure mode (AT_SECURE), in which it ignores preloads. The kernel sets that mode when the new
 * program's effective user or group is not the caller's real one, or when a caller who is not really root gets
 * capabilities from the file (security/commoncap.c). So a set-user-ID program is fine for the user it belongs to.
 */
#include <endian.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "target.h"

#define SHELL        "/bin/sh"
#define SCRIPT_DEPTH 5 /* how many interpreters that are scripts themselves the kernel follows */

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Bits of a file that the kernel would heed: not where the file system is mounted nosuid. */
static bool may_raise(const char *path)
{
    struct statvfs fs;
    return statvfs(path, &fs) != 0 || !(fs.f_flag & ST_NOSUID);
}

static bool changes_id(const char *path)
{
    struct stat st;
    uid_t user = geteuid();
    gid_t group = getegid();

    if (stat(path, &st) == 0 && may_raise(path) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        if (st.st_mode & S_ISUID) {
            user = st.st_uid;
        }
        /* Without the group's x it was the mark of mandatory locking. */
        if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) {
            group = st.st_gid;
        }
    }
    return user != getuid() || group != getgid();
}

static bool gains_capabilities(const char *path)
{
    struct vfs_ns_cap_data caps;
    struct __user_cap_header_struct self = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct own[VFS_CAP_U32] = {0};

    if (getuid() == 0 || !may_raise(path)) {
        return false;
    }
    ssize_t size = getxattr(path, "security.capability", &caps, sizeof caps);
    if (size < (ssize_t)XATTR_CAPS_SZ_1) {
        return false;
    }
    syscall(SYS_capget, &self, own);
    bool some = le32toh(caps.magic_etc) & VFS_CAP_FLAGS_EFFECTIVE;
    for (int i = 0; i < (size < (ssize_t)XATTR_CAPS_SZ_2 ? VFS_CAP_U32_1 : VFS_CAP_U32_2); i++) {
        some |= caps.data[i].permitted || (le32toh(caps.data[i].inheritable) & own[i].inheritable);
    }
    return some;
}

static enum target_verdict judge_file(struct target *target)
{
    if (changes_id(target->path)) {
        return TARGET_SET_ID;
    }
    if (gains_capabilities(target->path)) {
        return TARGET_CAPABILITIES;
    }

    const char *loader = target->program.interpreter;
    const char *own = target->own_loader;
    switch (target->program.kind) {
    case PROGRAM_FOREIGN:
        return TARGET_FOREIGN;
    case PROGRAM_STATIC:
        /* The loader itself, called by name to load a program, heeds preloads. */
        return own[0] && same_file(target->path, own) ? TARGET_FINE : TARGET_STATIC;
    case PROGRAM_DYNAMIC:
        if (!own[0] || strcmp(last_part(loader), last_part(own)) == 0 || same_file(loader, own)) {
            return TARGET_FINE;
        }
        return TARGET_LOADER;
    default:
        return TARGET_FINE;
    }
}

enum target_verdict target_judge(const char *path, struct target *out)
{
    /* This command and the library come from one build, so its loader is the library's. */
    program_read("/proc/self/exe", &out->program);
    memcpy(out->own_loader, out->program.interpreter, sizeof out->own_loader);

    snprintf(out->path, sizeof out->path, "%s", path);
    program_read(path, &out->program);
    for (int depth = 0; depth < SCRIPT_DEPTH; depth++) {
        if (out->program.kind == PROGRAM_SCRIPT) {
            memcpy(out->path, out->program.interpreter, sizeof out->path);
        } else if (out->program.kind == PROGRAM_TEXT) {
            memcpy(out->path, SHELL, sizeof SHELL);
        } else {
            break;
        }
        program_read(out->path, &out->program);
    }
    return judge_file(out);
}
