/* allot - the command: finds the subcommand and hands over. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "launch.h"

struct command {
    const char *name;
    const char *summary;
    int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
    {"run", "run a program on allot's malloc", command_run},
    {"record", "record every allocation of a program", command_record},
    {"report", "say what a recorded program did with its memory", command_report},
    {"leaks", "say what leaks, and where it was allocated", command_leaks},
    {"diff", "compare two recorded runs, place by place", command_diff},
    {"compare", "say which allocation strategy serves a program best", command_compare},
    {"map", "draw a heap: which addresses it has, how full, whose blocks", command_map},
    {"pages", "say what each policy of replacement makes of page references", command_pages},
    {"check", "hold a recorded run to budgets", command_check},
    {"dump", "show a trace as text", command_dump},
    {"scrub", "make a trace fit to be sent to others", command_scrub},
    {"snap", "take a picture of a running process's heap, and look into it", command_snap},
    {"core", "what a dead process's heap was like, and what was lost", command_core},
    {"stats", "show what a running program's heap is like", command_stats},
    {"top", "watch what a running program does with its heap", command_top},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(FILE *to)
{
    fprintf(to, "usage: allot COMMAND [ARGUMENT...]\n"
                "       allot help [COMMAND]\n"
                "       allot --version\n"
                "\n"
                "Commands:\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(to, "  %-9s%s\n", commands[i].name, commands[i].summary);
    }
    fprintf(to, "\n"
                "Examples:\n"
                "  allot run -- python3 job.py            the program on allot's malloc, all else as it was\n"
                "  allot run --stats -- sqlite3 my.db     and what its heap was like, when it ends\n"
                "  allot stats 4711                       the same of one that runs and shares it\n"
                "  allot record -o app.allot -- ./app     every allocation of it, into a file\n"
                "  allot report app.allot                 what it did with its memory\n"
                "  allot leaks -- ./app                   what it loses, and where that was allocated\n"
                "  allot compare app.allot                which strategy or malloc would serve it better\n"
                "  allot top -p 4711                      what one that runs does, as it does it\n"
                "  allot map -p 4711                      and what its heap looks like\n"
                "  allot help run                         everything about one command\n");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    complain("no command '%s', on the command line, see allot --help", name);
    return NULL;
}

static int help(const char *name)
{
    if (name) {
        const struct command *command = find_command(name);
        char *argv[] = {(char *)name, (char *)"--help", NULL};
        return command ? command->main(2, argv) : EXIT_USAGE;
    }
    print_help(stdout);
    return 0;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc <= 3) {
        return help(argv[2]);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return help(NULL);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("allot %s\n", ALLOT_VERSION);
        return 0;
    }
    const struct command *command = find_command(argv[1]);
    return command ? command->main(argc - 1, argv + 1) : EXIT_USAGE;
}

/* Where a standard stream is closed no file of ours is to come to stand there: we read and write nothing by it, and neither does the
 * program that is run, for which it stays closed. */
static void hold_streams(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
        }
    }
}

int main(int argc, char **argv)
{
    hold_streams();
    launch_ready();
    int status = dispatch(argc, argv);

    if (fflush(stdout) != 0) {
        complain("cannot write, standard output, %m");
        return status ? status : 1;
    }
    if (ferror(stdout)) { /* something in between, and why is forgotten */
        complain("cannot write, standard output, not all of it is there");
        return status ? status : 1;
    }
    return status;
}
