/* snapshot/request.h - asks a running process on allot's malloc for a snapshot of itself. By its control page where it shares one, else
 * by writing to its memory, where it says it may be asked (heap/describe.h): no ptrace, nothing is stopped by us.
 *
 * The process writes it: into a file that is open here, or, where it sees other files than we do, one in its own /tmp.
 */
#ifndef ALLOT_SNAPSHOT_REQUEST_H
#define ALLOT_SNAPSHOT_REQUEST_H

#include <stdbool.h>
#include <sys/types.h>

/* The snapshot is in *out, a descriptor of a file without a name. False, and it is complained. `told` hears what is waited for; NULL:
 * that is over. */
bool snapshot_request(pid_t pid, int *out, void (*told)(const char *what));

#endif
