// One thread reads messages, another handles and frees them: all memory is made by the one and given back by the other. Done well, what
// was handled goes back to the reader, who uses it again.
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <pthread.h>
#include <thread>

#include "plant.h"

struct Message {
    long number;
    char text[120];
};

struct Batch {
    Message *message[64];
    size_t count;
};

// Batches from one thread to another; who puts into a full one, or takes from an empty one, waits.
class Queue {
public:
    explicit Queue(size_t most) : most_(most) {}

    void put(const Batch &batch)
    {
        std::unique_lock<std::mutex> hold(lock_);
        while (count_ == most_) {
            changed_.wait(hold);
        }
        batch_[(first_ + count_++) % ROOM] = batch;
        changed_.notify_one();
    }

    bool take(Batch &out, bool wait)
    {
        std::unique_lock<std::mutex> hold(lock_);
        while (wait && count_ == 0) {
            changed_.wait(hold);
        }
        if (count_ == 0) {
            return false;
        }
        out = batch_[first_];
        first_ = (first_ + 1) % ROOM;
        count_--;
        changed_.notify_one();
        return true;
    }

  private:
    enum { ROOM = 64 };
    std::mutex lock_;
    std::condition_variable changed_;
    Batch batch_[ROOM];
    size_t most_, first_ = 0, count_ = 0;
};

// Messages are made where none came back: never more than `returned` has room for.
static Queue handed(16), returned(64);
static bool well;

static NOINLINE Message *read_message(long number, Batch &spare)
{
    Message *message;
    if (well && (spare.count > 0 || returned.take(spare, false))) {
        message = spare.message[--spare.count];
    } else {
        message = static_cast<Message *>(std::malloc(sizeof *message)); // PLANTED: freed by the other thread
    }
    message->number = number;
    std::snprintf(message->text, sizeof message->text, "message %ld", number);
    return message;
}

static void read_all(long count)
{
    Batch batch = {}, spare = {};
    pthread_setname_np(pthread_self(), "reader");
    for (long i = 0; i < count; i++) {
        batch.message[batch.count++] = read_message(i, spare);
        if (batch.count == 64) {
            handed.put(batch);
            batch.count = 0;
        }
    }
    handed.put(batch);
    handed.put(Batch{});
    while (spare.count > 0) {
        std::free(spare.message[--spare.count]);
    }
}

int main(int argc, char **argv)
{
    int is_well = plant_is_well(argc, argv);
    if (is_well < 0) {
        return 2;
    }
    well = is_well;
    long sum = 0;
    std::thread reader(read_all, 200000 - 200000 % 64 + 1);
    pthread_setname_np(pthread_self(), "handler");
    for (Batch batch; handed.take(batch, true) && batch.count > 0;) {
        Batch back = {};
        for (size_t i = 0; i < batch.count; i++) {
            sum += batch.message[i]->number + batch.message[i]->text[0];
            if (well) {
                back.message[back.count++] = batch.message[i];
            } else {
                std::free(batch.message[i]);
            }
        }
        if (back.count > 0) {
            returned.put(back);
        }
    }
    reader.join();
    for (Batch batch; returned.take(batch, false);) {
        while (batch.count > 0) {
            std::free(batch.message[--batch.count]);
        }
    }
    std::printf("%ld\n", sum);
}
