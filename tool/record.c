/* allot record - runs a program and puts every allocation of it, and of what it starts, into a file.
 *
 *     this process:  | stands in for the program (supervise.h) |
 *     the collector: | has the area, and writes the file (record/apart.h) |
 *     the program:   | the library writes to the collector's area, reached as /proc/PID/fd/N |
 *
 * The file has its final name from the start, as it must be there whatever becomes of this process: it is readable at any time,
 * and says whether it was ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "command.h"
#include "control.h"
#include "ends.h"
#include "launch.h"
#include "library.h"
#include "probe/ring.h"
#include "reach.h"
#include "record/apart.h"
#include "record/behind.h"
#include "scratch.h"
#include "supervise.h"
#include "which.h"
#include "words.h"

#define PATIENCE_US 1000000 /* as long as a thread waits for the collector rather than lose events */

static const char help[] =
    "usage: allot record [-o FILE] [--no-stacks] [--malloc system] [--lossless] [--] PROGRAM [ARGUMENT...]\n"
    "       allot record [-o FILE] [--no-stacks] [--for SECONDS] -p PID\n"
    "\n"
    "Runs PROGRAM and puts every allocation and free of it, and of all that it starts, into FILE, with\n"
    "stacks, threads and times. Its input, output, signals and exit status are its own. Whatever ends\n"
    "the program or this command, what had been recorded until then can be read.\n"
    "\n"
    "With -p a process that runs on allot's malloc already, which is not stopped for it: until it ends,\n"
    "for so many seconds, or until ^C.\n"
    "\n"
    "  -o, --output=FILE    allot.PROGRAM.PID.allot unless given\n"
    "  -p, --pid=PID        a process that runs\n"
    "      --for=SECONDS    that long\n"
    "      --no-stacks      faster, and enough to replay\n"
    "      --malloc=WHICH   allot, or system: the malloc that PROGRAM has anyway\n"
    "      --lossless       wait for the recorder, however long it takes, rather than lose events\n"
    "      --verify         compare every stack with the system's unwinder; slow\n"
    "      --leaks          ask the program at its exit which blocks nothing points to\n"
    "  -q, --quiet          no line about the recording at the end\n"
    "      --json           that line as JSON\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: PROGRAM's; 128+N where signal N ended it; 127 where there is no such program, 126\n"
    "where it cannot be executed, 125 where allot itself fails.\n"
    "\n"
    "Examples:\n"
    "  allot record -- python3 job.py\n"
    "  allot record -o sort.allot --no-stacks -- sort -n big.txt\n"
    "  allot record --malloc system -- ./server\n"
    "  allot record --for 60 -p $(pidof server)\n"
    "  allot dump allot.python3.4711.allot | less\n";

struct request {
    char **argv;
    const char *output;
    bool no_stacks, system_malloc, lossless, verify, leaks, quiet, json;
    pid_t pid;       /* -p; 0: none */
    uint64_t for_ns; /* 0: no limit */

    char path[PATH_MAX]; /* the program's file */
    char name[PATH_MAX]; /* of the trace */
    struct reach reach;  /* with -p, where the process cannot look into our folder in /proc */
};

