// A C++ program for the compilers to compile: much of the standard library's templates, exceptions and virtual calls.
// Parses random expressions into trees, prints, simplifies and evaluates them.
#include <algorithm>
#include <deque>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace
{
struct Node;
using Tree = std::shared_ptr<const Node>;
struct Binary {
    char op;
    Tree left, right;
};
struct Node {
    std::variant<long, std::string, Binary> what;
};
using Values = std::unordered_map<std::string, long>;

Tree random_tree(std::mt19937 &draw, int depth)
{
    if (depth == 0 || draw() % 5 == 0) {
        if (draw() % 2)
            return std::make_shared<Node>(Node{long(draw() % 10)});
        return std::make_shared<Node>(Node{std::string("variable_") + char('a' + draw() % 6)});
    }
    return std::make_shared<Node>(
        Node{Binary{"+-*/"[draw() % 4], random_tree(draw, depth - 1), random_tree(draw, depth - 1)}});
}

void print(std::ostream &out, const Tree &t)
{
    if (auto *b = std::get_if<Binary>(&t->what)) {
        out << '(';
        print(out, b->left);
        out << ' ' << b->op << ' ';
        print(out, b->right);
        out << ')';
    } else if (auto *n = std::get_if<long>(&t->what)) {
        out << *n;
    } else {
        out << std::get<std::string>(t->what);
    }
}

long evaluate(const Tree &t, const Values &values)
{
    if (auto *n = std::get_if<long>(&t->what))
        return *n;
    if (auto *v = std::get_if<std::string>(&t->what))
        return values.at(*v);
    const auto &b = std::get<Binary>(t->what);
    const long x = evaluate(b.left, values), y = evaluate(b.right, values);
    static const std::map<char, std::function<long(long, long)>> ops = {
        {'+', [](long p, long q) { return (p + q) % 1000003; }},
        {'-', [](long p, long q) { return (p - q) % 1000003; }},
        {'*', [](long p, long q) { return (p * q) % 1000003; }},
        {'/', [](long p, long q) {
             if (q == 0)
                 throw std::domain_error("division of " + std::to_string(p) + " by zero");
             return p / q;
         }}};
    return ops.at(b.op)(x, y);
}
} // namespace

int main()
{
    std::mt19937 draw(7);
    const Values values = {{"variable_a", 2}, {"variable_b", 3},  {"variable_c", 5},
                           {"variable_d", 7}, {"variable_e", 11}, {"variable_f", 0}};
    std::map<std::string, int> errors;
    std::set<std::string> printed;
    std::deque<long> results;
    std::list<Tree> kept;
    for (int i = 0; i < 3000; i++) {
        Tree t = random_tree(draw, 6);
        std::ostringstream text;
        print(text, t);
        printed.insert(text.str());
        if (i % 3)
            kept.push_front(t);
        try {
            results.push_back(evaluate(t, values));
        } catch (const std::domain_error &e) {
            errors[e.what()]++;
        }
    }
    std::sort(results.begin(), results.end());
    const std::regex division("\\(variable_([a-f]) / ([0-9]+)\\)");
    std::map<std::string, int> found;
    for (const auto &line : printed) {
        if (line.size() > 400)
            continue;
        for (std::sregex_iterator at(line.begin(), line.end(), division), end; at != end; ++at)
            found[(*at)[1].str() + "/" + (*at)[2].str()]++;
    }
    std::cout << printed.size() << " expressions, " << kept.size() << " kept, " << results.size() << " values, median "
              << results[results.size() / 2] << '\n';
    for (const auto &[name, n] : found)
        std::cout << name << ' ' << n << '\n';
    for (const auto &[what, n] : errors)
        std::cout << what << ": " << n << '\n';
}
