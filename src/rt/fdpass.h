/*
 * Messages with an optional descriptor over a SEQPACKET socketpair: how the master talks with its
 * children. Small, rare and non-blocking; not for mail.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

enum { FDPASS_MAX_BYTES = 64 * 1024 };

/* Sends type, payload and, unless fd is -1, a duplicate of fd. 0 or negative errno (-EAGAIN when
 * the peer does not read: then nothing was sent). */
MUST_CHECK int fdpass_send(int socket, uint16_t type, struct str payload, int fd);
/* Receives one message into `buffer` of FDPASS_MAX_BYTES. *out_fd is -1 or a descriptor that the
 * caller owns. 0; -EAGAIN when there is none; -EPIPE at the end (an empty message counts as one);
 * -EBADMSG for nonsense, such as two descriptors: they are closed. */
MUST_CHECK int fdpass_recv(int socket, char *buffer, uint16_t *out_type, struct str *out_payload,
                           int *out_fd);
/* A connected pair, both ends close-on-exec and non-blocking; kind is SOCK_STREAM or
 * SOCK_SEQPACKET. */
MUST_CHECK int fdpass_pair(int kind, int out_fds[2]);
