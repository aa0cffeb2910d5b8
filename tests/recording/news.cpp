// recording/news.cpp - every form of operator new and delete; and one that throws, unless called with a word.
#include "family.h"

#include <cstdlib>
#include <new>

static void *volatile keep;

#define GIVE(p, call)    \
    say("free", (p), 0); \
    call

int main(int count, char **)
{
    auto wide = std::align_val_t(128);
    void *p[8];
    p[0] = say("malloc", keep = ::operator new(1001), 1001);
    p[1] = say("malloc", keep = ::operator new[](1002), 1002);
    p[2] = say("malloc", keep = ::operator new(1003, std::nothrow), 1003);
    p[3] = say("malloc", keep = ::operator new[](1004, std::nothrow), 1004);
    p[4] = say("aligned", keep = ::operator new(1152, wide), 1152);
    p[5] = say("aligned", keep = ::operator new[](1280, wide), 1280);
    p[6] = say("aligned", keep = ::operator new(1408, wide, std::nothrow), 1408);
    p[7] = say("aligned", keep = ::operator new[](1536, wide, std::nothrow), 1536);
    GIVE(p[0], ::operator delete(p[0], size_t(1001)));
    GIVE(p[1], ::operator delete[](p[1]));
    GIVE(p[2], ::operator delete(p[2], std::nothrow));
    GIVE(p[3], ::operator delete[](p[3], std::nothrow));
    GIVE(p[4], ::operator delete(p[4], wide));
    GIVE(p[5], ::operator delete[](p[5], wide));
    GIVE(p[6], ::operator delete(p[6], size_t(1408), wide));
    GIVE(p[7], ::operator delete[](p[7], wide, std::nothrow));
    ::operator delete(nullptr);
    volatile size_t most = size_t(-1) / 2 - 10;
    bool thrown = count > 1;
    try {
        keep = thrown ? nullptr : ::operator new(most);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    if (!thrown) {
        return 1;
    }
    // The thread is recorded after it as before.
    void *after = ::operator new(1005);
    keep = after;
    say("?", nullptr, 0); // what throwing took
    say("malloc", after, 1005);
    GIVE(after, ::operator delete(after));
    say_all();
}
