/* What the auth process may do: as little as the libraries allow that it is there for. */
#pragma once

#include "conf/settings.h"
#include "rt/sandbox.h"

/* Of a struct service. */
const struct sandbox_profile *auth_profile(const struct settings *settings);
