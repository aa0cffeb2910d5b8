/* What `allot` and its subcommands share. Each subcommand is one file with one function, listed in main.c.
 *
 * A subcommand gets argv[0] as its own name and returns the exit status. It answers --help on standard output, says
 * what it cannot do with `complain`, and allocates nothing it would have to free: the process ends with it.
 */
#ifndef ALLOT_TOOL_COMMAND_H
#define ALLOT_TOOL_COMMAND_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#define EXIT_USAGE 2

int command_compare(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_record(int argc, char **argv);
int command_core(int argc, char **argv);
int command_snap(int argc, char **argv);
int command_report(int argc, char **argv);
int command_check(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_leaks(int argc, char **argv);
int command_map(int argc, char **argv);
int command_pages(int argc, char **argv);
int command_run(int argc, char **argv);
int command_scrub(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_top(int argc, char **argv);

/* One line on standard error, `allot: what, where, what to do`. Names may come from hostile files: what is no printable
 * character shows as a question mark. Keeps errno. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* That of what getopt_long answered, '?' or, where the option string begins with one, ':'. */
void complain_option(const char *command, int answer, char *const *argv);

/* Goes over the options of a command line by getopt_long: answers --help with `help`, complains of what is no option (`letters` begins
 * with a colon), and gives each other one to `take`, which is false where it has complained. 0: go on; else the exit status and 1. */
typedef bool command_take(void *request, int option);
int command_options(const char *command, int argc, char **argv, const char *letters, const struct option *options,
                    const char *help, command_take *take, void *request);
/* The number that an option was given; false: it has complained. A `most` of INT32_MAX or more is not told. */
bool take_number(const char *command, const char *option, const char *text, uint64_t least, uint64_t most,
                 uint64_t *out);

#endif
