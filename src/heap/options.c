/* heap/options.c - see heap/options.h. A table row an option; a setter a kind of value. */
#include "heap/options.h"

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "heap/choice.h"
#include "heap/describe.h"
#include "heap/guard.h"
#include "heap/hard.h"
#include "heap/instance.h"
#include "heap/limit.h"
#include "heap/recording.h"
#include "heap/sample.h"
#include "heap/share.h"
#include "heap/site.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/process.h"

struct options options;

static bool set_stats(const char *value)
{
    if (*value == 0 || strlen(value) >= sizeof options.stats) {
        return false;
    }
    strcpy(options.stats, value);
    if (strcmp(value, "stderr") == 0 && options.stderr_kept == 0 && fstat(STDERR_FILENO, &options.stderr_then) == 0) {
        options.stderr_kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    }
    return true;
}

static bool set_stats_format(const char *value)
{
    bool json = strcmp(value, "json") == 0;
    if (!json && strcmp(value, "text") != 0) {
        return false;
    }
    options.stats_json = json;
    return true;
}

static bool set_stats_pid(const char *value)
{
    char *end;
    errno = 0;
    long pid = strtol(value, &end, 10);
    if (*value == 0 || *end != 0 || errno != 0 || pid < 0) {
        return false;
    }
    options.stats_pid = pid;
    return true;
}

/* A number, perhaps with K, M, G or T; or "none". False when it is neither. */
static bool read_size(const char *value, size_t *out)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (strcmp(value, "none") == 0) {
        *out = SIZE_MAX;
        return true;
    }
    if (*value < '0' || *value > '9' || errno != 0 || (*end != 0 && (!unit || end[1] != 0)) || number == 0 ||
        number > SIZE_MAX >> shift) {
        return false;
    }
    *out = (size_t)number << shift;
    return true;
}

static bool set_size(const char *value, void (*set)(size_t))
{
    size_t bytes;
    bool done = read_size(value, &bytes);
    if (done) {
        set(bytes);
    }
    return done;
}

static bool set_limit(const char *value) { return set_size(value, limit_set_hard); }

static bool set_soft_limit(const char *value) { return set_size(value, limit_set_soft); }

static bool set_hugetlb(const char *value)
{
    static const struct {
        const char *name;
        size_t page;
    } sizes[] = {{"off", 0}, {"2M", (size_t)2 << 20}, {"1G", (size_t)1 << 30}};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (strcmp(sizes[i].name, value) == 0) {
            atomic_store_explicit(&os_hugetlb_page, sizes[i].page, memory_order_relaxed);
            return true;
        }
    }
    return false;
}

/* Nothing of libc's that allocates, as strerror may: the heap is being prepared. */
static const char *why_not_shared(int error)
{
    switch (error) {
    case EPERM:
        return "the process has rights that its user has not, or more filters of system calls than it had";
    case EFBIG:
        return "the limit on the size of files is too low (ulimit -f)";
    case EMFILE:
    case ENFILE:
        return "too many files are open (ulimit -n)";
    case ENOMEM:
        return "memory is out";
    case ENOSPC:
        return "/dev/shm is full";
    case ENOENT:
        return "there is no /dev/shm";
    default:
        return "the system refuses";
    }
}

static bool set_share(const char *value)
{
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0) {
        return false;
    }
    int error = -share_set(on);
    if (error) {
        os_say("share=on: %s (error %d); the statistics are not shared, and the program goes on", why_not_shared(error),
               error);
    }
    return true;
}

/* What is chosen for good before the first block. */
static bool starting;

static bool set_number(const char *value, size_t most, size_t *out)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 0);
    if (*value < '0' || *value > '9' || *end != 0 || errno != 0 || number > most || !starting) {
        return false;
    }
    *out = (size_t)number;
    return true;
}

static bool set_harden(const char *value)
{
    size_t level;
    if (!set_number(value, 3, &level)) {
        return false;
    }
    harden(level);
    return true;
}

static bool set_fill(const char *value)
{
    size_t byte;
    hardening.filled = set_number(value, 255, &byte);
    hardening.fill = hardening.filled ? (unsigned char)byte : 0;
    return hardening.filled;
}

static bool set_redzone(const char *value)
{
    size_t bytes;
    if (!set_number(value, 4096, &bytes)) {
        return false;
    }
    hardening.redzone = align_up(size_max(bytes, SEAL_BYTES), SEAL_BYTES);
    return true;
}

static bool set_watch(const char *value)
{
    bool on = strcmp(value, "on") == 0;
    if ((!on && strcmp(value, "off") != 0) || !starting) {
        return false;
    }
    hardening.unwatched = !on;
    return true;
}

static bool set_quarantine(const char *value) { return starting && read_size(value, &hardening.quarantine); }

/* One block of so many. */
static bool set_guard(const char *value)
{
    size_t rate = 0;
    if (strcmp(value, "on") == 0) {
        rate = GUARD_RATE;
    } else if (strcmp(value, "off") != 0 && (!read_size(value, &rate) || rate == SIZE_MAX)) {
        return false;
    }
    return guard_set(rate);
}

/* The area of a collector, which `allot record` names; "off": nobody records any more. */
static bool set_record(const char *value)
{
    bool asked = *value && recording_ask(strcmp(value, "off") == 0 ? "" : value, starting);
    if (asked && !starting) {
        is_recorded();
    }
    return asked;
}

