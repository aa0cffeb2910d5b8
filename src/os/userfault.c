/* os/userfault.c - see os/userfault.h. Costs a touch two switches between threads and four system calls. */
#define _GNU_SOURCE
#include "os/userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void userfault_forget(void *at, size_t length) { madvise(at, length, MADV_DONTNEED); }

#if __has_include(<linux/userfaultfd.h>) && defined(SYS_userfaultfd)
#include <linux/userfaultfd.h>
#endif

#ifdef UFFDIO_WRITEPROTECT

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static int open_one(int flags)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID};
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);
    if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int userfault_init(struct userfault *u, void *area, size_t length)
{
    u->fd = open_one(0);
    u->fd = u->fd < 0 ? open_one(UFFD_USER_MODE_ONLY) : u->fd;
    if (u->fd < 0) {
        return -ENOTSUP;
    }
    struct uffdio_register as = {.range = {(uintptr_t)area, length},
                                 .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP};
    u->stop = eventfd(0, EFD_CLOEXEC);
    /* What a child of a fork would have there is not watched, and zeros. */
    bool all = u->stop >= 0 && madvise(area, length, MADV_DONTFORK) == 0 && ioctl(u->fd, UFFDIO_REGISTER, &as) == 0;
    bool can_protect = all && as.ioctls >> _UFFDIO_WRITEPROTECT & 1;
    if (!can_protect) {
        if (u->stop >= 0) {
            close(u->stop);
        }
        close(u->fd);
        return -ENOTSUP;
    }
    return 0;
}

void userfault_done(struct userfault *u)
{
    close(u->fd);
    close(u->stop);
}

bool userfault_next(struct userfault *u, struct userfault_event *event)
{
    for (;;) {
        struct uffd_msg message;
        ssize_t n = read(u->fd, &message, sizeof message);
        if (n == (ssize_t)sizeof message && message.event == UFFD_EVENT_PAGEFAULT) {
            uint64_t flags = message.arg.pagefault.flags;
            *event = (struct userfault_event){.at = message.arg.pagefault.address,
                                              .thread = (int)message.arg.pagefault.feat.ptid,
                                              .stores = flags & (UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP),
                                              .there = flags & UFFD_PAGEFAULT_FLAG_WP};
            return true;
        }
        struct pollfd either[2] = {{.fd = u->fd, .events = POLLIN}, {.fd = u->stop, .events = POLLIN}};
        if (poll(either, 2, -1) > 0 && either[1].revents) {
            return false;
        }
    }
}

void userfault_stop(struct userfault *u)
{
    uint64_t one = 1;
    while (write(u->stop, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

int userfault_place(struct userfault *u, void *at, const void *from, size_t length, bool protected)
{
    struct uffdio_copy copy = {.dst = (uintptr_t)at,
                               .src = (uintptr_t)from,
                               .len = length,
                               .mode = UFFDIO_COPY_MODE_DONTWAKE | (protected ? UFFDIO_COPY_MODE_WP : 0)};
    while (ioctl(u->fd, UFFDIO_COPY, &copy) != 0) {
        if (errno != EAGAIN) { /* the map of the process is changing: some are copied */
            return -errno;
        }
        uint64_t done = copy.copy > 0 ? (uint64_t)copy.copy : 0;
        copy.dst += done;
        copy.src += done;
        copy.len -= done;
    }
    return 0;
}

static void protect(struct userfault *u, void *at, size_t length, uint64_t mode)
{
    struct uffdio_writeprotect to = {.range = {(uintptr_t)at, length}, .mode = mode};
    while (ioctl(u->fd, UFFDIO_WRITEPROTECT, &to) != 0 && errno == EAGAIN) {
    }
}

void userfault_freeze(struct userfault *u, void *at, size_t length)
{
    protect(u, at, length, UFFDIO_WRITEPROTECT_MODE_WP);
}

void userfault_thaw(struct userfault *u, void *at, size_t length)
{
    protect(u, at, length, UFFDIO_WRITEPROTECT_MODE_DONTWAKE);
}

void userfault_wake(struct userfault *u, void *at, size_t length)
{
    struct uffdio_range range = {(uintptr_t)at, length};
    ioctl(u->fd, UFFDIO_WAKE, &range);
}

void userfault_kill(struct userfault *u, const struct userfault_event *event)
{
    (void)u;
    syscall(SYS_tgkill, getpid(), event->thread, SIGBUS);
}

#else

int userfault_init(struct userfault *u, void *area, size_t length)
{
    (void)u, (void)area, (void)length;
    return -ENOTSUP;
}

void userfault_done(struct userfault *u) { (void)u; }

bool userfault_next(struct userfault *u, struct userfault_event *event)
{
    (void)u, (void)event;
    return false;
}

void userfault_stop(struct userfault *u) { (void)u; }

int userfault_place(struct userfault *u, void *at, const void *from, size_t length, bool protected)
{
    (void)u, (void)at, (void)from, (void)length, (void)protected;
    return -ENOTSUP;
}

void userfault_freeze(struct userfault *u, void *at, size_t length) { (void)u, (void)at, (void)length; }
void userfault_thaw(struct userfault *u, void *at, size_t length) { (void)u, (void)at, (void)length; }
void userfault_wake(struct userfault *u, void *at, size_t length) { (void)u, (void)at, (void)length; }
void userfault_kill(struct userfault *u, const struct userfault_event *event) { (void)u, (void)event; }

#endif
