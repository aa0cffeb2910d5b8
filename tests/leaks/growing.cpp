/* leaks/growing.cpp - a program that grows when it is told to, by a line of its input: a container, that is no leak; blocks that are
 * lost; a thread, a thread's stack, and descriptors. Says `grown` each time (tests/leaks/growth). */
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

struct Session {
    virtual ~Session() = default;
    std::uint64_t words[4] = {1, 1, 1, 1};
};

std::vector<Session *> session_cache;
static volatile std::uintptr_t sink;
static std::atomic<int> rounds{0}, come{0};

__attribute__((noinline)) void remember_sessions()
{
    for (int i = 0; i < 1000; i++) {
        session_cache.push_back(new Session);
    }
}

__attribute__((noinline)) void forget_sessions()
{
    for (int i = 0; i < 10; i++) {
        sink = ~reinterpret_cast<std::uintptr_t>(new Session);
    }
}

static void *wait_for_ever(void *)
{
    come++;
    for (;;) {
        pause();
    }
}

/* Another 64 KiB of stack each round. */
__attribute__((noinline)) void descend(int round)
{
    char deep[65536];
    __asm__ volatile("" : : "r"(deep) : "memory");
    come++;
    while (rounds <= round) {
        usleep(1000);
    }
    if (round < 100) {
        descend(round + 1);
    }
    __asm__ volatile("" : : "r"(deep) : "memory");
}

static void *go_deeper(void *)
{
    descend(0);
    return nullptr;
}

static void start(const char *name, void *(*what)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, nullptr, what, nullptr) != 0 || pthread_setname_np(thread, name) != 0) {
        std::abort();
    }
}

static void grow()
{
    int pair[2];
    int now = come;
    remember_sessions();
    forget_sessions();
    start("worker", wait_for_ever);
    rounds++;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || open("/dev/null", O_RDONLY) < 0) {
        std::abort();
    }
    while (come < now + 2) {
        usleep(1000);
    }
    std::puts("grown");
    std::fflush(stdout);
}

int main()
{
    static void *volatile here[64];
    start("deep", go_deeper);
    while (come == 0) {
        usleep(1000);
    }
    grow();
    for (;;) {
        struct pollfd in = {STDIN_FILENO, POLLIN, 0};
        char byte;
        if (poll(&in, 1, 5) == 1) {
            if (read(STDIN_FILENO, &byte, 1) != 1) {
                return 0;
            }
            grow();
        }
        for (auto &p : here) { /* a slow path of malloc's */
            p = std::malloc(100000);
        }
        for (auto &p : here) {
            std::free(p);
            p = nullptr;
        }
    }
}
