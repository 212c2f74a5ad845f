/* The auth process: passwords and tokens that somebody outside checks. */
#pragma once

#include "svc/child.h"

extern const struct service auth_service;
