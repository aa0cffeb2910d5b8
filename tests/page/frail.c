/* page/frail.c - see page/frail.h. */
#include "page/frail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One for all disks, as several may be of one machine. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool spend(struct machine *m)
{
    m->dead = m->dead || m->left == 0;
    m->left -= m->left > 0;
    return !m->dead;
}

static bool unlucky(struct frail *f, unsigned of_1000)
{
    return of_1000 > 0 && random_below(&f->random, 1000) < of_1000;
}

static int read_all(struct frail *f, uint64_t page, size_t size, void *const *into, size_t count)
{
    f->reads++;
    if (!spend(f->machine) || unlucky(f, f->fail_reads)) {
        return -f->error;
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = (page + i) * size, there = at < f->bytes ? f->bytes - at : 0;
        there = there < size ? there : size;
        memcpy(into[i], f->now + (there ? at : 0), there);
        memset((char *)into[i] + there, 0, size - there);
    }
    return 0;
}

static void write_sector(struct frail *f, size_t at, const unsigned char *from)
{
    memcpy(f->now + at, from, SECTOR);
    if (!f->keeps_log) {
        memcpy(f->durable + at, from, SECTOR);
        return;
    }
    if (f->logged == f->log_room) {
        f->log_room = 2 * f->log_room + 64;
        f->log = realloc(f->log, f->log_room * sizeof *f->log);
    }
    f->log[f->logged].sector = at / SECTOR;
    memcpy(f->log[f->logged++].bytes, from, SECTOR);
}

static int write_all(struct frail *f, uint64_t page, size_t size, void *const *from, size_t count)
{
    f->writes++;
    bool fails = unlucky(f, f->fail_writes);
    size_t sectors = size / SECTOR;
    size_t most = fails ? random_below(&f->random, sectors * count) : sectors * count;
    for (size_t i = 0; i < most; i++) {
        size_t at = page * size + i * SECTOR;
        if (at + SECTOR > f->bytes || (f->full && at + SECTOR > f->full)) {
            return -ENOSPC;
        }
        if (!spend(f->machine)) {
            return -f->error;
        }
        write_sector(f, at, (const unsigned char *)from[i / sectors] + i % sectors * SECTOR);
    }
    return fails ? -f->error : 0;
}

static int sync_all(struct frail *f)
{
    f->syncs++;
    if (!spend(f->machine) || unlucky(f, f->fail_syncs)) {
        return -f->error;
    }
    for (size_t i = 0; i < f->logged; i++) {
        memcpy(f->durable + f->log[i].sector * SECTOR, f->log[i].bytes, SECTOR);
    }
    f->logged = 0;
    return 0;
}

static int frail_read(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    struct frail *f = self;
    pthread_mutex_lock(&lock);
    int result = read_all(f, page, size, into, count);
    pthread_mutex_unlock(&lock);
    return result;
}

static int frail_write(void *self, uint64_t page, size_t size, void *const *from, size_t count)
{
    struct frail *f = self;
    for (volatile unsigned i = 0; f->slow && i < 3000; i++) {
    }
    pthread_mutex_lock(&lock);
    int result = write_all(f, page, size, from, count);
    pthread_mutex_unlock(&lock);
    return result;
}

static int frail_sync(void *self)
{
    struct frail *f = self;
    pthread_mutex_lock(&lock);
    int result = sync_all(f);
    pthread_mutex_unlock(&lock);
    return result;
}

void frail_init(struct frail *f, struct machine *machine, size_t bytes, uint64_t seed)
{
    *f = (struct frail){
        .machine = machine, .bytes = bytes, .random = {seed}, .error = EIO, .keeps_log = machine->left >= 0};
    f->now = calloc(1, bytes);
    f->durable = calloc(1, bytes);
}

struct allot_store frail_store(struct frail *f)
{
    return (struct allot_store){.read = frail_read, .write = frail_write, .sync = frail_sync, .self = f};
}

void frail_crash(struct frail *f)
{
    for (size_t i = 0; i < f->logged; i++) {
        if (random_below(&f->random, 2)) {
            memcpy(f->durable + f->log[i].sector * SECTOR, f->log[i].bytes, SECTOR);
        }
    }
    f->logged = 0;
    memcpy(f->now, f->durable, f->bytes);
}

void frail_done(struct frail *f)
{
    free(f->now);
    free(f->durable);
    free(f->log);
}
