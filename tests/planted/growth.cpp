// Sessions of a server by their number. They are in the map as long as it runs, whether they ended or not: it grows, and no leak checker
// says so, as all of it can be reached.
#include <chrono>
#include <string>
#include <thread>
#include <unordered_map>

#include "plant.h"

struct Session {
    std::string user;
    long requests = 0;
};

class Server
{
  public:
    explicit Server(bool well) : well_(well) {}

    NOINLINE void open(int number)
    {
        sessions_[number].user = "user of session number " + std::to_string(number); // PLANTED: never erased
    }

    long answer(int number) { return ++sessions_.at(number).requests; }

    void close(int number)
    {
        if (well_) {
            sessions_.erase(number);
        }
    }

  private:
    std::unordered_map<int, Session> sessions_;
    bool well_;
};

int main(int argc, char **argv)
{
    int well = plant_is_well(argc, argv);
    if (well < 0) {
        return 2;
    }
    static Server &server = *new Server(well); // as long as the process
    long sum = 0;
    for (int number = 0; number < 60000; number++) {
        server.open(number);
        if (number >= 1000) {
            sum += server.answer(number - 1000);
            server.close(number - 1000);
        }
        if (number % 100 == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(2)); // for the next requests
        }
    }
    std::printf("%ld\n", sum);
}
