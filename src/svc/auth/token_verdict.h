/*
 * Tokens of OAuth: what src/token says of one, as an answer. Blocks; on a thread of the pool.
 */
#pragma once

#include "svc/auth/check.h"

/* Of the request's secret. Of a right one check->name is set. */
enum outside_verdict token_verdict(struct check *check);
