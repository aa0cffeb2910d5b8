/* server.c - a small HTTP server that allocates all that a request needs from one arena, and frees it in one call.
 *
 * Usage: http WORKERS FILE         listens on a port of 127.0.0.1 that the system chooses, and prints it
 *
 *     GET /hello?name=NAME         a greeting
 *     GET /headers                 the request's headers, sorted
 *     GET /file                    FILE, read through a stream that a cleanup closes
 *     POST /words                  how often each word is in the body, most frequent first
 *     GET /memory                  what this worker's arena holds, and how many requests it has served
 *
 * A worker is a thread with an arena of its own. A request that wants more than 4 MiB is answered with 413: the arena's limit
 * makes the allocation fail, and what there was is freed like any other. Nothing is freed one by one, on no path.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <allot/arena.h>

enum { KEEP = 256 << 10, LIMIT = 4 << 20 };

struct header {
    struct header *next;
    char *name, *value;
};

struct request {
    struct allot_arena *arena;
    int client;
    jmp_buf failed; /* with the HTTP status */
    char *method, *path, *query, *body;
    size_t body_length;
    struct header *headers;
    unsigned long served;
};

static void *need(struct request *r, size_t size)
{
    void *p = allot_arena_alloc(r->arena, size);
    if (!p) {
        longjmp(r->failed, 413);
    }
    return p;
}

/* -- a text that grows: in place as long as it is the last object -- */

struct text {
    char *at;
    size_t length, room;
};

static void make_room(struct request *r, struct text *t, size_t more)
{
    if (t->room - t->length >= more) {
        return;
    }
    size_t room = (t->length + more) * 2;
    if (!t->at || !allot_arena_extend(r->arena, t->at, t->room, room)) {
        char *moved = need(r, room);
        if (t->length > 0) {
            memcpy(moved, t->at, t->length);
        }
        t->at = moved;
    }
    t->room = room;
}

static void __attribute__((format(printf, 3, 4))) say(struct request *r, struct text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    make_room(r, t, (size_t)n + 1);
    vsnprintf(t->at + t->length, (size_t)n + 1, format, again);
    t->length += (size_t)n;
    va_end(args);
    va_end(again);
}

/* -- reading -- */

static bool receive(struct request *r, struct text *t)
{
    make_room(r, t, 4096);
    ssize_t n = read(r->client, t->at + t->length, t->room - t->length - 1);
    if (n <= 0) {
        return false;
    }
    t->length += (size_t)n;
    t->at[t->length] = 0;
    return true;
}

static const char *header(const struct request *r, const char *name)
{
    for (const struct header *h = r->headers; h; h = h->next) {
        if (strcasecmp(h->name, name) == 0) {
            return h->value;
        }
    }
    return NULL;
}

/* Cuts the head into lines and these into words, where they are. */
static void parse_head(struct request *r, char *head)
{
    char *line = strsep(&head, "\n");
    r->method = strsep(&line, " ");
    r->path = strsep(&line, " ");
    if (!r->path || !line || strncmp(line, "HTTP/1.", 7) != 0) {
        longjmp(r->failed, 400);
    }
    r->query = r->path;
    strsep(&r->query, "?");
    while ((line = strsep(&head, "\n")) && *line && *line != '\r') {
        struct header *h = need(r, sizeof *h);
        h->name = strsep(&line, ":");
        if (!line) {
            longjmp(r->failed, 400);
        }
        h->value = line + strspn(line, " ");
        h->value[strcspn(h->value, "\r")] = 0;
        h->next = r->headers;
        r->headers = h;
    }
}

/* False when the client is gone. */
static bool read_request(struct request *r)
{
    struct text t = {0};
    char *end;
    do {
        if (!receive(r, &t)) {
            return false;
        }
    } while (!(end = strstr(t.at, "\r\n\r\n")));
    size_t head = (size_t)(end - t.at) + 4;
    char *copy = need(r, head + 1);
    memcpy(copy, t.at, head);
    copy[head] = 0;
    parse_head(r, copy);
    const char *length = header(r, "Content-Length");
    r->body_length = length ? strtoul(length, NULL, 10) : 0;
    if (r->body_length > LIMIT) {
        longjmp(r->failed, 413);
    }
    r->body = need(r, r->body_length + 1);
    size_t have = t.length - head < r->body_length ? t.length - head : r->body_length;
    memcpy(r->body, t.at + head, have);
    while (have < r->body_length) {
        ssize_t n = read(r->client, r->body + have, r->body_length - have);
        if (n <= 0) {
            return false;
        }
        have += (size_t)n;
    }
    r->body[r->body_length] = 0;
    return true;
}

/* -- answering -- */

static void send_all(struct request *r, const char *at, size_t length)
{
    while (length > 0) {
        ssize_t n = send(r->client, at, length, MSG_NOSIGNAL);
        if (n <= 0) {
            return;
        }
        at += n;
        length -= (size_t)n;
    }
}

