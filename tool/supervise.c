/* Standing in for a child: what is done to this process is done to the child, and what becomes of the child becomes of
 * it.
 *
 *     terminal ----^C ^\ ^Z----> the group: this process (drops it) and the child
 *     kill PID -----any--------> this process --the same-> the child
 *     the child stops ---------> this process stops likewise, so that the shell takes over; SIGCONT is passed on
 *     this process is killed --> so is the child (PR_SET_PDEATHSIG)
 *
 * All signals stay blocked here and are taken one by one with sigwaitinfo: no handler, no race. The child gets back the
 * mask and dispositions that this process was started with.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "supervise.h"

/* What a terminal sends it sends to the whole foreground group, so the child has it already. */
static bool sent_to_group_by_terminal(const siginfo_t *info)
{
    if (info->si_code != SI_KERNEL) {
        return false;
    }
    switch (info->si_signo) {
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGWINCH:
        return true;
    default:
        return false;
    }
}

static void pass_on(pid_t child, const siginfo_t *info)
{
    if (info->si_code == SI_QUEUE) {
        sigqueue(child, info->si_signo, info->si_value);
    } else {
        kill(child, info->si_signo);
    }
}

/* Stops as the child did, until continued. By the same signal: in a group that no shell looks after, the kernel lets
 * none but SIGSTOP stop anyone. */
static void stop_likewise(int sig)
{
    sigset_t one;

    sigemptyset(&one);
    sigaddset(&one, sig);
    sigaction(sig, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
}

static int wait_for(pid_t child)
{
    sigset_t all;

    sigfillset(&all);
    for (;;) {
        siginfo_t info;
        int status;
        int sig = sigwaitinfo(&all, &info);

        if (sig > 0 && sig != SIGCHLD && !sent_to_group_by_terminal(&info)) {
            pass_on(child, &info);
        }
        while (waitpid(child, &status, WNOHANG | WUNTRACED) == child) {
            if (!WIFSTOPPED(status)) {
                return status;
            }
            stop_likewise(WSTOPSIG(status));
        }
    }
}

int supervise(int (*start)(void *arg), void *arg, struct supervised *out)
{
    sigset_t all, mask;
    struct sigaction on_child;
    int report[2]; /* closed by a successful exec, else it carries start's errno */
    pid_t parent = getpid();

    if (pipe2(report, O_CLOEXEC) != 0) {
        return -errno;
    }
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    /* Where SIGCHLD is ignored there is no status to wait for. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &on_child);
    pid_t child = fork();
    if (child < 0) {
        int error = errno;
        sigaction(SIGCHLD, &on_child, NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        return -error;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            raise(SIGKILL);
        }
        sigaction(SIGCHLD, &on_child, NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        int error = start(arg);
        ssize_t written = write(report[1], &error, sizeof error);
        _exit(written == sizeof error ? 0 : 125);
    }

    close(report[1]);
    out->error = 0;
    while (read(report[0], &out->error, sizeof out->error) < 0 && errno == EINTR) {
        ;
    }
    close(report[0]);
    out->status = wait_for(child);
    /* What still waits here came for the child and after its end: ^Z just before it ended would stop this process now. */
    while (sigtimedwait(&all, NULL, &(struct timespec){0}) > 0) {
        ;
    }
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return 0;
}