/* One byte of so many. At the start it is not yet known whether the process is hardened. */
static bool set_sample(const char *value)
{
    size_t mean = 0;
    if (strcmp(value, "on") == 0) {
        mean = SAMPLE_MEAN;
    } else if (strcmp(value, "off") != 0 && (!read_size(value, &mean) || mean > CHOICE_MEAN_MOST)) {
        return false;
    }
    options.sample = mean;
    return starting || sample_set(mean);
}

static bool set_sample_write(const char *value)
{
    if (*value == 0 || strlen(value) >= sizeof options.sample_write) {
        return false;
    }
    strcpy(options.sample_write, value);
    options.sample_pid = os_process_id();
    return true;
}

static bool set_sites(const char *value)
{
    size_t on;
    bool done = set_number(value, 1, &on);
    options.sites = done ? on : options.sites;
    return done;
}

static bool set_leaks(const char *value)
{
    snap_exit.leaks = strcmp(value, "exit") == 0;
    return snap_exit.leaks || strcmp(value, "off") == 0;
}

static bool set_leaks_status(const char *value)
{
    char *end;
    unsigned long number = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != 0 || number > 255) {
        return false;
    }
    snap_exit.status = (int)number;
    return true;
}

static bool set_path(const char *value, char out[256])
{
    if (*value == 0 || strlen(value) >= 256) {
        return false;
    }
    strcpy(out, value);
    return true;
}

static bool set_leaks_suppressions(const char *value) { return set_path(value, snap_exit.suppress); }

static bool set_leaks_file(const char *value) { return set_path(value, snap_exit.file); }

static const struct {
    const char *name;
    bool (*set)(const char *value);
    const char *values;
} known[] = {
    {"stats", set_stats, "stderr or a file's path of at most 255 bytes"},
    {"stats_format", set_stats_format, "text or json"},
    {"stats_pid", set_stats_pid, "a process id, or 0 for every process"},
    {"limit", set_limit, "bytes, as 900M or 2G, or none"},
    {"soft_limit", set_soft_limit, "bytes, as 900M or 2G, or none"},
    {"hugetlb", set_hugetlb, "off, 2M or 1G"},
    {"share", set_share, "on or off"},
    {"leaks", set_leaks, "exit or off"},
    {"leaks_status", set_leaks_status, "an exit status, 0 to 255"},
    {"leaks_suppressions", set_leaks_suppressions, "a file's path of at most 255 bytes"},
    {"leaks_file", set_leaks_file, "a file's path of at most 255 bytes"},
    {"guard", set_guard, "on, off, or a number: one block of so many"},
    {"sample", set_sample, "on, off, or bytes, as 64K, 1G at most: one of so many; off in a hardened process"},
    {"sample_write", set_sample_write, "a file's path of at most 255 bytes, in which %p is the process's id"},
    {"sites", set_sites, "0 or 1, at the start only"},
    {"harden", set_harden, "0 to 3, at the start only"},
    {"fill", set_fill, "a byte, 0 to 255, at the start only"},
    {"redzone", set_redzone, "bytes, 8 to 4096, at the start only"},
    {"quarantine", set_quarantine, "bytes, as 64K, at the start only"},
    {"watch", set_watch, "on or off, at the start only"},
    {"record", set_record, "the path of a collector's area of at most 255 bytes, or off"},
};

static int set_option(const char *name, const char *value, const char *where)
{
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            int saved = errno;
            bool done = known[i].set(value);
            errno = saved;
            share_note();
            if (!done) {
                os_say("%s: %s=%s: not a value of this option, which takes %s; it stays as it was", where, name, value,
                       known[i].values);
            }
            return done ? 0 : -EINVAL;
        }
    }
    char names[512] = "";
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        strcat(strcat(names, i ? ", " : ""), known[i].name);
    }
    os_say("%s: %s: no such option; there are %s", where, name, names);
    return -EINVAL;
}

int allot_option(const char *name, const char *value)
{
    const struct instance *first = instance_in_use();
    return first ? first->option(name, value) : set_option(name, value, "allot_option");
}

static void read_environment(void)
{
    char text[1024];
    long length = os_getenv("ALLOT_OPTIONS", text, sizeof text);
    if (length < 0) {
        return;
    }
    if (length >= (long)sizeof text) {
        os_say("ALLOT_OPTIONS: %ld bytes long, more than %zu: none of it is taken", length, sizeof text - 1);
        return;
    }
    char *rest = text;
    for (char *item; (item = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(item, '=');
        if (*item == 0) {
            continue;
        }
        if (!value) {
            os_say("ALLOT_OPTIONS: %s: has no value; options are written name=value,name=value", item);
            continue;
        }
        *value++ = 0;
        set_option(item, value, "ALLOT_OPTIONS");
    }
}

void options_init(void)
{
    enum { FOR_MORE_RIGHTS = 3 };
    starting = true;
    if (os_is_privileged()) {
        harden(FOR_MORE_RIGHTS);
    } else {
        read_environment();
    }
    starting = false;
    hard_begin();
    if ((options.sample && !sample_set(options.sample)) || (options.sites && !sites_keep())) {
        os_say("ALLOT_OPTIONS: sample and sites: not in a hardened process; it has neither");
    }
}
