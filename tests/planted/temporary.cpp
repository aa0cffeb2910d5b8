// Counts words of a text. Each word is a string of its own for a moment, too long to fit in the string itself: a million calls of malloc
// and free that a view would not make.
#include <string>
#include <string_view>

#include "plant.h"

static NOINLINE size_t count_copied(const std::string &text)
{
    size_t vowels = 0;
    for (size_t from = 0, to; (to = text.find(' ', from)) != std::string::npos; from = to + 1) {
        std::string word(text.begin() + (long)from, text.begin() + (long)to); // PLANTED: a string for each word
        vowels += (size_t)(word.find_first_of("aeiou") != std::string::npos);
    }
    return vowels;
}

static NOINLINE size_t count_seen(const std::string &text)
{
    size_t vowels = 0;
    for (size_t from = 0, to; (to = text.find(' ', from)) != std::string::npos; from = to + 1) {
        std::string_view word(text.data() + from, to - from);
        vowels += (size_t)(word.find_first_of("aeiou") != std::string::npos);
    }
    return vowels;
}

int main(int argc, char **argv)
{
    int well = plant_is_well(argc, argv);
    if (well < 0) {
        return 2;
    }
    std::string text;
    uint32_t random = 1;
    for (int i = 0; i < 20000; i++) {
        text.append(20 + plant_random(&random) % 20, (char)('a' + plant_random(&random) % 26)).append(" ");
    }
    size_t sum = 0;
    for (int turn = 0; turn < 20; turn++) {
        sum += well ? count_seen(text) : count_copied(text);
    }
    std::printf("%zu\n", sum);
}
