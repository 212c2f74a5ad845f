/* The resolver process: questions to the DNS for all workers. */
#pragma once

#include "svc/child.h"

extern const struct service resolver_service;
