/* source.h - the processes and threads that are recorded, as the collector knows them, and whether they are still there.
 *
 *   process: | map of nodes | live blocks | packer of what the collector says of it | --threads--> thread -> thread ...
 *   thread:  | packer | chunks, in the order of their sequence: first is being read |
 *
 * A process's ids are those that it has in its own namespace. What they are in ours is looked for in /proc, where it must have the
 * area mapped; only such a process is taken for it, so that nothing is taken from one that lives.
 */
#ifndef ALLOT_RECORD_SOURCE_H
#define ALLOT_RECORD_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "record/area.h"
#include "record/blocks.h"
#include "record/nodes.h"
#include "trace/columns.h"

enum { FARS = 64 };

struct thread {
    struct thread *next; /* of the process */
    struct process *process;
    uint32_t number;
    int32_t tid;
    struct packer packer;
    uint32_t *chunk; /* indexes, of those that have not been given back */
    uint32_t chunks, chunk_room;
    uint64_t sequence;   /* of the chunk that comes next */
    uint32_t at;         /* words read of the first chunk */
    uint64_t high;       /* upper half of the clock */
    uint64_t time;       /* of the last event */
    struct birth *birth; /* of each block of the packer's frame; NULL: none yet */
    uint64_t from;       /* of a realloc that has begun: its block; 0: none */
    uint64_t from_time;
    struct birth from_birth; /* `old`: it was born in another frame */
    struct {
        uint64_t address, time;
    } far[FARS]; /* frees of blocks of other frames, which are being fetched */
    unsigned fars;
    uint32_t seen_at; /* `at` of the last look at who is gone, and since how many looks */
    uint32_t silent;
    bool gone;
    char name[16];  /* that it has told of, or was found */
    unsigned asked; /* how often */
    bool waits; /* for what another thread tells, or for an earlier chunk: when it was looked at last */
};

struct process {
    struct process *next;
    uint32_t number;
    int32_t pid;      /* as it sees itself */
    pid_t host;       /* as we do; 0: not found */
    bool same_ids;    /* its threads' ids are what we see too */
    int pidfd, statm; /* -1: none */
    bool begun;       /* it has said how */
    bool exits;       /* it has said that it ends by exit */
    bool replaced;    /* by exec */
    struct node_map *map;
    struct blocks blocks;
    struct packer packer;
    uint64_t time; /* of the last event in it */
    struct thread *threads;
    uint32_t looks, look_again; /* without news: how many, and at which to look closer */
};

/* Finds it in /proc, and what of it is to be kept open. Leaves `host` 0 where it is gone. */
void process_find(struct process *process, const struct area *area);
/* It is no more, or has another program now. `closely`: also when that is no process of ours. */
bool process_is_gone(struct process *process, const struct area *area, bool closely);
bool thread_is_gone(const struct thread *thread);
/* Its name, as the system has it; false: not known. */
bool thread_name(const struct thread *thread, char name[16]);
/* Resident and mapped bytes; false: not known. */
bool process_memory(const struct process *process, uint64_t *resident, uint64_t *mapped);
/* An owner of a chunk of whom nothing is known is no process that has the area mapped. */
bool stranger_is_gone(int32_t pid, const struct area *area);

#endif
