/* JSON from strangers, by jansson, with what it does not bound itself: size and depth. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/str.h"

enum { TOKEN_JSON_MAX_BYTES = 256 * 1024, TOKEN_JSON_MAX_DEPTH = 16 };

/* The object of the text, which the caller gives back by json_decref; NULL when it is none, when a
 * name comes twice, or when it is too long or too deep. */
json_t *token_json_load(struct str text);
/* For CLEANUP(). */
void token_json_free(json_t **object);
/* The text of a member; STR_NONE when there is none, or when it is no string. */
struct str token_json_str(const json_t *object, const char *name);
/* Whether a member that is a string, or an array with such strings in it, is or has the word. */
bool token_json_has(const json_t *object, const char *name, struct str word);
