/*
 * The header lines that a server puts in front of a message: Return-Path and Delivered-To for
 * mailboxes (RFC 5321 section 4.4), Received for all (the same; RFC 6531 section 3.7.3).
 */
#pragma once

#include "base/buf.h"
#include "smtp/session.h"

/* Lines that only mailboxes see. */
void smtp_put_mailbox_lines(const struct smtp_session *s, struct buf *out);
void smtp_put_received(const struct smtp_session *s, struct buf *out);
