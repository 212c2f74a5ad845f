/*
 * The libraries of cryptography, made ready once: before a sandbox forbids files, and before there
 * are threads.
 */
#pragma once

/* Chooses the fastest code for this processor (libsodium: argon2id takes twice as long without) and
 * keeps libcrypto from reading /etc/ssl/openssl.cnf, later, from inside a sandbox. May be called
 * again. */
void crypt_start(void);
