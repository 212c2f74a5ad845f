/*
 * Where the text of a message gathers: header lines of ours, then what the client sends, through
 * the MIME scanner, into memory or, once it is long, into the backend's spool. Bounded memory
 * whatever the size.
 */
#pragma once

#include "smtp/session.h"

/* Begins: gives the message its id and puts Return-Path, Delivered-To and Received in front. */
void smtp_intake_open(struct smtp_session *s, enum data_mode mode);
/* Takes bytes as they came; returns how many (all, unless DATA ended within). Yields (spool).
 * Failures are remembered; the rest is then only counted. */
size_t smtp_intake_feed(struct smtp_session *s, struct str input);
/* Ends: judges the message and hands it over. Yields. The caller ends the transaction, after the
 * reply. */
struct reply smtp_intake_finish(struct smtp_session *s);
/* Forgets a message under way. */
void smtp_intake_drop(struct smtp_session *s);
