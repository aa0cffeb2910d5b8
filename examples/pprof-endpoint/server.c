/* server.c - a server that shows at any time where its memory comes from: /debug/pprof/heap, as servers written in Go have it.
 *
 *     examples/pprof-endpoint 8080 &
 *     go tool pprof -top http://localhost:8080/debug/pprof/heap
 *
 * Workers remember some of what they make and throw away the rest. /debug/heap is the same for people; /quit ends the server.
 * The profile costs nothing until somebody asks for it but what sampling costs: one byte of 64 KiB is followed here, so that a
 * short run shows something; 512 KiB is the ordinary choice.
 *
 * Usage: pprof-endpoint [PORT]    prints the port, which is any that is free when none is given
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <allot/malloc.h>
#include <allot/sample.h>

enum { WORKERS = 2, REMEMBERED = 2000 };

static atomic_bool ending;

/* -- what is profiled -- */

__attribute__((noinline)) static char *remember(int i)
{
    char *one = allot_malloc(8000);
    if (one) {
        memset(one, i, 8000);
    }
    return one;
}

__attribute__((noinline)) static int make_and_throw_away(int i)
{
    char *one = allot_malloc(3000);
    if (!one) {
        return 0;
    }
    memset(one, i, 3000);
    int sum = one[i % 3000];
    allot_free(one);
    return sum;
}

/* Holds 16 MB, and renews them slowly. */
static void *work(void *arg)
{
    static _Thread_local char *remembered[REMEMBERED];
    unsigned sum = 0;
    for (int i = 0; !atomic_load(&ending); i++) {
        allot_free(remembered[i % REMEMBERED]);
        remembered[i % REMEMBERED] = remember(i);
        for (int k = 0; k < 10; k++) {
            sum += (unsigned)make_and_throw_away(i + k);
        }
        if (i > REMEMBERED) {
            usleep(1000);
        }
    }
    for (int i = 0; i < REMEMBERED; i++) {
        allot_free(remembered[i]);
    }
    *(unsigned *)arg = sum;
    return NULL;
}

/* -- the endpoint -- */

static void say(int socket, const char *text)
{
    if (write(socket, text, strlen(text)) < 0) {
        perror("pprof-endpoint: write");
    }
}

static void answer(int socket)
{
    char request[2048];
    ssize_t n = read(socket, request, sizeof request - 1);
    request[n > 0 ? n : 0] = 0;
    if (strncmp(request, "GET /debug/pprof/heap", 21) == 0) {
        say(socket, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n");
        allot_sample_write(socket, ALLOT_PPROF);
    } else if (strncmp(request, "GET /debug/heap", 15) == 0) {
        say(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n");
        allot_sample_write(socket, ALLOT_TEXT);
    } else {
        atomic_store(&ending, strncmp(request, "GET /quit", 9) == 0);
        say(socket, atomic_load(&ending) ? "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                                         : "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
    }
    shutdown(socket, SHUT_WR);
    close(socket);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16) ||
        getsockname(listener, (struct sockaddr *)&address, &length)) {
        perror("pprof-endpoint");
        return 1;
    }
    allot_sample_rate(64 * 1024);
    pthread_t worker[WORKERS];
    unsigned sum[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        if (pthread_create(&worker[i], NULL, work, &sum[i]) != 0) {
            return 1;
        }
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (!atomic_load(&ending)) {
        int socket = accept(listener, NULL, NULL);
        if (socket >= 0) {
            answer(socket);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(worker[i], NULL);
    }
    return 0;
}
