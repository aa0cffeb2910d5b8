/* leaks/lost.cpp - a program of which it is known where its leaks are allocated (tests/leaks/where): in a thread and out of it, in
 * a plugin, alone and leading to others. Lines that matter are marked. As its argument says it ends (`exit`), or goes on till its input
 * does (`wait`), with threads that allocate all the time (`busy`). */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <poll.h>
#include <thread>
#include <unistd.h>

namespace app
{
struct Session {
    virtual ~Session() = default;
    char *text = nullptr;
    Session *peer = nullptr;
};

__attribute__((noinline)) Session *open_session()
{
    auto *s = new Session;                           /* LINE: session */
    s->text = static_cast<char *>(std::malloc(500)); /* LINE: text */
    std::memset(s->text, 1, 500);
    return s;
}

static volatile std::uintptr_t sink; /* of complements, which hold nothing */

__attribute__((noinline)) void serve()
{
    for (int i = 0; i < 20; i++) {
        sink = ~reinterpret_cast<std::uintptr_t>(open_session());
    }
}
} // namespace app

__attribute__((noinline)) void lose_pair()
{
    app::Session *one = app::open_session(), *other = app::open_session();
    one->peer = other;
    other->peer = one;
    app::sink = ~reinterpret_cast<std::uintptr_t>(one);
}

__attribute__((noinline)) void load_plugin(const char *path, bool unload)
{
    void *plugin = dlopen(path, RTLD_NOW);
    auto lose = plugin ? reinterpret_cast<void (*)()>(dlsym(plugin, "plugin_lose")) : nullptr;
    if (!lose) {
        std::abort();
    }
    lose();
    if (unload) {
        dlclose(plugin);
    }
}

/* Overwrites what calls have left on the stack. */
__attribute__((noinline)) void scrub()
{
    volatile char deep[65536];
    for (std::size_t i = 0; i < sizeof deep; i++) {
        deep[i] = 0;
    }
}

static void allocate_now_and_then()
{
    static thread_local void *volatile here[64];
    std::size_t size = 16;
    for (auto &p : here) {
        p = std::malloc(size);
        size = size < 100000 ? 2 * size : 16;
    }
    for (auto &p : here) {
        std::free(p);
        p = nullptr;
    }
}

int main(int argc, char **argv)
{
    std::thread(app::serve).join();
    lose_pair();
    if (argc > 2) {
        load_plugin(argv[2], argc > 3);
    }
    scrub();
    const char *how = argc > 1 ? argv[1] : "exit";
    for (int i = 0; i < 2 && std::strcmp(how, "busy") == 0; i++) {
        std::thread([] {
            for (;;) {
                allocate_now_and_then();
            }
        }).detach();
    }
    if (std::strcmp(how, "exit") != 0) {
        pollfd in = {STDIN_FILENO, POLLIN, 0};
        std::puts("ready");
        std::fflush(stdout);
        while (poll(&in, 1, 5) != 1) { /* a stop interrupts it */
            allocate_now_and_then();
        }
    }
    return 0;
}
