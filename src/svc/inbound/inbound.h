/* The process that receives mail from strangers on port 25. */
#pragma once

#include "svc/child.h"

extern const struct service inbound_service;
