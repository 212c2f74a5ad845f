/*
 * Mail for later and mail that is urgent, as those may ask for it who submit mail: FUTURERELEASE
 * (RFC 4865), DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710), REQUIRETLS (RFC 8689). Who is offered
 * what, what of it is refused, and which moments were meant. Pure. That it comes about is the
 * queue's matter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "conf/settings.h"
#include "smtp/params.h"
#include "smtp/reply.h"

/* The enum smtp_offer bits for a session: times and priorities for who submits mail, REQUIRETLS for
 * everybody whose mail comes encrypted itself (RFC 8689 section 2: relays too). */
unsigned smtp_offers(const struct settings *settings, bool is_submission, bool is_encrypted);
/* Appends what the reply to EHLO says of them, each "\nKEYWORD ...". */
void smtp_put_offers(const struct settings *settings, unsigned offers, int64_t now_ms,
                     struct buf *out);
/* Whether the times that were asked for are possible: code 0, or the refusal. */
struct reply smtp_check_times(const struct settings *settings, const struct smtp_mail_params *p,
                              int64_t now_ms, struct arena *arena);

/* Real time until which the message waits, if it was received at `received_ms`; 0: it does not. */
int64_t smtp_release_ms(const struct smtp_mail_params *p, int64_t received_ms);
/* Real time by which it is to be delivered; 0: that was not asked for. */
int64_t smtp_deliver_by_ms(const struct smtp_mail_params *p, int64_t received_ms);
