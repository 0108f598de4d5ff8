/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.h -- as much HTTP/1.1 as a client of an inference server needs
 *
 * An address, connections to it, a reply read from bytes as they come (for the load
 * generator, which never blocks) and one whole call (for signetctl, which does). Replies
 * have a Content-Length or no body; a chunked one is reported, not decoded.
 *
 * Ownership: descriptors and buffers are the caller's; http_call() answers in the arena.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include "tools/client_tls.h"

#define HTTP_HEAD_MAX (64 << 10)
#define HTTP_BODY_MAX ((size_t)1 << 30)

struct http_url {
	char authority[280]; /* for the Host header */
	char base[256];      /* path before the API's own, "" mostly */
	char host[256];      /* that a certificate must have */
	bool is_tls;
	SSL_CTX *tls;        /* http_url_secure()'s, when it is */
	struct sockaddr_storage addr;
	socklen_t addr_len;
};

/* "http://HOST[:PORT][/BASE]", the same with https, "HOST:PORT", or "unix:PATH".
   Resolves the name. */
MUST_CHECK enum err_code http_url_parse(const char *text, struct http_url *ret, struct err *err);

/* Before connections are made: what TLS wants. INVALID_ARGUMENT: it cannot be had, or is asked for
   and the URL has none. */
MUST_CHECK enum err_code http_url_secure(
	struct http_url *url, const struct client_tls_conf *conf, struct err *err);
void http_url_done(struct http_url *url); /* zeroed is fine */

struct http_conn {
	int fd;
	SSL *ssl; /* NULL: no TLS */
};

/* Non-blocking: the connection may still be under way. UNAVAILABLE with the reason. */
MUST_CHECK enum err_code http_connect(
	const struct http_url *url, struct http_conn *ret, struct err *err);
void http_conn_close(struct http_conn *c);

/* Waits for the handshake, if there is one. UNAVAILABLE: there is none with whom is trusted. */
MUST_CHECK enum err_code http_conn_shake_hands(
	struct http_conn *c, int timeout_ms, struct err *err);

/* As send() and recv(), of a socket that does not block. */
ssize_t http_conn_send(struct http_conn *c, struct slice s);
ssize_t http_conn_recv(struct http_conn *c, void *to, size_t n);

/* When not all could be sent: does it wait for room? Else for the server's next bytes. */
bool http_conn_wants_out(const struct http_conn *c);

struct http_reply {
	int status;
	bool keep_alive;
	size_t head_bytes, body_bytes;
	size_t json_bytes; /* Inference-Header-Content-Length; else body_bytes */
};

enum http_parse { HTTP_MORE, HTTP_DONE, HTTP_BAD };

/* Looks at what has arrived of one reply; *r is zeroed before the first call for it and
   then kept. HTTP_DONE: the reply is the first head_bytes + body_bytes of buf. */
enum http_parse http_reply_parse(struct http_reply *r, const char *buf, size_t len);

struct http_request {
	const char *method;
	const char *path;   /* after the url's base */
	struct slice body;
	size_t json_bytes;  /* < body.len: the rest is binary tensors, and a header says so */
};

/* The request as it goes on the wire, in the arena. */
MUST_CHECK enum err_code http_request_format(const struct http_url *url,
	const struct http_request *q, struct arena *arena, struct slice *ret, struct err *err);

/* Connects, sends, waits for the reply at most timeout_ms from byte to byte. ERR_OK
   whatever the status; ret_body is in the arena. */
MUST_CHECK enum err_code http_call(const struct http_url *url, const struct http_request *q,
	int timeout_ms, struct arena *arena, struct http_reply *ret, struct slice *ret_body,
	struct err *err);
