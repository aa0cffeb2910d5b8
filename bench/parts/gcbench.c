/* gcbench.c - the collectors' classic: binary trees of many depths come and go while one tree and one array stay. (J. Ellis, P. Kovac and
 * H. Boehm, "An artificial garbage collection benchmark", 1997; written anew from its description.)
 *
 *     a tree of DEPTH + 2 is made, and dropped: the heap has been stretched
 *     a tree of DEPTH, and an array of 500 000 doubles (4 times as many for each 2 of depth above 16), half of it filled: they stay
 *     for depth 4, 6, ... DEPTH: so many trees of that depth that their nodes are twice those of the first tree;
 *                                top down - a node, then its children - and the same bottom up
 *
 * A node has two references and two ints, 24 bytes. At depth 16 there are 15.3 million of them, at 18 79 million.
 *
 *   time          ms of processor time for all of it, the heap's beginning included
 *   peak          MiB resident at most
 *   collections   whole ones; `young`: of the young alone; `longest`: ms that the program stood at most
 *
 * Where there is no collector trees are freed by hand, when they are dropped.
 */
#include "trees.h"

enum { SHORTEST = 4 };

static size_t nodes_of(int depth) { return ((size_t)2 << depth) - 1; }

static void check_tree(const struct node *tree, int depth)
{
    for (; depth > 0; depth--) {
        tree = depth & 1 ? tree->left : tree->right;
    }
    if (tree->left || tree->right) {
        fail("a leaf has children");
    }
}

static void gcbench(const struct way *way)
{
    struct node **root = kept;
    double **array = &kept_array;
    uint64_t start = cpu_now();
    way->begin();
    way->bottom_up(DEPTH + 2, &root[0]);
    check_tree(root[0], DEPTH + 2);
    way->drop(&root[0]);

    way->top_down(DEPTH, &root[1]);
    size_t count = (size_t)500000 << (DEPTH - 16);
    *array = way->doubles(count);
    for (size_t i = 0; i < count / 2; i++) {
        (*array)[i] = 1.0 / (double)(i + 1);
    }

    for (int depth = SHORTEST; depth <= DEPTH; depth += 2) {
        size_t trees = 2 * nodes_of(DEPTH + 2) / nodes_of(depth);
        for (size_t i = 0; i < trees; i++) {
            way->top_down(depth, &root[0]);
            way->drop(&root[0]);
        }
        for (size_t i = 0; i < trees; i++) {
            way->bottom_up(depth, &root[0]);
            check_tree(root[0], depth);
            way->drop(&root[0]);
        }
    }
    check_tree(root[1], DEPTH);
    if ((*array)[999] != 1.0 / 1000) {
        fail("the array is not what it was");
    }
    figure("time", (double)(cpu_now() - start) / 1e6, "ms");
    figure("peak", peak_mib(), "MiB");
    way->figures();
}

int main(int argc, char **argv)
{
    static const char *const demands[] = {
        "time allot-copy <= 0.5 libgc", "peak allot-copy <= 0.8 libgc",   "time allot-mark <= 0.85 libgc",
        "peak allot-mark <= 1 libgc",   "time allot-count <= 1.3 malloc",
    };
    return trees_main(argc, argv, gcbench, demands, COUNT(demands));
}
