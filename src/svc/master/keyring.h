/*
 * All that the settings name of keys, certificates, authorities and passwords, read and checked;
 * and what has become of their files since.
 *
 * Each is replaced only by something that can be used: a file that was renewed by half, or wrongly,
 * leaves the old one in use and is told of, once. The keyring reads files and changes none; who
 * gets what of it is decided by svc/secrets.h.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/settings.h"
#include "rt/tls_identity.h"
#include "svc/master/key_file.h"
#include "svc/secrets.h"

enum keyring_kind {
    KEYRING_IDENTITY,      /* two files: the chain and the key */
    KEYRING_CLIENT_CA,     /* tls.client_ca_file */
    KEYRING_CLIENT_CRL,    /* tls.client_crl_file */
    KEYRING_CA,            /* tls.ca_file */
    KEYRING_PASSWORD,      /* of a route */
    KEYRING_TOKEN_KEYS,    /* auth.oauth_keys_file */
    KEYRING_TOKEN_SECRET,  /* auth.oauth_client_secret_file */
    KEYRING_LDAP_PASSWORD, /* auth.ldap_service_password_file */
};

enum { KEYRING_FILES_MAX = 2, KEYRING_PASSWORD_MAX_BYTES = 1024 };

struct keyring_file {
    char *path;
    struct buf bytes;             /* in use; empty if there never was anything usable */
    struct key_file_stamp tried;  /* of the file when it was last taken up, or tried to be */
    struct key_file_stamp looked; /* of the file when it was last looked at */
};

struct keyring_item {
    enum keyring_kind kind;
    char *name; /* of its section; "" if it has none */
    struct keyring_file files[KEYRING_FILES_MAX];
    size_t file_count;
    struct tls_identity *identity; /* of KEYRING_IDENTITY */
    int64_t until_ms;              /* of KEYRING_CLIENT_CRL: when the first of the lists ends */
    char *problem;                 /* why what is on disk cannot be used; NULL: it is in use */
    bool may_lack;                 /* the server can do without */
};

struct keyring {
    struct keyring_item *items;
    size_t count;
};

/* Reads all that the settings name. `old`, which may be NULL, is what is in use: an identity that
 * is not valid at this time does not replace one that is. 0, with *out the caller's; or -EINVAL and
 * one line in out_text for each thing that cannot be used. */
MUST_CHECK int keyring_new(const struct settings *settings, const struct keyring *old,
                           struct keyring **out, struct buf *out_text);
/* Overwrites what it holds. NULL is taken. */
void keyring_free(struct keyring *k);

/* Takes up what has changed on disk, if it can be used, and logs that. A file is taken up when it
 * looks the same twice: ask again soon when some were not settled. Bits of: */
enum { KEYRING_HAS_NEWS = 1, KEYRING_IS_UNSETTLED = 2, KEYRING_HAS_PROBLEM = 4 };
MUST_CHECK unsigned keyring_refresh(struct keyring *k);

/* Views of what is in use, with arrays in the arena of SECRETS_ARENA_BYTES; without ticket keys. */
void keyring_secrets(const struct keyring *k, struct arena *arena, struct secrets *out);

/* Whether it is the certificate of those who ask for no name, and not for server.hostname. */
bool keyring_lacks_hostname(const struct keyring *k, const struct keyring_item *item,
                            const struct settings *settings);
/* Appends what is to be told of it (svc/key_report.h): at most KEY_REPORTS_MAX_BYTES. */
void keyring_put_reports(const struct keyring *k, const struct settings *settings, struct buf *out);
/* "certificate \"own\"", "tls.ca_file", "route \"smarthost\"": as the settings call it. */
void keyring_put_title(const struct keyring_item *item, struct buf *out);
