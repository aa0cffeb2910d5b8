/* leaks/planted_cxx.cpp - planted objects of classes: arrays behind their count, second bases, and their names. See leaks/plant.h. */
extern "C" {
#include "leaks/plant.h"
}

#include <cstdint>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

struct First {
    virtual ~First() = default;
    std::uint64_t filler[3] = {1, 1, 1};
};
struct Second {
    virtual ~Second() = default;
    std::uint64_t filler[3] = {1, 1, 1};
};
struct PlantedBoth : First, Second {
    std::uint64_t own[4] = {1, 1, 1, 1};
};
struct WithDestructor {
    std::uint64_t word[3] = {1, 1, 1};
    ~WithDestructor() { word[0] = 0; }
};

static Second *volatile second;
static First *volatile first;
static WithDestructor *volatile array;
/* Never destroyed: at the exit they are as they were. */
static auto &objects = *new std::vector<PlantedBoth *>;
static auto &tree = *new std::map<std::string, std::vector<int>>;
static auto &table = *new std::unordered_map<int, std::string>;
static auto &owned = *new std::list<std::unique_ptr<PlantedBoth>>;

template <class T> static T *planted(const char *verdict, T *p)
{
    expect(verdict, p, sizeof(T));
    return p;
}

static __attribute__((noinline)) void make()
{
    second = planted("reachable", new PlantedBoth);
    first = planted("reachable", new PlantedBoth);
    array = new WithDestructor[10];
    expect("reachable", reinterpret_cast<char *>(array) - sizeof(std::uint64_t),
           sizeof(std::uint64_t) + 10 * sizeof(WithDestructor));
    planted("definite", new PlantedBoth);
    /* Texts fill words: of one that is begun, the rest is what an earlier block has left there, and the whole may be an address. */
    for (int i = 0; i < 1000; i++) {
        objects.push_back(planted("reachable", new PlantedBoth));
        tree["a key that does not fit into its own room, " + std::to_string(1000 + i)].assign(100, i);
        table[i] = "a value that does not fit into its own room, neither...";
        owned.emplace_back(planted("reachable", new PlantedBoth));
    }
}

int main(int argc, char **argv)
{
    make();
    finish(argc > 1 ? argv[1] : "exit", nullptr);
}
