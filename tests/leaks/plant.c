/* leaks/plant.c - see leaks/plant.h. Prints by write, as stdio would allocate. */
#include "leaks/plant.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MANY = 400000, DEEP = 65536 };

static struct planted {
    uintptr_t hidden;
    size_t size;
    const char *verdict;
} planted[MANY];
static size_t count;

void *expect(const char *verdict, void *p, size_t size)
{
    if (!p || count == MANY) {
        abort();
    }
    planted[count++] = (struct planted){~(uintptr_t)p, size, verdict};
    return p;
}

void *plant(const char *verdict, size_t size)
{
    void *p = malloc(size);
    if (p) {
        memset(p, 1, malloc_usable_size(p)); /* what lists of free blocks have left there refers to others */
    }
    return expect(verdict, p, size);
}

__attribute__((noinline)) void scrub(void)
{
    volatile char deep[DEEP];
    for (size_t i = 0; i < DEEP; i++) {
        deep[i] = 0;
    }
    (void)deep[0];
#if defined(__x86_64__)
    __asm__ volatile(
        "xor %%ebx, %%ebx; xor %%r12d, %%r12d; xor %%r13d, %%r13d; xor %%r14d, %%r14d; xor %%r15d, %%r15d" ::
            : "rbx", "r12", "r13", "r14", "r15");
#endif
}

static char buffer[1 << 16];
static size_t have;

static void put(const char *text)
{
    size_t length = strlen(text);
    if (have + length > sizeof buffer) {
        if (write(STDOUT_FILENO, buffer, have) != (ssize_t)have) {
            abort();
        }
        have = 0;
    }
    memcpy(buffer + have, text, length);
    have += length;
}

static void put_number(uintptr_t n, unsigned base)
{
    char digits[24], *at = digits + sizeof digits;
    *--at = 0;
    do {
        *--at = "0123456789abcdef"[n % base];
        n /= base;
    } while (n);
    put(at);
}

static void put_all(void)
{
    for (size_t i = 0; i < count; i++) {
        put(planted[i].verdict);
        put(" 0x");
        put_number(~planted[i].hidden, 16);
        put(":");
        put_number(planted[i].size, 10);
        put("\n");
    }
    put("ready\n");
    if (write(STDOUT_FILENO, buffer, have) != (ssize_t)have) {
        abort();
    }
    memset(buffer, 0, sizeof buffer);
}

/* A slow path now and then, of malloc's. */
static void wait_for_the_end(void (*grow)(void))
{
    static void *volatile here[64];
    for (size_t n = 0;; n++) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        char byte;
        if (poll(&in, 1, 10) == 1) {
            if (read(STDIN_FILENO, &byte, 1) != 1) {
                return;
            }
            if (grow) {
                grow();
                if (write(STDOUT_FILENO, "grown\n", 6) != 6) {
                    abort();
                }
            }
        }
        for (size_t i = 0; i < 64; i++) {
            here[i] = malloc(100000);
        }
        for (size_t i = 0; i < 64; i++) {
            free(here[i]);
            here[i] = NULL;
        }
    }
}

void finish(const char *how, void (*grow)(void))
{
    scrub();
    put_all();
    scrub();
    if (strcmp(how, "wait") == 0 || strcmp(how, "grow") == 0) {
        wait_for_the_end(grow);
    }
    if (strcmp(how, "abort") == 0) {
        raise(SIGABRT);
    }
    exit(0);
}
