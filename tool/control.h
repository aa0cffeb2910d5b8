/* The control pages of other processes (allot/control.h): found, asked, read. By read and write, not by mapping: what another
 * process shares may be cut off at any time, and is not trusted beyond its size. */
#ifndef ALLOT_TOOL_CONTROL_H
#define ALLOT_TOOL_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include <allot/control.h>

/* The page of a process: a descriptor of 0 or more; else -ESRCH: there is no such process; -EACCES: it may not be looked into;
 * -ENOENT: it shares none; -EPROTO: it shares one of another version; or another -errno. */
int control_open(pid_t pid);

/* The same; also a page that another process has asked for, whose owner is asked in its memory: then *by_memory. */
int control_open_any(pid_t pid, bool *by_memory);

/* Asks for the tables and reads the page; waits for an answer, but not for long. 0 or -errno. *answered: the tables are of now.
 * In *out counts are within bounds and names end. */
int control_ask_and_read(int fd, struct allot_control *out, bool *answered);

/* The same without asking. -EAGAIN: the tables were being written all the time. */
int control_read(int fd, struct allot_control *out);

/* Of a process: its name as the system has it, without characters that do not print; "?" when it is gone. */
void control_process_name(pid_t pid, char out[64]);

#endif
