/*
 * How many sessions are open, in all and per address: one truth for all workers.
 *
 * Addresses are counted by ip_rate_key (IPv4 /32, IPv6 /64). A worker that dies takes its sessions
 * with it. Memory is bounded by the number of sessions. Belongs to the loop thread.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"
#include "store/wire.h"

struct session_count;

struct session_count *session_count_new(unsigned max_total, unsigned max_per_address);
void session_count_free(struct session_count *s);
void session_count_set_limits(struct session_count *s, unsigned max_total,
                              unsigned max_per_address);
/* Counts a session of `owner` from the address key. */
enum session_verdict session_count_open(struct session_count *s, const void *owner, struct str key);
void session_count_close(struct session_count *s, const void *owner, struct str key);
/* Forgets all sessions of an owner. */
void session_count_drop_owner(struct session_count *s, const void *owner);
size_t session_count_total(const struct session_count *s);
