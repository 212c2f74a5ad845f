/* Doubly linked lists whose links live inside the elements; no allocation, O(1) removal. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct list {
    struct list *next;
    struct list *prev;
};

/* Makes an empty list, or an element that is in none. */
static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/* Puts the element at the end; it must be in no list. */
static inline void list_append(struct list *l, struct list *element)
{
    element->prev = l->prev;
    element->next = l;
    l->prev->next = element;
    l->prev = element;
}

/* Takes the element out of its list, if it is in one. */
static inline void list_remove(struct list *element)
{
    element->next->prev = element->prev;
    element->prev->next = element->next;
    list_init(element);
}

/* Takes the first element out, or NULL. */
static inline struct list *list_pop(struct list *l)
{
    struct list *first = l->next;

    if (first == l)
        return NULL;
    list_remove(first);
    return first;
}

/* Moves all elements of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* Walks the list; the element at hand may be removed meanwhile. */
#define LIST_FOR_EACH(head, it)                                                                    \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)
