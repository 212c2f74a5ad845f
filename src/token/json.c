/* JSON from strangers: see json.h. */
#include "token/json.h"

/* jansson goes down recursively, to 2,048 levels, on whatever stack it is called. */
static bool is_shallow(struct str text)
{
    unsigned depth = 0;
    bool is_in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\' && is_in_string)
            i++;
        else if (c == '"')
            is_in_string = !is_in_string;
        else if (!is_in_string && (c == '{' || c == '[') && ++depth > TOKEN_JSON_MAX_DEPTH)
            return false;
        else if (!is_in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return true;
}

json_t *token_json_load(struct str text)
{
    json_error_t error;

    if (text.len == 0 || text.len > TOKEN_JSON_MAX_BYTES || !is_shallow(text))
        return NULL;
    json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

void token_json_free(json_t **object)
{
    json_decref(*object);
}

static struct str text_of(const json_t *value)
{
    if (!json_is_string(value))
        return STR_NONE;
    return str_from_mem(json_string_value(value), json_string_length(value));
}

struct str token_json_str(const json_t *object, const char *name)
{
    return text_of(json_object_get(object, name));
}

bool token_json_has(const json_t *object, const char *name, struct str word)
{
    const json_t *value = json_object_get(object, name);

    if (json_is_string(value))
        return str_eq(text_of(value), word);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        if (json_is_string(item) && str_eq(text_of(item), word))
            return true;
    }
    return false;
}