static void answer(struct request *r, int status, const struct text *body)
{
    char head[128];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n\r\n", status,
                     status == 200 ? "OK" : "No", body ? body->length : 0);
    send_all(r, head, (size_t)n);
    if (body) {
        send_all(r, body->at, body->length);
    }
}

static void hello(struct request *r, struct text *out)
{
    const char *name = r->query && strncmp(r->query, "name=", 5) == 0 ? r->query + 5 : "world";
    say(r, out, "hello, %s\n", name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct header *const *)a)->name, (*(struct header *const *)b)->name);
}

static void headers(struct request *r, struct text *out)
{
    size_t count = 0, i = 0;
    for (struct header *h = r->headers; h; h = h->next) {
        count++;
    }
    struct header **sorted = need(r, count * sizeof *sorted);
    for (struct header *h = r->headers; h; h = h->next) {
        sorted[i++] = h;
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    for (i = 0; i < count; i++) {
        say(r, out, "%s=%s\n", sorted[i]->name, sorted[i]->value);
    }
}

static void close_file(void *file) { fclose(file); }

static const char *file_name;

static void file(struct request *r, struct text *out)
{
    FILE *file = fopen(file_name, "r");
    if (!file || allot_arena_defer(r->arena, close_file, file) != 0) {
        if (file) {
            fclose(file);
        }
        longjmp(r->failed, 500);
    }
    size_t n;
    do {
        make_room(r, out, 65536);
        n = fread(out->at + out->length, 1, 65536, file);
        out->length += n;
    } while (n > 0);
}

struct word {
    struct word *next;
    const char *word;
    size_t count;
};

static int by_count(const void *a, const void *b)
{
    const struct word *v = *(struct word *const *)a, *w = *(struct word *const *)b;
    return v->count != w->count ? (v->count < w->count ? 1 : -1) : strcmp(v->word, w->word);
}

static void words(struct request *r, struct text *out)
{
    enum { BUCKETS = 1024 };
    struct word **table = need(r, BUCKETS * sizeof *table), *w;
    memset(table, 0, BUCKETS * sizeof *table);
    size_t count = 0, i = 0;
    char *rest = r->body;
    for (char *word; (word = strsep(&rest, " \n\t"));) {
        size_t hash = 5381;
        for (char *c = word; *c; c++) {
            hash = hash * 33 + (unsigned char)(*c = (char)tolower((unsigned char)*c));
        }
        if (!*word) {
            continue;
        }
        for (w = table[hash % BUCKETS]; w && strcmp(w->word, word) != 0; w = w->next) {
        }
        if (!w) {
            w = need(r, sizeof *w);
            *w = (struct word){table[hash % BUCKETS], word, 0};
            table[hash % BUCKETS] = w;
            count++;
        }
        w->count++;
    }
    struct word **sorted = need(r, count * sizeof *sorted);
    for (size_t b = 0; b < BUCKETS; b++) {
        for (w = table[b]; w; w = w->next) {
            sorted[i++] = w;
        }
    }
    qsort(sorted, count, sizeof *sorted, by_count);
    for (i = 0; i < count; i++) {
        say(r, out, "%zu %s\n", sorted[i]->count, sorted[i]->word);
    }
}

static void memory(struct request *r, struct text *out)
{
    struct allot_arena_stats stats;
    allot_arena_stats(r->arena, &stats);
    say(r, out, "{\"held\": %lu, \"peak\": %lu, \"used\": %lu, \"served\": %lu}\n", (unsigned long)stats.use.held,
        (unsigned long)stats.use.peak, (unsigned long)stats.use.used, r->served);
}

static const struct {
    const char *method, *path;
    void (*handle)(struct request *r, struct text *out);
} routes[] = {
    {"GET", "/hello", hello},  {"GET", "/headers", headers}, {"GET", "/file", file},
    {"POST", "/words", words}, {"GET", "/memory", memory},
};

/* One request of a connection; false when there are no more. */
static bool serve(struct request *r)
{
    int status = setjmp(r->failed);
    if (status != 0) {
        answer(r, status, NULL);
        return false;
    }
    if (!read_request(r)) {
        return false;
    }
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].method, r->method) == 0 && strcmp(routes[i].path, r->path) == 0) {
            struct text out = {0};
            routes[i].handle(r, &out);
            answer(r, 200, &out);
            return true;
        }
    }
    answer(r, 404, NULL);
    return true;
}

static void *work(void *arg)
{
    int listener = *(int *)arg;
    struct allot_arena arena;
    allot_arena_init(&arena, &(struct allot_arena_opts){.first = 16 << 10, .limit = LIMIT});
    unsigned long served = 0;
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) {
            continue;
        }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        bool more = true;
        while (more) {
            struct request r = {.arena = &arena, .client = client, .served = served++};
            more = serve(&r);
            allot_arena_reset(&arena, KEEP); /* all of the request: texts, headers, words, its open file */
        }
        close(client);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: http WORKERS FILE\n", stderr);
        return 2;
    }
    file_name = argv[2];
    int workers = atoi(argv[1]), listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("http");
        return 1;
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int i = 1; i < workers; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, &listener);
    }
    work(&listener);
}