enum { OPTION_NO_STACKS = 256, OPTION_MALLOC, OPTION_LOSSLESS, OPTION_VERIFY, OPTION_LEAKS, OPTION_JSON, OPTION_FOR };

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"no-stacks", no_argument, NULL, OPTION_NO_STACKS},
        {"malloc", required_argument, NULL, OPTION_MALLOC},
        {"lossless", no_argument, NULL, OPTION_LOSSLESS},
        {"verify", no_argument, NULL, OPTION_VERIFY},
        {"leaks", no_argument, NULL, OPTION_LEAKS},
        {"quiet", no_argument, NULL, 'q'},
        {"pid", required_argument, NULL, 'p'},
        {"for", required_argument, NULL, OPTION_FOR},
        {"json", no_argument, NULL, OPTION_JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    uint64_t number;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:o:p:qh", options, NULL)) != -1) {
        switch (option) {
        case 'o':
            out->output = optarg;
            break;
        case OPTION_NO_STACKS:
            out->no_stacks = true;
            break;
        case OPTION_MALLOC:
            if (strcmp(optarg, "system") != 0 && strcmp(optarg, "allot") != 0) {
                complain("record: no malloc %s, after --malloc, there are allot and system", optarg);
                return false;
            }
            out->system_malloc = optarg[0] == 's';
            break;
        case OPTION_LOSSLESS:
            out->lossless = true;
            break;
        case OPTION_VERIFY:
            out->verify = true;
            break;
        case OPTION_LEAKS:
            out->leaks = true;
            break;
        case OPTION_JSON:
            out->json = true;
            break;
        case 'q':
            out->quiet = true;
            break;
        case 'p':
            if (!words_read_number(optarg, INT32_MAX, &number) || number == 0) {
                complain("record: no process %s, after -p, a number is wanted", optarg);
                return false;
            }
            out->pid = (pid_t)number;
            break;
        case OPTION_FOR:
            if (!words_read_ns(optarg, &out->for_ns) || out->for_ns == 0) {
                complain("record: no time %s, after --for, seconds are wanted, or 5min", optarg);
                return false;
            }
            break;
        case 'h':
            fputs(help, stdout);
            return true;
        default:
            complain_option("record", option, argv);
            return false;
        }
    }
    if (out->pid) {
        if (optind != argc || out->system_malloc) {
            complain("record: -p and %s, on the command line, see allot record --help",
                     optind != argc ? "a program" : "--malloc");
            return false;
        }
        return true;
    }
    if (out->for_ns) {
        complain("record: --for without -p, on the command line, see allot record --help");
        return false;
    }
    if (optind == argc) {
        complain("record: no program, on the command line, see allot record --help");
        return false;
    }
    out->argv = argv + optind;
    return true;
}

static int become(void *arg)
{
    const struct request *request = arg;

    return launch_exec(request->path, request->argv);
}

/* The command line as a trace has it: each word ended by a zero. NULL: no memory. */
static char *words_of(char **argv, size_t *bytes)
{
    *bytes = 0;
    for (char **word = argv; *word; word++) {
        *bytes += strlen(*word) + 1;
    }
    char *words = malloc(*bytes), *at = words;
    for (char **word = argv; words && *word; word++) {
        at = stpcpy(at, *word) + 1;
    }
    return words;
}

static int create(struct request *request, const char *program)
{
    if (request->output) {
        snprintf(request->name, sizeof request->name, "%s", request->output);
    } else {
        snprintf(request->name, sizeof request->name, "allot.%s.%d.allot", words_base(program),
                 (int)(request->pid ? request->pid : getpid()));
    }
    int fd = open(request->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0) {
        complain("cannot write, %s, %m", request->name);
    }
    return fd;
}

/* The trace, of which there is nothing; where that was to go to a device or a link, it stays. */
static void remove_trace(const struct request *request)
{
    struct stat st;

    if (lstat(request->name, &st) == 0 && S_ISREG(st.st_mode)) {
        unlink(request->name);
    }
}

static const char *what_to_raise(int error)
{
    switch (-error) {
    case ENOMEM:
        return "raise ulimit -v";
    case EMFILE:
        return "raise ulimit -n";
    case EFBIG:
        return "raise ulimit -f";
    default:
        return "see allot record --help";
    }
}

/* A collector for what is asked; the words of a command line are in the file's head. NULL: it has been said why. */
static struct apart *begin(struct request *request, const char *program, const char *words, size_t bytes)
{
    struct collect_options options = {
        .flags = (request->no_stacks ? 0 : RING_STACKS) | (request->verify ? RING_VERIFY_STACKS : 0) |
                 (request->leaks ? RING_LEAKS_AT_EXIT : 0),
        .patience_us = request->lossless ? UINT32_MAX : PATIENCE_US,
        .command = words,
        .command_bytes = bytes,
        .fd = create(request, program),
        .area = request->reach.fd,
    };
    int error;

    if (options.fd < 0) {
        return NULL;
    }
    struct apart *collector = apart_begin(&options, &error);
    if (!collector) {
        remove_trace(request);
        complain("cannot record (%s), %s, %s", strerror(-error), request->name, what_to_raise(error));
    }
    return collector;
}

static const char *why(int error) { return error == -EOWNERDEAD ? "the collector was killed" : strerror(-error); }

