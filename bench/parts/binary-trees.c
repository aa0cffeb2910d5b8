/* binary-trees.c - the benchmarks game's: many short trees made and walked, one that stays.
 *
 *     a tree of DEPTH + 1 is made, counted and dropped; one of DEPTH is made and stays
 *     for depth 4, 6, ... DEPTH: 2^(DEPTH - depth + 4) trees of that depth, each made bottom up, counted and dropped
 *
 *   time          ms of processor time
 *   peak          MiB resident at most
 *   collections   whole ones; `young`: of the young alone; `longest`: ms that the program stood at most
 */
#include "trees.h"

enum { DEPTH = 18, SHORTEST = 4 };

static size_t nodes_in(const struct node *tree) { return tree ? 1 + nodes_in(tree->left) + nodes_in(tree->right) : 0; }

static void count_tree(const struct node *tree, int depth)
{
    if (nodes_in(tree) != ((size_t)2 << depth) - 1) {
        fail("a tree has lost nodes");
    }
}

static void binary_trees(const struct way *way)
{
    struct node **root = kept;
    uint64_t start = cpu_now();
    way->begin();
    way->bottom_up(DEPTH + 1, &root[0]);
    count_tree(root[0], DEPTH + 1);
    way->drop(&root[0]);

    way->bottom_up(DEPTH, &root[1]);
    for (int depth = SHORTEST; depth <= DEPTH; depth += 2) {
        for (size_t i = 0; i < (size_t)1 << (DEPTH - depth + SHORTEST); i++) {
            way->bottom_up(depth, &root[0]);
            count_tree(root[0], depth);
            way->drop(&root[0]);
        }
    }
    count_tree(root[1], DEPTH);
    figure("time", (double)(cpu_now() - start) / 1e6, "ms");
    figure("peak", peak_mib(), "MiB");
    way->figures();
}

int main(int argc, char **argv) { return trees_main(argc, argv, binary_trees, NULL, 0); }
