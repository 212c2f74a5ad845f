/* A user's name outside: see name.h. */
#include "svc/auth/name.h"

struct outside_name outside_name_of(struct str address)
{
    ptrdiff_t at = str_rfind(address, '@');
    struct outside_name name = {.address = address, .user = address};

    if (at < 0)
        return name;
    name.user = str_sub(address, 0, (size_t)at);
    name.domain = str_sub(address, (size_t)at + 1, address.len);
    return name;
}
