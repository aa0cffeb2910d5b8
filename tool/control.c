/* See control.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "proc.h"

enum { WAIT_MS = 100, TRIES = 100 };

static void sleep_ms(void) { usleep(1000); }

/* What the process itself takes its id for: the last of a list, one for each pid namespace. */
static long own_pid(pid_t pid)
{
    char text[4096];
    const char *at = proc_read(pid, "status", text, sizeof text) ? strstr(text, "\nNSpid:") : NULL;
    long last = pid;
    for (char *end; at && (at = strpbrk(at, "\t ")) && *at != '\n'; at = end) {
        last = strtol(at, &end, 10);
        if (*end == '\n') {
            break;
        }
    }
    return last;
}

static bool read_at(int fd, void *out, size_t size, size_t at)
{
    return pread(fd, out, size, (off_t)at) == (ssize_t)size;
}

/* Whether a descriptor of a process may be a page's. */
static bool may_be_page(const char *link)
{
    return strncmp(link, "/memfd:allot.control", 20) == 0 || strstr(link, "/#");
}

/* What a file is that may be a process's page: the file, or -ENOENT or -EPROTO. */
static int judge(int fd, long pid, bool *by_memory)
{
    struct allot_control page;
    struct stat file;
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) ||
        !read_at(fd, &page, offsetof(struct allot_control, asked), 0) ||
        memcmp(page.magic, ALLOT_CONTROL_MAGIC, sizeof page.magic) != 0 || page.pid != pid) {
        return -ENOENT;
    }
    *by_memory = page.by_memory;
    return page.version == ALLOT_CONTROL_VERSION && page.size == ALLOT_CONTROL_SIZE &&
                   (size_t)file.st_size >= ALLOT_CONTROL_SIZE
               ? fd
               : -EPROTO;
}

static int open_in(DIR *folder, long pid, bool *by_memory)
{
    int found = -ENOENT;
    for (const struct dirent *entry; found < 0 && (entry = readdir(folder));) {
        char link[128];
        ssize_t n = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        int fd = may_be_page(link) ? openat(dirfd(folder), entry->d_name, O_RDWR | O_CLOEXEC | O_NONBLOCK) : -1;
        if (fd < 0) {
            continue;
        }
        int verdict = judge(fd, pid, by_memory);
        found = verdict == -ENOENT ? found : verdict;
        if (verdict < 0) {
            close(fd);
        }
    }
    return found;
}

int control_open_any(pid_t pid, bool *by_memory)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (!folder) {
        return errno == ENOENT ? -ESRCH : -errno;
    }
    *by_memory = false;
    int fd = open_in(folder, own_pid(pid), by_memory);
    closedir(folder);
    return fd;
}

int control_open(pid_t pid)
{
    bool by_memory;
    int fd = control_open_any(pid, &by_memory);
    if (fd >= 0 && by_memory) {
        close(fd);
        fd = -ENOENT;
    }
    return fd;
}

/* Nothing that comes from elsewhere is taken for what it should be. */
static void keep_within_bounds(struct allot_control *page)
{
    for (size_t i = 0; i < ALLOT_CONTROL_TAGS; i++) {
        page->tables.of_tag[i].name[ALLOT_CONTROL_NAME - 1] = 0;
    }
}

int control_read(int fd, struct allot_control *out)
{
    for (int try = 0; try < TRIES; try++) {
        uint64_t before, after;
        size_t at = offsetof(struct allot_control, sequence);
        if (!read_at(fd, &before, sizeof before, at) || !read_at(fd, out, sizeof *out, 0) ||
            !read_at(fd, &after, sizeof after, at)) {
            return -EIO;
        }
        if (before == after && before % 2 == 0) {
            keep_within_bounds(out);
            return 0;
        }
        sleep_ms();
    }
    return -EAGAIN;
}

int control_ask_and_read(int fd, struct allot_control *out, bool *answered)
{
    uint64_t asked, answer = 0;
    if (!read_at(fd, &asked, sizeof asked, offsetof(struct allot_control, asked))) {
        return -EIO;
    }
    asked++;
    if (pwrite(fd, &asked, sizeof asked, offsetof(struct allot_control, asked)) != sizeof asked) {
        return -errno;
    }
    for (int ms = 0; ms < WAIT_MS; ms++) {
        if (!read_at(fd, &answer, sizeof answer, offsetof(struct allot_control, answered))) {
            return -EIO;
        }
        if ((int64_t)(answer - asked) >= 0) {
            break;
        }
        sleep_ms();
    }
    *answered = (int64_t)(answer - asked) >= 0;
    return control_read(fd, out);
}

void control_process_name(pid_t pid, char out[64])
{
    if (!proc_read(pid, "comm", out, 64)) {
        strcpy(out, "?");
    }
    out[strcspn(out, "\n")] = 0;
    for (char *c = out; *c; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    }
}
