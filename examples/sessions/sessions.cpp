/* sessions.cpp - a server's bookkeeping with three flaws, for allot to find; nothing of allot is in it.
 *
 *     allot leaks -- build/bin/examples/sessions                       what is lost: sessions that nobody closed, and pairs
 *     allot record --leaks -o s.allot -- build/bin/examples/sessions   all that it does with memory
 *     allot report s.allot                                             in sentences; and the log, which only grows
 *     allot check --max-peak 8M --max-leak 0 s.allot                   for a build server: fails
 *
 * Usage: sessions [REQUESTS]    50000 unless told; prints how much is in the baskets of open sessions
 */
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

struct Session {
    std::string user;
    std::vector<int> basket;
    Session *guest_of = nullptr;
};

static Session *open_sessions[100];
static std::vector<std::string> request_log; /* flaw: nothing is ever taken out */

__attribute__((noinline)) static Session *open_session(int number)
{
    auto *session = new Session;
    session->user = "user number " + std::to_string(number) + " of many";
    session->basket.resize(100);
    return session;
}

__attribute__((noinline)) static void serve(int number)
{
    Session *session = open_session(number);
    if (number % 10 == 0) {
        open_sessions[number / 10 % 100] = session; /* flaw: the one that was there is forgotten */
    } else {
        delete session;
    }
    request_log.push_back("request " + std::to_string(number) + " was answered");
}

/* Two that know each other, and whom nobody else knows: flaw, though each is pointed to. */
__attribute__((noinline)) static void invite(int number)
{
    Session *host = open_session(number), *guest = open_session(number + 1);
    host->guest_of = guest;
    guest->guest_of = host;
}

int main(int argc, char **argv)
{
    int requests = argc > 1 ? atoi(argv[1]) : 50000;
    for (int i = 0; i < requests; i++) {
        serve(i);
        if (i % 1000 == 999) {
            invite(i);
        }
    }
    size_t items = 0;
    for (Session *session : open_sessions) {
        items += session ? session->basket.size() : 0;
    }
    printf("%zu\n", items);
    return 0;
}
