/*
 * What an envelope from the spool folder asks for as SMTP's MAIL would: RET and ENVID, HOLDUNTIL,
 * BY, MT-PRIORITY; checked as there. Pure.
 */
#pragma once

#include "mail/submit_file.h"
#include "smtp/schedule.h"

/* Fills *out. What is wrong with RET and ENVID is left away: only notices depend on it. A mail that
 * is to wait, or to be there in time, must not simply be sent: code 0, or the refusal. The seconds
 * of BY count from `left_ms`, when the file was written. */
struct reply parameters_take(const struct submit_envelope *e, const struct settings *settings,
                             int64_t left_ms, struct arena *arena, struct smtp_mail_params *out);
