// unit/calls_throw.cc - frames through which an exception goes: destructors that run while it does, and the one that catches it.
extern "C" void throw_through(void (*look)(void *), void *arg, unsigned depth);

namespace
{
struct at_end {
    void (*look)(void *);
    void *arg;
    ~at_end() { look(arg); }
};

__attribute__((noinline)) void descend(void (*look)(void *), void *arg, unsigned depth)
{
    at_end end{look, arg};
    look(arg);
    if (depth == 0) {
        throw 1;
    }
    descend(look, arg, depth - 1);
    look(arg);
}
} // namespace

extern "C" void throw_through(void (*look)(void *), void *arg, unsigned depth)
{
    try {
        descend(look, arg, depth);
    } catch (int) {
        look(arg);
    }
    look(arg);
}