static void say(const struct request *request, const struct collect_result *result)
{
    double per_event = result->events ? (double)result->bytes / (double)result->events : 0;

    if (request->json) {
        fprintf(stderr,
                "{\"events\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"bytes\": %" PRIu64
                ", \"collector_cpu_ns\": %" PRIu64 ", \"waited_ns\": %" PRIu64 ", \"processes\": %u, \"left\": %u}\n",
                result->events, result->lost, result->bytes, result->cpu_ns, result->waited_ns, result->processes,
                result->left);
        return;
    }
    char left[64] = "";
    if (result->left) {
        snprintf(left, sizeof left, ", %u of them left running", result->left);
    }
    fprintf(stderr, "allot: recorded %s events of %u process%s%s, %s lost, %s (%.2f bytes an event), ",
            words_count(result->events).text, result->processes, result->processes == 1 ? "" : "es", left,
            words_count(result->lost).text, words_bytes(result->bytes).text, per_event);
    fprintf(stderr, "collector %s of CPU, threads waited %s: %s\n", words_ns(result->cpu_ns).text,
            words_ns(result->waited_ns).text, request->name);
}

/* Where processes put what they see of themselves at their end. */
static bool make_folder(char folder[PATH_MAX])
{
    if (scratch_folder(folder)) {
        return true;
    }
    complain("no folder for who points to whom: %s, %s, set TMPDIR to another", strerror(errno), folder);
    *folder = 0;
    return false;
}

/* Its number: in another one, which has its own /proc, the collector's path leads elsewhere or nowhere (probe/record.h). */
static uint64_t own_pid_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

static int record(struct request *request)
{
    struct collect_result result;
    struct supervised child;
    size_t bytes;
    char *words = words_of(request->argv, &bytes);
    struct apart *collector = words ? begin(request, request->argv[0], words, bytes) : NULL;

    if (!collector) {
        return EXIT_OWN_FAILURE;
    }
    char *option, folder[PATH_MAX] = "";
    bool looks = request->leaks && !request->system_malloc && make_folder(folder);
    if (asprintf(&option, "record=%s#%" PRIu64 "%s%s%s", apart_area(collector), own_pid_namespace(),
                 looks ? ",leaks=exit,leaks_file=" : "", folder, looks ? "/%p" : "") < 0) {
        complain("no memory, for the options, run fewer programs");
        return EXIT_OWN_FAILURE;
    }
    library_option(option);

    int error = supervise(become, request, &child);
    apart_end(collector, &result);
    bool whole = !error && !child.error && !result.error;
    int behind = looks ? behind_put(whole ? request->name : NULL, folder) : 0;
    if (error || child.error) {
        remove_trace(request);
        if (!error) {
            return launch_failed(request->argv[0], child.error);
        }
        complain("no child process, for %s, %s", request->argv[0], strerror(-error));
        return EXIT_OWN_FAILURE;
    }
    int status = launch_status(child.status);
    if (result.error) {
        complain("the recording ends early, %s, %s; the program's status was %d", request->name, why(result.error),
                 status);
        return EXIT_OWN_FAILURE;
    }
    if (behind) {
        complain("cannot write who points to whom, %s, %s", request->name, why(behind));
    }
    if (result.processes == 0) {
        complain("nothing was recorded, %s, no process of it loaded allot's library", request->argv[0]);
    } else if (!request->quiet) {
        say(request, &result);
    }
    return status;
}

