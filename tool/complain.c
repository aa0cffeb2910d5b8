/* The one way the command speaks of trouble: a single line, written in one piece. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "words.h"

void complain(const char *format, ...)
{
    static const char prefix[] = "allot: ";
    const size_t start = sizeof prefix - 1;
    char line[4 * PATH_MAX];
    int kept = errno;

    int length = snprintf(line, sizeof line, "%s", prefix);
    va_list args;
    va_start(args, format);
    length += vsnprintf(line + start, sizeof line - start - 1, format, args);
    va_end(args);
    size_t end = (size_t)length < sizeof line - 2 ? (size_t)length : sizeof line - 2;
    line[end] = '\0';
    size_t to = start, bytes;
    for (size_t i = start; i < end; i += bytes) {
        if (words_printable(words_decode(line + i, &bytes))) {
            memmove(line + to, line + i, bytes);
            to += bytes;
        } else {
            line[to++] = '?';
        }
    }
    line[to++] = '\n';
    /* Where standard error cannot be written there is nobody left to tell. */
    ssize_t written = write(STDERR_FILENO, line, to);
    (void)written;
    errno = kept;
}

void complain_option(const char *command, int answer, char *const *argv)
{
    const char *word = argv[optind - 1];
    /* Of several letters in one word getopt may not have come to the end; a long option's letter was not written. */
    char letter[3] = {'-', (char)optopt, '\0'};

    if (strncmp(word, "--", 2) != 0 && optopt) {
        word = letter;
    }
    complain("%s: %s %s, on the command line, see allot %s --help", command,
             answer == ':'              ? "no value for"
             : word != letter && optopt ? "no value is taken in"
                                        : "no option",
             word, command);
}

int command_options(const char *command, int argc, char **argv, const char *letters, const struct option *options,
                    const char *help, command_take *take, void *request)
{
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (option == '?' || option == ':') {
            complain_option(command, option, argv);
            return EXIT_USAGE + 1;
        }
        if (!take(request, option)) {
            return EXIT_USAGE + 1;
        }
    }
    return 0;
}

bool take_number(const char *command, const char *option, const char *text, uint64_t least, uint64_t most,
                 uint64_t *out)
{
    if (words_read_number(text, most, out) && *out >= least) {
        return true;
    }
    char range[64] = "";
    if (most < INT32_MAX) {
        snprintf(range, sizeof range, " from %" PRIu64 " to %" PRIu64, least, most);
    } else if (least > 0) {
        snprintf(range, sizeof range, " from %" PRIu64 " on", least);
    }
    complain("%s: --%s %s, on the command line, takes a number%s", command, option, text, range);
    return false;
}
