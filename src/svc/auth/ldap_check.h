/*
 * Passwords by a directory (LDAP, RFC 4511): the server is asked to let the user in with it, by a
 * name that follows from the account's address, or that is searched for. On a thread of the pool;
 * blocks, but never beyond the check's deadline.
 */
#pragma once

#include "base/str.h"
#include "svc/auth/check.h"

/* What the settings do not hold: the authorities and our own password. */
struct ldap_directory;

/* Before threads and sandbox: the library reads no configuration of its own. */
void ldap_check_start(void);
/* Copies both; the password is wiped with it. NULL when there is no memory file to be had. */
struct ldap_directory *ldap_directory_new(struct str ca_pem, struct str password);
/* NULL is taken. */
void ldap_directory_free(struct ldap_directory *d);

/* Whether a user of this name can log in with this password, which is not empty. Failures of the
 * directory are logged here. */
enum outside_verdict ldap_check(const struct check *check);
/* Says in the log what these settings give away. */
void ldap_check_settings(const struct settings *settings);