/* Whether the process has come to the collector's area: not what it has said, which may have been to another recorder. */
static bool has_come(const struct apart *collector)
{
    uint32_t processes = 0;
    int fd = open(apart_area(collector), O_RDONLY | O_CLOEXEC);
    bool read = fd >= 0 && pread(fd, &processes, sizeof processes, offsetof(struct ring_area, processes)) > 0;
    if (fd >= 0) {
        close(fd);
    }
    return read && processes > 0;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Until the process has ended, the time is over, or somebody asks this one to end. A process that does nothing hears of nobody: until it
 * has come that is looked for now and then. 0 or -errno: what it has said when it heard of this one, late; -EALREADY: it is another
 * recorder's, who asked before that. */
static int wait_while_recording(const struct request *request, const struct apart *collector,
                                const struct attach *attach, const sigset_t *ends)
{
    enum { LOOK_NS = 200000000 };
    int signals = signalfd(-1, ends, SFD_CLOEXEC), process = (int)syscall(SYS_pidfd_open, request->pid, 0);
    struct pollfd wait[] = {{.fd = signals, .events = POLLIN}, {.fd = process, .events = POLLIN}};
    uint64_t end = request->for_ns ? now_ns() + request->for_ns : UINT64_MAX;
    struct attach_answer answer = {0};
    bool come = has_come(collector), over = false;

    while (!over && (come || (!answer.taken && !answer.error))) {
        uint64_t now = now_ns(), most = come ? UINT64_MAX : LOOK_NS, left = end > now ? end - now : 0;
        left = left < most ? left : most;
        struct timespec next = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        int ready = ppoll(wait, 2, left == UINT64_MAX ? NULL : &next, NULL);
        over = ready > 0 || (ready < 0 && errno != EINTR) || now_ns() >= end;
        if (!come && attach_look(attach, &answer) != 0) {
            over = true;
        }
        come = come || has_come(collector); /* behind the look: who has come has not been refused */
    }
    close(process);
    close(signals);
    return come ? 0 : answer.taken ? -EALREADY : answer.error;
}

/* The process is asked to be recorded no more. Of one that has not heard of this recorder yet another may have the recording, and that is
 * not ours to end: what it finds there is no area then, and it stays as it is. */
static void end_recording(const struct apart *collector, struct attach *attach)
{
    struct attach_answer answer;
    bool heard = has_come(collector) || attach_look(attach, &answer) != 0 || answer.answered;
    if (!heard && !answer.taken) {
        attach_ask(attach, "/", &answer);
    }
    if (heard || has_come(collector)) {
        attach_ask(attach, NULL, &answer);
    }
}

static int refused(pid_t pid, const char *name, const char *why_not)
{
    complain("cannot record process %d (%s), %s", (int)pid, name, why_not);
    return EXIT_OWN_FAILURE;
}

static int record_process(struct request *request)
{
    struct attach_answer answer;
    struct collect_result result;
    char name[64], path[64], words[4096];
    sigset_t ends, before;

    control_process_name(request->pid, name);
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)request->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd >= 0 ? read(fd, words, sizeof words) : 0;
    close(fd);
    ends_block(&ends, &before);
    struct reach *reach = &request->reach;
    int error = reach_is_near(request->pid) ? 0 : reach_make(request->pid, "allot-ring", true, reach);
    if (error) {
        return refused(request->pid, name, attach_why(error, false));
    }
    struct apart *collector = begin(request, name, words, bytes > 0 ? (size_t)bytes : 0);
    if (!collector) {
        reach_remove(reach);
        return EXIT_OWN_FAILURE;
    }
    const char *area = reach->fd ? reach->path : apart_area(collector);
    struct attach attach;
    error = attach_open(request->pid, area, &attach);
    bool opened = !error;
    error = error ? error : attach_ask(&attach, area, &answer);
    if (error || answer.answered) {
        reach_remove(reach);
    }
    bool said = !error; /* by the process */
    error = error ? error : answer.error;
    if (!error) {
        error = wait_while_recording(request, collector, &attach, &ends);
    }
    if (said) {
        reach_remove(reach);
    }
    if (said && !error) {
        end_recording(collector, &attach);
    }
    if (opened) {
        attach_close(&attach);
    }
    apart_end(collector, &result);
    if (error) {
        remove_trace(request);
        return refused(request->pid, name, attach_why(error, said));
    }
    if (result.error) {
        complain("the recording ends early, %s, %s", request->name, why(result.error));
        return EXIT_OWN_FAILURE;
    }
    if (result.processes == 0) {
        complain(
            "nothing was recorded, process %d (%s), it allocates nothing or the same few blocks: record it for longer, "
            "or from its start",
            (int)request->pid, name);
    } else if (!request->quiet) {
        say(request, &result);
    }
    return 0;
}

int command_record(int argc, char **argv)
{
    static struct request request;

    if (!parse(argc, argv, &request)) {
        return EXIT_OWN_FAILURE;
    }
    if (request.pid) {
        return record_process(&request);
    }
    if (!request.argv) {
        return 0;
    }
    int error = which(request.argv[0], request.path);
    if (error) {
        return launch_failed(request.argv[0], error);
    }
    if (!launch_can_preload(request.path) ||
        !library_preload(request.system_malloc ? LIBRARY_RECORDER : LIBRARY_MALLOC)) {
        return EXIT_OWN_FAILURE;
    }
    if (request.verify) {
        library_preload_too("libunwind.so.8");
    }
    return record(&request);
}
