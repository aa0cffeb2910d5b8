/* A child that the world cannot tell from this process. */
#ifndef ALLOT_TOOL_SUPERVISE_H
#define ALLOT_TOOL_SUPERVISE_H

struct supervised {
    int error;  /* what `start` returned, if it did; else 0 */
    int status; /* how the child ended, as waitpid says; meaningful when error is 0 */
};

/* Runs start(arg), which calls exec and returns an errno only when it could not, in a child with this process' signals,
 * group and descriptors; passes on every signal, stops when the child stops, and returns when it has ended: 0, or
 * -errno when there could be no child. May be called once. */
int supervise(int (*start)(void *arg), void *arg, struct supervised *out);

#endif
