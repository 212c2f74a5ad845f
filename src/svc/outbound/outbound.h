/* The process that brings mail to other servers. */
#pragma once

#include "svc/child.h"

extern const struct service outbound_service;
