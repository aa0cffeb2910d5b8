/* See ends.h. One that is ignored would wait as well, were it blocked. */
#include "ends.h"

static const int asking[] = {SIGINT, SIGTERM, SIGHUP};

void ends_block(sigset_t *ends, sigset_t *before)
{
    sigemptyset(ends);
    for (unsigned i = 0; i < sizeof asking / sizeof asking[0]; i++) {
        struct sigaction now;
        if (sigaction(asking[i], NULL, &now) != 0 || now.sa_handler != SIG_IGN) {
            sigaddset(ends, asking[i]);
        }
    }
    sigprocmask(SIG_BLOCK, ends, before);
}

bool ends_asked(const sigset_t *ends)
{
    sigset_t waits;
    sigpending(&waits);
    for (unsigned i = 0; i < sizeof asking / sizeof asking[0]; i++) {
        if (sigismember(ends, asking[i]) && sigismember(&waits, asking[i])) {
            return true;
        }
    }
    return false;
}
