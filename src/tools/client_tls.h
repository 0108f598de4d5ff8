/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_tls.h -- TLS of a tool: whom it trusts, who it says it is, and bytes over a socket
 *
 * TLS 1.2 and 1.3. The server's certificate must come from who is trusted and be the host's that
 * was asked for, unless the tool was told not to look.
 *
 * Ownership: a connection borrows its socket.
 * Threads:   any; a connection one at a time.
 */
#pragma once

#include <openssl/types.h>
#include <sys/types.h>
#include "base/arena.h"

/* Files in PEM, as options name them; NULL: not given. */
struct client_tls_conf {
	const char *ca;         /* whom to trust; NULL: whom the system trusts */
	const char *cert, *key; /* of the client, for who asks; both or neither */
	bool insecure;          /* take any certificate */
};

/* The rows of the options, for the tools' tables. */
#define CLIENT_TLS_OPTIONS(conf) \
	{ "cacert", ARGS_TEXT, &(conf)->ca, "FILE", \
		"of TLS: trust who these certificates are of; default: the system's" }, \
	{ "cert", ARGS_TEXT, &(conf)->cert, "FILE", \
		"of TLS: the certificate to show, with its chain" }, \
	{ "key", ARGS_TEXT, &(conf)->key, "FILE", "of TLS: its key" }, \
	{ "insecure", ARGS_FLAG, &(conf)->insecure, NULL, \
		"of TLS: take any certificate of the server's" }

bool client_tls_is_asked_for(const struct client_tls_conf *conf);

/* INVALID_ARGUMENT: a certificate without its key, or the other way round. */
MUST_CHECK enum err_code client_tls_check(const struct client_tls_conf *conf, struct err *err);

/* Reads the files; INVALID_ARGUMENT names the option whose file is wrong. SSL_CTX_free() it. */
MUST_CHECK enum err_code client_tls_new(
	const struct client_tls_conf *conf, SSL_CTX **ret, struct err *err);

/* For one connection over fd, which does not block, to the host of that name or address; NULL: no
   memory. SSL_free() it. */
SSL *client_tls_begin(SSL_CTX *ctx, int fd, const char *host);

/* 1: hands are shaken; else as client_tls_send(). */
int client_tls_shake_hands(SSL *ssl);

/* As send() and recv() of a socket that does not block: what waits, for whichever direction, is
   EAGAIN; what fails otherwise is EPROTO, and client_tls_reason() says why. */
ssize_t client_tls_send(SSL *ssl, const void *from, size_t n);
ssize_t client_tls_recv(SSL *ssl, void *to, size_t n);

/* To go on, does it wait for room? Else for the server's next bytes. */
bool client_tls_wants_out(const SSL *ssl);

const char *client_tls_reason(const SSL *ssl);
