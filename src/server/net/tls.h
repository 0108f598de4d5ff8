/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h -- a certificate, its key and whom to trust, ready for handshakes
 *
 * Life of a request: [LISTEN] -> decode -> ...
 *
 * TLS 1.2 and 1.3. A client that names a server must name one of the certificate's; with a
 * client_ca it must bring a certificate from there, and no session is resumed, so that one
 * that has expired ends at the next connection. relay.h moves the bytes.
 *
 * Ownership: a struct tls is immutable. Connections keep what they need of it: it may be
 *            freed while they live.
 * Threads:   any.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include "base/err.h"

struct tls;

struct tls_conf {
	const char *cert, *key;  /* PEM files; the certificate's chain behind it */
	const char *client_ca;   /* PEM file; "": clients need no certificate */
	const char *alpn;        /* the protocol spoken, its length before it: "\2h2"; static */
};

/* Reads all files; INVALID_ARGUMENT names the one that is wrong. */
MUST_CHECK enum err_code tls_new(const struct tls_conf *conf, struct tls **ret, struct err *err);
void tls_free(struct tls *t); /* NULL is fine */

/* For one connection, over this socket; NULL: no memory. SSL_free() it. */
SSL *tls_begin(struct tls *t, int fd);

/* After the handshake: has the client said that it speaks the protocol? If it says others
   only, there is no handshake; it may say nothing. */
bool tls_has_protocol(const SSL *ssl);

/* What failed last on this thread, in OpenSSL's words: nothing of the peer's is in them. */
const char *tls_reason(const SSL *ssl);
