/*
 * "Did you mean ...?": the nearest name to a misspelt one.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

/* Longer words are never near anything. */
enum { SUGGEST_MAX_CHARS = 64 };

/* Edits that make b of a: insert, delete, replace, swap two neighbours (Damerau-Levenshtein, no
 * substring edited twice); ASCII case folded. Anything above `bound` gives bound + 1. */
int suggest_distance(struct str a, struct str b, int bound);

/* The first of the nearest `names` at most `bound` edits away, or NULL. */
const char *suggest_nearest(struct str word, const char *const *names, size_t count, int bound);
