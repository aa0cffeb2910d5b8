// A small C++ program for the debuggers: builds a sorted tree, prints it, or aborts when told to fail.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

struct node {
    std::string word;
    int count = 0;
    node *left = nullptr, *right = nullptr;
};

static node *insert(node *root, int n)
{
    const std::string word = "word " + std::to_string(n * 37 % 101);
    if (!root) {
        root = new node;
        root->word = word;
        return root;
    }
    root->count++;
    if (word < root->word)
        root->left = insert(root->left, n);
    else
        root->right = insert(root->right, n);
    return root;
}

static int depth(const node *root)
{
    if (!root)
        return 0;
    const int left = depth(root->left), right = depth(root->right);
    return 1 + (left > right ? left : right);
}

static void drop(node *root)
{
    if (!root)
        return;
    drop(root->left);
    drop(root->right);
    delete root;
}

int main(int argc, char **argv)
{
    node *root = nullptr;
    for (int n = 0; n < 200; n++)
        root = insert(root, n);
    std::printf("depth %d, %d below %s\n", depth(root), root->count, root->word.c_str());
    std::fflush(stdout);
    if (argc > 1 && !std::strcmp(argv[1], "fail"))
        std::abort();
    drop(root);
    return 0;
}
