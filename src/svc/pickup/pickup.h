/*
 * The process that picks up what programs on this machine have left in the spool folder, and hands
 * it to the store. It reads strangers' files and answers nobody; it has no network, and of the file
 * system the spool folder and, for reading, /etc (users.h).
 */
#pragma once

#include "svc/child.h"

extern const struct service pickup_service;
