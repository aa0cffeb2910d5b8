/* allot/sample.h - where memory comes from, always on: a heap profile of one byte in many.
 *
 *   allot_sample_rate(512 * 1024);                    one byte of so many is followed; or ALLOT_OPTIONS=sample=on
 *   allot_sample_write(fd, ALLOT_PPROF);              whenever somebody asks: go tool pprof, Pyroscope, Parca, Grafana read it
 *
 * Blocks are chosen at random, each byte with the same chance (a Poisson process of that mean), and each one that is stands for as
 * many as had the chance: figures are estimates without bias. Of n samples the standard error is about 1/sqrt(n) of the figure:
 * at 512 KiB, 2 % of a GiB. Neither malloc nor free has an instruction for it; a sample costs about a microsecond.
 *
 * Not sampled: what was live before sampling began; blocks of first-class heaps (allot/heap.h) and of a hardened process; what
 * arenas, pools, caches and regions make of the blocks and pages that they take. Tagged blocks are (allot/tag.h). realloc is the
 * end of one block and the beginning of another, where it does more than leave a small block as it was.
 *
 * While a tracer has asked for it (bpftrace, the OpenTelemetry profiler), each sample fires the USDT probes otel_memory:alloc
 * (address, size, bytes that it stands for) and otel_memory:free (address).
 *
 * Any thread, at any time after the process has begun; not in a signal's handler. A forked child has its parent's samples and goes
 * on from there.
 */
#ifndef ALLOT_SAMPLE_H
#define ALLOT_SAMPLE_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From now on one byte of so many is sampled, 1 GiB at most; 0: none any more, while what is live is still followed. Heard of by
 * each thread when it next refills a list. 0; -EINVAL; -ENOTSUP in a hardened process. */
ALLOT_API int allot_sample_rate(size_t bytes);

/* Writes the profile to a descriptor, whatever it is: a file, a pipe, a socket. 0 or -errno; part of it may be written then. The
 * heap may be used meanwhile, by any thread. */
enum allot_sample_format {
    ALLOT_PPROF, /* pprof's profile.proto, not compressed: alloc_objects, alloc_space, inuse_objects, inuse_space, as always, and
                    peak_objects, peak_space: what was live when the whole was at its highest */
    ALLOT_TEXT /* for people: each stack that has anything live, most bytes first, with what is known of its lifetimes */
};
ALLOT_API int allot_sample_write(int fd, enum allot_sample_format format);

/* What has been sampled under one stack. Blocks and bytes are estimates of all there were, bytes as they were asked for. */
struct allot_sample_stack {
    const uintptr_t *frames; /* what its calls return to, innermost first; those of the library itself left out */
    size_t depth;            /* 512 at most */
    uint64_t samples;        /* chosen, */
    uint64_t live_samples;   /* and live */
    double alloc_blocks, alloc_bytes;
    double live_blocks, live_bytes;
    double peak_blocks, peak_bytes; /* live when the live bytes of all stacks were most */
    /* Of what was freed, in seconds: 0 when nothing was. */
    double lifetime_mean, lifetime_deviation, lifetime_least, lifetime_most;
    double same_thread; /* the share of it that was freed by the thread that had had it: 0 to 1 */
};

/* Calls `visit` for each stack, those that were seen last before others; stops and returns its value when that is not 0. `visit` may
 * use the heap; the frames are its for the call. -ENOMEM. */
ALLOT_API int allot_sample_walk(int (*visit)(const struct allot_sample_stack *stack, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
