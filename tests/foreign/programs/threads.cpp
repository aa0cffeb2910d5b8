// A threaded C++ program: blocks are born on one thread and die on another, threads come and go while others work,
// thread-local objects die at thread exit, futures carry exceptions, vectors grow past every size class, aligned types
// come from the aligned operator new. What it prints depends on its argument (the amount of work) and on nothing else.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace
{
std::atomic<long> tls_destroyed{0};

struct ThreadLocal {
    std::map<int, std::string> notes;
    ~ThreadLocal()
    {
        for (int i = 0; i < 50; i++) // allocates while the thread is being torn down
            notes[1000 + i] = std::string(64 + i, 'z');
        tls_destroyed += long(notes.size());
    }
};
thread_local ThreadLocal local;

struct Message {
    std::string text;
    std::vector<uint32_t> numbers;
    std::unique_ptr<Message> inner;
};

class Queue
{
  public:
    void push(std::unique_ptr<Message> m)
    {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return items_.size() < 256; });
        items_.push_back(std::move(m));
        ready_.notify_one();
    }
    std::unique_ptr<Message> pop() // nullptr ends a consumer
    {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [&] { return !items_.empty(); });
        auto m = std::move(items_.front());
        items_.pop_front();
        room_.notify_one();
        return m;
    }

  private:
    std::mutex mutex_;
    std::condition_variable ready_, room_;
    std::deque<std::unique_ptr<Message>> items_;
};

std::unique_ptr<Message> make(std::mt19937 &draw, int depth)
{
    auto m = std::make_unique<Message>();
    const size_t length = draw() % 300;
    m->text.assign(length, char('a' + draw() % 26));
    const size_t most = draw() % 64 == 0 ? 40000 : 200;
    m->numbers.assign(draw() % most, uint32_t(length));
    if (depth > 0)
        m->inner = make(draw, depth - 1);
    return m;
}

uint64_t weigh(const Message *m)
{
    uint64_t sum = 0;
    for (; m; m = m->inner.get()) {
        for (char c : m->text)
            sum += uint64_t(c);
        for (uint32_t n : m->numbers)
            sum += n;
    }
    return sum;
}

void pass_messages(int scale)
{
    Queue queue;
    std::atomic<uint64_t> sent{0}, received{0};
    std::vector<std::thread> producers, consumers;
    for (int c = 0; c < 3; c++)
        consumers.emplace_back([&] {
            while (auto m = queue.pop())
                received += weigh(m.get());
        });
    for (int p = 0; p < 3; p++)
        producers.emplace_back([&, p] {
            std::mt19937 draw(100 + p);
            for (int i = 0; i < 400 * scale; i++) {
                auto m = make(draw, i % 4);
                sent += weigh(m.get());
                queue.push(std::move(m));
            }
        });
    for (auto &t : producers)
        t.join();
    for (size_t c = 0; c < consumers.size(); c++)
        queue.push(nullptr);
    for (auto &t : consumers)
        t.join();
    std::printf("messages: sent %llu, received %llu\n", (unsigned long long)sent, (unsigned long long)received);
}

void churn_threads(int scale)
{
    std::vector<std::shared_ptr<std::string>> legacy(64); // blocks of dead threads, freed by later ones
    std::mutex mutex;
    uint64_t total = 0;
    for (int round = 0; round < 20 * scale; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++)
            threads.emplace_back([&, round, i] {
                std::mt19937 draw(round * 4 + i);
                for (int n = 0; n < 60; n++)
                    local.notes[n] = std::string(draw() % 500, 'n');
                auto mine = std::make_shared<std::string>(draw() % 5000, 'm');
                std::lock_guard lock(mutex);
                auto &slot = legacy[(round * 4 + i) % legacy.size()];
                total += mine->size();
                slot = mine;
            });
        for (auto &t : threads)
            t.join();
    }
    std::printf("churn: %llu bytes, %ld thread-local notes destroyed\n", (unsigned long long)total,
                (long)tls_destroyed);
}

void throw_across(int scale)
{
    std::map<std::string, int> seen;
    for (int i = 0; i < 100 * scale; i++) {
        auto future = std::async(std::launch::async, [i]() -> std::vector<std::string> {
            std::vector<std::string> v(size_t(i % 17), std::string(size_t(i % 90), 'v'));
            if (i % 3 == 0)
                throw std::runtime_error("thrown by " + std::to_string(i % 7));
            return v;
        });
        try {
            seen["size " + std::to_string(future.get().size() % 5)]++;
        } catch (const std::runtime_error &e) {
            seen[e.what()]++;
        }
    }
    for (const auto &[what, n] : seen)
        std::printf("futures: %s: %d\n", what.c_str(), n);
}

struct alignas(256) Wide {
    unsigned char bytes[768];
};

void grow_and_align(int scale)
{
    std::atomic<uint64_t> sum{0}, misaligned{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < 4; id++)
        threads.emplace_back([&, id] {
            std::mt19937 draw(id);
            std::vector<std::unique_ptr<Wide>> wide;
            for (int i = 0; i < 200 * scale; i++) {
                auto w = std::make_unique<Wide>();
                misaligned += reinterpret_cast<uintptr_t>(w.get()) % alignof(Wide) != 0;
                std::memset(w->bytes, i, sizeof w->bytes);
                if (wide.size() < 100)
                    wide.push_back(std::move(w));
                else
                    wide[draw() % wide.size()] = std::move(w);
            }
            for (const auto &w : wide)
                sum += w->bytes[767];
            std::vector<uint64_t> vector;
            for (int i = 0; i < 100000 * scale; i++)
                vector.push_back(uint64_t(i));
            char *text = nullptr;
            for (size_t n = 1; n < size_t(4) << 20; n = n * 3 / 2 + 1) {
                text = static_cast<char *>(std::realloc(text, n));
                text[n - 1] = char(n);
                text[0] = 'r';
            }
            sum += vector.back() + uint64_t(text[0]);
            std::free(text);
        });
    for (auto &t : threads)
        t.join();
    std::printf("growth: %llu, misaligned %llu\n", (unsigned long long)sum, (unsigned long long)misaligned);
}
} // namespace

int main(int argc, char **argv)
{
    const int scale = argc > 1 ? std::atoi(argv[1]) : 1;
    pass_messages(scale);
    churn_threads(scale);
    throw_across(scale);
    grow_and_align(scale);
    return 0;
}
