/*
 * What is to be said of certificates and of files that cannot be used, on its way from the master
 * to the store and from there to `hikyaku status`. No secrets are in it.
 *
 * Pure: one report after the other, up to the end of the bytes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"

enum {
    KEY_REPORTS_MAX_BYTES = 768 * 1024, /* all together: fits into a reply of the store */
    KEY_REPORT_NAMES_MAX = 32,          /* of one certificate; how many more there are is said */
    KEY_REPORT_WARN_DAYS = 21,          /* before a certificate expires */
};

struct key_report {
    struct str title; /* as the settings call it: certificate "own" */
    struct str file;
    struct str problem; /* why the files on disk cannot be used; empty: they are in use */
    bool is_certificate;
    /* The rest is of certificates, of that which is in use. */
    const struct str *names;
    uint32_t name_count;
    uint32_t names_left_out;
    struct str issuer;
    struct str key; /* "ECDSA P-256" */
    int64_t not_before_ms;
    int64_t not_after_ms;
    bool is_self_signed;
    bool lacks_hostname; /* it is the default, and not for server.hostname */
};

void key_report_put(struct buf *out, const struct key_report *report);
/* Reads the next one; views into the bytes, the names in the arena. 0 or -EBADMSG. */
MUST_CHECK int key_report_get(struct cursor *c, struct arena *arena, struct key_report *out);
