/* See apart.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/apart.h"

/* What it says when it begins. */
struct begun {
    int error;
    char area[64];
};

struct apart {
    pid_t pid;
    int socket;
    struct begun begun;
};

static ssize_t receive(int socket, void *out, size_t bytes)
{
    ssize_t n;
    while ((n = recv(socket, out, bytes, 0)) < 0 && errno == EINTR) {
        ;
    }
    return n;
}

/* Nothing of what this process had open but these: others would wait for its end, too. They become 3 and so on; one that is 0 is none. */
static bool close_all_but(int *keep[], unsigned count)
{
    enum { FIRST = 3, MOST = 8 };
    int own[MOST], nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (unsigned i = 0; i < count; i++) {
        own[i] = *keep[i] ? fcntl(*keep[i], F_DUPFD_CLOEXEC, FIRST + MOST) : 0;
        if (own[i] < 0) {
            return false;
        }
    }
    for (int i = 0; i < FIRST; i++) {
        dup3(nothing, i, O_CLOEXEC);
    }
    int next = FIRST;
    for (unsigned i = 0; i < count; i++) {
        *keep[i] = own[i] ? dup3(own[i], next++, O_CLOEXEC) : 0;
    }
    syscall(SYS_close_range, next, ~0u, 0);
    return true;
}

/* Whoever could ask this to end was killed, and the program is with him, but perhaps not yet. What it has started may live for long. */
static void await_last_words(const struct collector *collector)
{
    enum { STEP_MS = 5, MOST_MS = 1000 };

    for (int ms = 0; ms < MOST_MS && collect_some_live(collector); ms += STEP_MS) {
        usleep(STEP_MS * 1000);
    }
}

/* Until it is asked to end, or who could ask is no more. */
static _Noreturn void collect(struct collect_options options, int socket)
{
    struct begun begun = {0};
    struct collect_result result;
    char end;
    sigset_t all;

    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "allot collector");
    begun.error = close_all_but((int *[]){&socket, &options.fd, &options.area}, 3) ? 0 : -EMFILE;
    struct collector *collector = begun.error ? NULL : collect_begin(&options, &begun.error);
    if (collector) {
        snprintf(begun.area, sizeof begun.area, "%s", collect_area(collector));
    }
    send(socket, &begun, sizeof begun, MSG_NOSIGNAL);
    if (collector) {
        if (receive(socket, &end, sizeof end) != sizeof end) {
            await_last_words(collector);
        }
        collect_end(collector, &result);
        send(socket, &result, sizeof result, MSG_NOSIGNAL);
    }
    _exit(0);
}

static void forget(struct apart *apart)
{
    close(apart->socket);
    while (apart->pid > 0 && waitpid(apart->pid, NULL, 0) < 0 && errno == EINTR) {
        ;
    }
    free(apart);
}

struct apart *apart_begin(const struct collect_options *options, int *error)
{
    struct apart *apart = calloc(1, sizeof *apart);
    int ends[2] = {-1, -1};

    *error = !apart ? -ENOMEM : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 ? -errno : 0;
    apart = *error ? (free(apart), NULL) : apart;
    if (apart) {
        apart->pid = fork();
        if (apart->pid == 0) {
            collect(*options, ends[1]);
        }
        *error = apart->pid < 0 ? -errno : 0;
        apart->socket = ends[0];
        close(ends[1]);
    }
    close(options->fd);
    if (options->area) {
        close(options->area);
    }
    if (apart && *error == 0) {
        bool heard = receive(apart->socket, &apart->begun, sizeof apart->begun) == sizeof apart->begun;
        *error = heard ? apart->begun.error : -EOWNERDEAD;
    }
    if (apart && *error) {
        forget(apart);
        apart = NULL;
    }
    return apart;
}

const char *apart_area(const struct apart *apart) { return apart->begun.area; }

void apart_end(struct apart *apart, struct collect_result *result)
{
    send(apart->socket, "", 1, MSG_NOSIGNAL);
    if (receive(apart->socket, result, sizeof *result) != sizeof *result) {
        *result = (struct collect_result){.error = -EOWNERDEAD};
    }
    forget(apart);
}
