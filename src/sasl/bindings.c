/* Channel bindings by name: see bindings.h. */
#include "sasl/bindings.h"

static const char *const NAMES[SASL_BINDING_COUNT] = {
    [SASL_BINDING_TLS_EXPORTER] = "tls-exporter",
    [SASL_BINDING_TLS_SERVER_END_POINT] = "tls-server-end-point",
};

struct str sasl_binding_name(enum sasl_binding binding)
{
    ASSERT(binding < SASL_BINDING_COUNT);
    return str_from_c(NAMES[binding]);
}

bool sasl_binding_is_known(struct str name)
{
    for (unsigned i = 0; i < SASL_BINDING_COUNT; i++) {
        if (str_eq(name, str_from_c(NAMES[i])))
            return true;
    }
    return false;
}

bool sasl_bindings_are_there(const struct sasl_bindings *bindings)
{
    for (unsigned i = 0; i < SASL_BINDING_COUNT; i++) {
        if (bindings->data[i].len > 0)
            return true;
    }
    return false;
}

struct str sasl_bindings_find(const struct sasl_bindings *bindings, struct str name)
{
    for (unsigned i = 0; i < SASL_BINDING_COUNT; i++) {
        if (str_eq(name, str_from_c(NAMES[i])))
            return bindings->data[i];
    }
    return STR_NONE;
}
