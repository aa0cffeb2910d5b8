/* base/list.h - doubly linked lists through the items' own `next` and `prev`: a head is a pointer to the first item. O(1).
 *
 * The head's owner keeps what else it wants to know of it, such as a bit that says whether it is empty.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stddef.h>

#define list_push(head, item)         \
    do {                              \
        (item)->prev = NULL;          \
        (item)->next = *(head);       \
        if (*(head)) {                \
            (*(head))->prev = (item); \
        }                             \
        *(head) = (item);             \
    } while (0)

#define list_remove(head, item)                \
    do {                                       \
        if ((item)->prev) {                    \
            (item)->prev->next = (item)->next; \
        } else {                               \
            *(head) = (item)->next;            \
        }                                      \
        if ((item)->next) {                    \
            (item)->next->prev = (item)->prev; \
        }                                      \
    } while (0)

#endif
