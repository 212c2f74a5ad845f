/* The access process: see access.c. */
#pragma once

#include "svc/child.h"

extern const struct service access_service;
