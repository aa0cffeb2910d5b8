// deletes.cpp - a delete that tells another size or alignment than the block has ends a hardened process, with a line that names
// the crime. One process a crime and level;
// the first words of its line are compared.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                \
        }                                                                                \
    } while (0)

namespace
{

template <typename T> T *hidden(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return static_cast<T *>(p);
}

struct large {
    long long words[9];
};

struct alignas(64) wide {
    char bytes[24];
};

struct counted {
    ~counted() { seen = this; }
    static counted *seen;
    long words[8];
};
counted *counted::seen;

void another_type() { delete hidden<large>(new char); }
void one_of_an_array() { delete hidden<char>(new char[4096]); }
void one_of_a_large_array() { delete hidden<large>(new large[100000]); }
void an_array_of_one() { delete[](hidden<counted>(static_cast<long *>(::operator new(1024)) + 1)); }
void sized() { ::operator delete(hidden<void>(::operator new(100)), size_t(1000)); }
void sized_array() { ::operator delete[](hidden<void>(::operator new[](1000)), size_t(100)); }
void sized_and_aligned() { ::operator delete(hidden<void>(new wide), sizeof(wide) + 64, std::align_val_t(64)); }
void sized_and_aligned_array() { ::operator delete[](hidden<void>(new wide[4]), sizeof(wide), std::align_val_t(64)); }
void aligned() { ::operator delete(hidden<void>(new wide), std::align_val_t(1 << 22)); }
void aligned_array() { ::operator delete[](hidden<void>(new wide[4]), std::align_val_t(1 << 22)); }
void twice()
{
    void *p = ::operator new(100);
    ::operator delete(hidden<void>(p), size_t(100));
    ::operator delete(hidden<void>(p), size_t(100));
}

const char size[] = "allot: free with another size than it has: ",
           align[] = "allot: free with another alignment than it has: ";

const struct crime {
    void (*commit)();
    const char *line;
} crimes[] = {
    {another_type, size}, {one_of_an_array, size}, {one_of_a_large_array, size}, {an_array_of_one, size},
    {sized, size},        {sized_array, size},     {sized_and_aligned, size},    {sized_and_aligned_array, size},
    {aligned, align},     {aligned_array, align},  {twice, "allot: "},
};

void expect(size_t i, int level)
{
    int ends[2], status;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        std::string number = std::to_string(i), options = "harden=" + std::to_string(level);
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        setenv("ALLOT_OPTIONS", options.c_str(), 1);
        execl("/proc/self/exe", "deletes", number.c_str(), nullptr);
        _exit(127);
    }
    close(ends[1]);
    std::string text, line = crimes[i].line;
    char piece[256];
    ssize_t n;
    while ((n = read(ends[0], piece, sizeof piece)) > 0) {
        text.append(piece, size_t(n));
    }
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || text.compare(0, line.size(), line) != 0) {
        std::fprintf(stderr, "crime %zu, harden=%d: status %#x, said \"%s\", expected \"%s\"\n", i, level, status,
                     text.c_str(), line.c_str());
        std::abort();
    }
}

} // namespace

int main(int argc, char **argv)
{
    if (argc == 2) {
        crimes[std::atoi(argv[1])].commit();
        return 0;
    }
    for (size_t i = 0; i < sizeof crimes / sizeof crimes[0]; i++) {
        for (int level = 1; level <= 3; level++) {
            expect(i, level);
        }
    }
    return 0;
}
