/* server.c - a server whose connections come from a cache: what is the same for each of them - a mutex, a condition, 8 KiB of buffer,
 * a table for the checksum of what it is sent - is made once, and is still there when the connection is used again.
 *
 * Each connection is served by a thread: it answers each line with its checksum and what it was, reversed. `quit` ends the server.
 * While it runs, a line `stats` is answered with what the cache is like.
 *
 * Usage: connection-cache [CONNECTIONS-READY]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <allot/cache.h>

enum { BUFFER = 8192 };

/* As constructed: the lock free, nothing in the buffer, no socket. */
struct connection {
    pthread_mutex_t lock; /* of the two that others look at: `stats` at `served`, who ends the server at `socket` */
    uint64_t served;      /* lines, of this use */
    int socket;
    uint32_t table[256];
    char *buffer;
    size_t used;
};

static struct allot_cache connections;
static int listener;

/* How many are being served. */
static pthread_mutex_t serving_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t served_all = PTHREAD_COND_INITIALIZER;
static size_t serving;

static void count_serving(int more)
{
    pthread_mutex_lock(&serving_lock);
    serving += (size_t)more;
    if (serving == 0) {
        pthread_cond_signal(&served_all);
    }
    pthread_mutex_unlock(&serving_lock);
}

/* CRC-32, as in PNG and zip. */
static void make_table(uint32_t *table)
{
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) {
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        }
        table[n] = c;
    }
}

static uint32_t checksum(const struct connection *c, const char *text, size_t length)
{
    uint32_t sum = ~0u;
    for (size_t i = 0; i < length; i++) {
        sum = c->table[(sum ^ (unsigned char)text[i]) & 255] ^ sum >> 8;
    }
    return ~sum;
}

static int construct(void *object, void *arg)
{
    struct connection *c = object;
    (void)arg;
    c->buffer = malloc(BUFFER);
    if (!c->buffer) {
        return -ENOMEM;
    }
    int wrong = pthread_mutex_init(&c->lock, NULL);
    if (wrong) {
        free(c->buffer);
        return -wrong;
    }
    make_table(c->table);
    c->served = 0;
    c->used = 0;
    c->socket = -1;
    return 0;
}

static void destruct(void *object, void *arg)
{
    struct connection *c = object;
    (void)arg;
    pthread_mutex_destroy(&c->lock);
    free(c->buffer);
}

static bool send_all(int to, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = send(to, text, length, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        text += n;
        length -= (size_t)n;
    }
    return true;
}

static int add_served(void *object, void *sum)
{
    struct connection *c = object;
    pthread_mutex_lock(&c->lock);
    *(uint64_t *)sum += c->served;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static int tell(char *out, size_t size)
{
    struct allot_cache_stats s;
    uint64_t served = 0;
    allot_cache_stats(&connections, &s);
    allot_cache_walk(&connections, add_served, &served);
    return snprintf(out, size, "connections %zu constructed %llu lines %llu slabs %zu\n", (size_t)s.use.count,
                    (unsigned long long)s.constructed, (unsigned long long)served, s.slabs);
}

static bool answer(struct connection *c, const char *line, size_t length)
{
    char out[BUFFER + 16];
    int n;
    if (length == 4 && memcmp(line, "quit", 4) == 0) {
        shutdown(listener, SHUT_RDWR);
        return false;
    }
    if (length == 5 && memcmp(line, "stats", 5) == 0) {
        n = tell(out, sizeof out);
    } else {
        n = snprintf(out, sizeof out, "%08x ", checksum(c, line, length));
        for (size_t i = 0; i < length; i++) {
            out[n++] = line[length - 1 - i];
        }
        out[n++] = '\n';
        pthread_mutex_lock(&c->lock);
        c->served++;
        pthread_mutex_unlock(&c->lock);
    }
    return send_all(c->socket, out, (size_t)n);
}

/* Answers each whole line, and keeps the rest. False when there is no more to come, or a line is too long. */
static bool serve_some(struct connection *c)
{
    ssize_t n = recv(c->socket, c->buffer + c->used, BUFFER - c->used, 0);
    if (n <= 0) {
        return false;
    }
    c->used += (size_t)n;
    char *line = c->buffer, *end;
    while ((end = memchr(line, '\n', c->used)) != NULL) {
        size_t length = (size_t)(end - line);
        if (!answer(c, line, length)) {
            return false;
        }
        c->used -= length + 1;
        line = end + 1;
    }
    memmove(c->buffer, line, c->used);
    return c->used < BUFFER;
}

static void *serve(void *arg)
{
    struct connection *c = arg;
    while (serve_some(c)) {
    }
    pthread_mutex_lock(&c->lock);
    close(c->socket);
    c->socket = -1; /* as constructed */
    c->served = 0;
    pthread_mutex_unlock(&c->lock);
    c->used = 0;
    allot_cache_put(&connections, c);
    count_serving(-1);
    return NULL;
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        return -1;
    }
    return ntohs(address.sin_port);
}

static int hang_up(void *object, void *arg)
{
    struct connection *c = object;
    (void)arg;
    pthread_mutex_lock(&c->lock);
    if (c->socket >= 0) {
        shutdown(c->socket, SHUT_RDWR);
    }
    pthread_mutex_unlock(&c->lock);
    return 0;
}

int main(int argc, char **argv)
{
    /* Of a constructed connection the table never changes, nor where its buffer is. */
    static struct connection mask;
    memset(mask.table, 255, sizeof mask.table);
    memset(&mask.buffer, 255, sizeof mask.buffer);
    struct allot_cache_opts opts = {
        .name = "connection",
        .ctor = construct,
        .dtor = destruct,
        .mask = &mask,
        .flags = ALLOT_CACHE_LOCKED,
    };
    int wrong = allot_cache_init(&connections, sizeof(struct connection), &opts);
    wrong = wrong ? wrong : allot_cache_reserve(&connections, argc > 1 ? (size_t)atoi(argv[1]) : 0);
    int port = wrong ? -1 : listen_on_loopback();
    if (port < 0) {
        fprintf(stderr, "connection-cache: %s\n", strerror(wrong ? -wrong : errno));
        return 1;
    }
    printf("%d\n", port);
    fflush(stdout);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (int socket; (socket = accept(listener, NULL, NULL)) >= 0;) {
        struct connection *c = allot_cache_get(&connections);
        pthread_t thread;
        if (c) {
            c->socket = socket;
            count_serving(1);
        }
        if (!c || pthread_create(&thread, &detached, serve, c) != 0) {
            close(socket); /* too many: the client sees the end */
            if (c) {
                c->socket = -1;
                allot_cache_put(&connections, c);
                count_serving(-1);
            }
        }
    }
    allot_cache_walk(&connections, hang_up, NULL);
    pthread_mutex_lock(&serving_lock);
    while (serving) {
        pthread_cond_wait(&served_all, &serving_lock);
    }
    pthread_mutex_unlock(&serving_lock);
    struct allot_cache_stats s;
    allot_cache_stats(&connections, &s);
    allot_cache_check(&connections);
    fprintf(stderr, "constructed %llu\n", (unsigned long long)s.constructed);
    allot_cache_done(&connections);
    return 0;
}
