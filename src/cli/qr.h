/*
 * QR codes: a text as modules, on a terminal in half blocks or as a PNG file's bytes.
 *
 * Pure but for the memory. Dark modules are drawn dark: the terminal's colours are set for it, so
 * that the code can be read on a dark background, too.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum { QR_OUT_MAX_BYTES = 1 << 20 };

/* Both append and give 0, or -EMSGSIZE when the text is too long for a QR code. */
MUST_CHECK int qr_put_terminal(struct buf *out, struct str text);
MUST_CHECK int qr_put_png(struct buf *out, struct str text);
