/* heap/options.c - see heap/options.h. A table row an option; a setter a kind of value. */
#include "heap/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <allot/malloc.h>

#include "heap/instance.h"
#include "os/fault.h"
#include "os/process.h"

struct options options;

static bool set_stats(const char *value)
{
    if (*value == 0 || strlen(value) >= sizeof options.stats) {
        return false;
    }
    strcpy(options.stats, value);
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

static const struct {
    const char *name;
    bool (*set)(const char *value);
    const char *values;
} known[] = {
    {"stats", set_stats, "stderr or a file's path of at most 255 bytes"},
    {"stats_format", set_stats_format, "text or json"},
    {"stats_pid", set_stats_pid, "a process id, or 0 for every process"},
};

static int set_option(const char *name, const char *value, const char *where)
{
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            int saved = errno;
            bool done = known[i].set(value);
            errno = saved;
            if (!done) {
                os_say("%s: %s=%s: not a value of this option, which takes %s; it keeps its default", where, name,
                       value, known[i].values);
            }
            return done ? 0 : -EINVAL;
        }
    }
    os_say("%s: %s: no such option; there are stats, stats_format, stats_pid", where, name);
    return -EINVAL;
}

int allot_option(const char *name, const char *value)
{
    const struct instance *first = instance_in_use();
    return first ? first->option(name, value) : set_option(name, value, "allot_option");
}

void options_init(void)
{
    char text[1024];
    long length = os_is_privileged() ? -1 : os_getenv("ALLOT_OPTIONS", text, sizeof text);
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
