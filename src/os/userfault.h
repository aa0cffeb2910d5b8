/* os/userfault.h - memory whose pages this process brings itself when they are touched (userfaultfd), where the system has it and
 * lets us.
 *
 *   a thread touches:  page is not there, or protected and stored to  -->  sleeps; an event  -->  userfault_place, _thaw, _wake  -->  goes on
 *
 * One descriptor an area. Where others' privilege is wanting, only this process's own instructions may touch (system calls that are
 * given such an address fail with EFAULT then).
 */
#ifndef OS_USERFAULT_H
#define OS_USERFAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct userfault {
    int fd, stop; /* stop: an eventfd, readable when it is over */
};

struct userfault_event {
    uintptr_t at;
    int thread;  /* who touched */
    bool stores; /* or loads */
    bool there;  /* the page is, protected */
};

/* For an area that nothing of is there: 0, -ENOTSUP, or -ENOMEM. errno may change, here and below. */
int userfault_init(struct userfault *u, void *area, size_t length);
void userfault_done(struct userfault *u);

/* Waits for the next one; false: it is over. Not more than one thread. */
bool userfault_next(struct userfault *u, struct userfault_event *event);
void userfault_stop(struct userfault *u);

/* Whole pages, copied to where there are none: 0 or -errno. Protected: a store is an event. */
int userfault_place(struct userfault *u, void *at, const void *from, size_t length, bool protected);
void userfault_freeze(struct userfault *u, void *at, size_t length);
void userfault_thaw(struct userfault *u, void *at, size_t length);
/* Who waits looks again. */
void userfault_wake(struct userfault *u, void *at, size_t length);
/* Who waits is sent SIGBUS. */
void userfault_kill(struct userfault *u, const struct userfault_event *event);

/* Pages are not there any more. */
void userfault_forget(void *at, size_t length);

#endif
