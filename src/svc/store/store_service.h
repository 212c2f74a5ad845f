/* The process that keeps everything: the store, its channels and its housekeeping. */
#pragma once

#include "svc/child.h"

extern const struct service store_service;
