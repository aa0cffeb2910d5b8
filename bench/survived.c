/* survived.c - reads a whole trace and says how far it goes, for bench/record.py: survived TRACE.
 *
 *   events 8123456 last 412 truncated 1 lost 0
 *
 * `last` is the size of the last block that was made: of a trace of `recorded --clock`, the time until which it goes. That the file
 * can be read, and that its events can have happened, is checked by the reader (tool/trace).
 */
#include <inttypes.h>
#include <stdio.h>

#include "trace/trace.h"

int main(int argc, char **argv)
{
    struct trace_error error;
    struct trace *trace = argc == 2 ? trace_open(argv[1], &error) : NULL;
    struct trace_event event;
    uint64_t last = 0;
    int more = trace ? 1 : -1;
    if (argc != 2) {
        fprintf(stderr, "usage: survived TRACE\n");
        return 2;
    }
    while (more > 0 && (more = trace_next(trace, &event, &error)) > 0) {
        last = event.op == TRACE_ALLOC ? event.size : last;
    }
    if (more < 0) {
        fprintf(stderr, "%s\n", error.line);
        return 1;
    }
    const struct trace_about *about = trace_about(trace);
    printf("events %" PRIu64 " last %" PRIu64 " truncated %d lost %" PRIu64 "\n", about->events, last, about->truncated,
           about->lost);
    trace_close(trace);
    return 0;
}
