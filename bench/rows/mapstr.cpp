// mapstr COUNT - a C++ program as it is commonly written: maps, hash maps, strings, vectors and shared pointers, built, copied,
// searched and torn down; COUNT passes.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{
struct order {
    std::string customer;
    std::vector<std::string> items;
};

std::uint64_t state = 8;

unsigned chance(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<unsigned>((state >> 33) % limit);
}

std::string word(const char *kind, unsigned number)
{
    return std::string(kind) + "-" + std::to_string(number) + std::string(number % 40, '.');
}

std::uint64_t pass()
{
    std::map<std::string, std::shared_ptr<order>> orders;
    std::unordered_map<std::string, std::vector<std::shared_ptr<order>>> by_item;
    for (unsigned i = 0; i < 8000; i++) {
        auto made = std::make_shared<order>();
        made->customer = word("customer", chance(3000));
        for (unsigned n = 1 + chance(6); n > 0; n--) {
            made->items.push_back(word("item", chance(500)));
            by_item[made->items.back()].push_back(made);
        }
        orders[word("order", chance(6000))] = std::move(made);
    }
    std::map<std::string, std::string> totals; // a customer's items, one after another
    for (const auto &[name, made] : orders)
        for (const auto &item : made->items)
            totals[made->customer] += item + ";";
    std::uint64_t sum = by_item.size();
    auto copy = totals;
    for (auto at = copy.begin(); at != copy.end();)
        at = at->second.size() % 3 == 0 ? copy.erase(at) : std::next(at);
    for (const auto &[customer, items] : copy)
        sum += customer.size() * items.size();
    for (unsigned i = 0; i < 4000; i++)
        sum += orders.erase(word("order", chance(6000)));
    return sum;
}
} // namespace

int main(int argc, char **argv)
{
    std::uint64_t sum = 0;
    for (unsigned long i = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1; i > 0; i--)
        sum += pass();
    std::printf("%016" PRIx64 "\n", sum);
}
