/* os/shared.c - see os/shared.h. By raw system calls where libc's are cancellation points. */
#define _GNU_SOURCE
#include "os/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/memory.h"
#include "os/process.h"

/* What names the descriptor, and how many filters there were at the first call. */
static struct {
    bool open;
    int fd;
    dev_t device;
    ino_t inode;
} shared;
static bool asked_before;
static int filters_then;

static void close_raw(int fd) { syscall(SYS_close, fd); }

/* Allocates all of it now: full is seen here, and not by a store to the mapping. */
static bool fill(int fd, size_t length)
{
    static const char zeroes[512];
    while (length > 0) {
        ssize_t n = syscall(SYS_write, fd, zeroes, size_min(length, sizeof zeroes));
        if (n < 0 && errno != EINTR) {
            return false;
        }
        length -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

static int open_sealed(size_t length)
{
    enum { HIGH = 100, NOEXEC_SEAL = 8 }; /* the latter since Linux 6.3, which may insist on it */
    int fd = memfd_create("allot.control", MFD_CLOEXEC | MFD_ALLOW_SEALING | NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create("allot.control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (fd < 0) {
        return -1;
    }
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
    if (high >= 0) {
        close_raw(fd);
        fd = high;
    }
    if (fchmod(fd, 0600) != 0 || !fill(fd, length) ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        int error = errno;
        close_raw(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int open_unnamed(size_t length)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/shm", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 && !fill(fd, length)) {
        int error = errno;
        close_raw(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int share(size_t length, void *at)
{
    int filters = os_call_filters();
    struct rlimit longest;
    if (asked_before && filters != filters_then) {
        return -EPERM;
    }
    asked_before = true;
    filters_then = filters;
    if (getrlimit(RLIMIT_FSIZE, &longest) == 0 && longest.rlim_cur < length) { /* to write more raises SIGXFSZ */
        return -EFBIG;
    }
    int fd = filters == 0 ? open_sealed(length) : open_unnamed(length);
    struct stat file;
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &file) != 0 ||
        mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        int error = errno;
        close_raw(fd);
        return -error;
    }
    os_share_close();
    shared.fd = fd;
    shared.device = file.st_dev;
    shared.inode = file.st_ino;
    shared.open = true;
    return 0;
}

int os_share(size_t length, void *at)
{
    int saved = errno, error = share(align_up(length, os_page), at);
    errno = saved;
    return error;
}

bool os_share_is_open(void)
{
    struct stat file;
    int saved = errno;
    bool is =
        shared.open && fstat(shared.fd, &file) == 0 && file.st_dev == shared.device && file.st_ino == shared.inode;
    errno = saved;
    return is;
}

void os_share_close(void)
{
    if (os_share_is_open()) {
        int saved = errno;
        close_raw(shared.fd);
        errno = saved;
    }
    shared.open = false;
}

void *os_map_forgotten(size_t length)
{
    void *at = os_map(length);
    int saved = errno;
    if (at) {
        madvise(at, align_up(length, os_page), MADV_WIPEONFORK);
    }
    errno = at ? saved : errno;
    return at;
}

void *os_join(const char *path, size_t least, size_t *length)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return NULL;
    }
    struct stat file;
    void *at = MAP_FAILED;
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || (size_t)file.st_size < least) {
        errno = EPROTO;
    } else {
        *length = (size_t)file.st_size;
        at = mmap(NULL, *length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    }
    int error = errno;
    close_raw(fd);
    errno = error;
    return at == MAP_FAILED ? NULL : at;
}

void os_leave(void *at, size_t length) { munmap(at, length); }

void os_wait_shared(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
    int saved = errno;
    struct timespec most = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    syscall(SYS_futex, word, FUTEX_WAIT, value, &most, NULL, 0);
    errno = saved;
}

void os_wake_shared(_Atomic uint32_t *word)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}
