// teardown_cxx.cpp - thread_local objects of C++ whose destructors allocate and free, in threads that end, in the main
// thread, and in static objects, while a detached thread goes on allocating to the very end of the process.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct hoard {
    explicit hoard(const char *name) : name_(name) {}
    ~hoard()
    {
        std::map<std::string, std::vector<int>> late;
        for (int i = 0; i < 200; i++)
            late[name_ + std::to_string(i)].assign(size_t(i), i);
        for (const auto &entry : late) {
            for (int value : entry.second)
                sum_ += value;
        }
        if (sum_ != 2646700 + before_) {
            std::fprintf(stderr, "%s: sum is %ld\n", name_.c_str(), sum_);
            std::abort();
        }
    }
    void keep(int i)
    {
        texts_.push_back(std::make_unique<std::string>(size_t(i % 3000), 'x'));
        before_ += long(texts_.back()->size());
        sum_ += long(texts_.back()->size());
    }

  private:
    std::string name_;
    std::vector<std::unique_ptr<std::string>> texts_;
    long sum_ = 0, before_ = 0;
};

hoard global("a static object with a name too long for the string itself");
thread_local hoard local("a thread's object with a name too long for the string itself");
thread_local std::unique_ptr<hoard> second = std::make_unique<hoard>("a thread's second, behind a pointer of its own");

void at_exit() { free(malloc(1000)); }

} // namespace

int main()
{
    std::atexit(at_exit);
    for (int round = 0; round < 60; round++) {
        std::vector<std::thread> threads;
        for (int t = 0; t < 5; t++) {
            threads.emplace_back([t] {
                for (int i = 0; i < 300; i++) {
                    local.keep(i * (t + 1));
                    second->keep(i);
                }
            });
        }
        for (std::thread &thread : threads)
            thread.join();
    }
    for (int i = 0; i < 1000; i++) {
        local.keep(i);
        second->keep(i);
        global.keep(i);
    }
    std::atomic<bool> started{false};
    std::thread([&] {
        started = true;
        for (;;)
            free(malloc(100 + size_t(rand()) % 5000));
    }).detach();
    while (!started)
        std::this_thread::yield();
    return 0;
}
