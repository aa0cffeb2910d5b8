/* Looking processes up in /proc. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/source.h"

/* A process has the area mapped: 1; not: 0; that cannot be known: -1. */
static int has_mapped(pid_t pid, const struct area *area)
{
    char path[64], line[512];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (!maps) {
        return errno == ENOENT || errno == ESRCH ? 0 : -1;
    }
    while (!found && fgets(line, sizeof line, maps)) {
        unsigned long long inode;
        found = area->named ? strstr(line, area->name) != NULL
                            : sscanf(line, "%*s %*s %*s %*s %llu", &inode) == 1 && inode == area->inode &&
                                  strstr(line, "allot-ring");
    }
    fclose(maps);
    return found;
}

/* Its id in the innermost of its namespaces; and in how many it has one. */
static int32_t inner_id(pid_t pid, unsigned *depth)
{
    char path[64], line[256];
    int32_t id = 0;

    *depth = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, "NSpid:", 6) == 0) {
            char *rest;
            for (char *word = strtok_r(line + 6, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest)) {
                id = atoi(word);
                ++*depth;
            }
            break;
        }
    }
    if (status) {
        fclose(status);
    }
    return id;
}

/* Who has the area mapped and is `pid` to itself; 0: nobody. */
static pid_t search(int32_t pid, const struct area *area)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;

    while (proc && !found && (entry = readdir(proc))) {
        pid_t candidate = (pid_t)atoi(entry->d_name);
        unsigned depth;
        if (candidate > 0 && inner_id(candidate, &depth) == pid && depth > 1 && has_mapped(candidate, area) == 1) {
            found = candidate;
        }
    }
    if (proc) {
        closedir(proc);
    }
    return found;
}

void process_find(struct process *p, const struct area *area)
{
    char path[64];

    p->pidfd = p->statm = -1;
    p->host = p->pid;
    p->same_ids = true;
    if (has_mapped(p->pid, area) == 0) {
        p->host = search(p->pid, area);
        p->same_ids = false;
    }
    if (p->host) {
        p->pidfd = (int)syscall(SYS_pidfd_open, p->host, 0);
        snprintf(path, sizeof path, "/proc/%d/statm", (int)p->host);
        p->statm = open(path, O_RDONLY | O_CLOEXEC);
    }
}

bool process_is_gone(struct process *p, const struct area *area, bool closely)
{
    if (p->host == 0) {
        return true;
    }
    if (p->pidfd >= 0 && poll(&(struct pollfd){.fd = p->pidfd, .events = POLLIN}, 1, 0) == 1) {
        return true;
    }
    if (p->pidfd < 0 && kill(p->host, 0) != 0 && errno == ESRCH) {
        return true;
    }
    return closely && has_mapped(p->host, area) == 0;
}

bool thread_is_gone(const struct thread *t)
{
    char path[64];

    if (!t->process->same_ids) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%d/task/%d", (int)t->process->host, (int)t->tid);
    return access(path, F_OK) != 0 && errno == ENOENT;
}

bool thread_name(const struct thread *t, char name[16])
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)t->process->host, (int)t->tid);
    int fd = t->process->same_ids ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t length = fd >= 0 ? read(fd, name, 16) : 0;
    if (fd >= 0) {
        close(fd);
    }
    if (length <= 0) {
        return false;
    }
    name[length - 1] = 0; /* where its line ends */
    return true;
}

bool process_memory(const struct process *p, uint64_t *resident, uint64_t *mapped)
{
    char text[128];
    unsigned long long pages, of_them_resident;
    ssize_t length = p->statm >= 0 ? pread(p->statm, text, sizeof text - 1, 0) : -1;

    if (length <= 0) {
        return false;
    }
    text[length] = 0;
    if (sscanf(text, "%llu %llu", &pages, &of_them_resident) != 2) {
        return false;
    }
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *mapped = pages * page;
    *resident = of_them_resident * page;
    return pages > 0;
}

bool stranger_is_gone(int32_t pid, const struct area *area)
{
    return has_mapped(pid, area) == 0 && search(pid, area) == 0;
}
