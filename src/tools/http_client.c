/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/http_client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/parse.h"

static enum err_code url_parse_unix(const char *path, struct http_url *ret, struct err *err)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&ret->addr;
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof(sun->sun_path))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"server 'unix:%s': a socket's path has 1 to %zu bytes", path,
			sizeof(sun->sun_path) - 1);
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path, len + 1);
	ret->addr_len = sizeof(*sun);
	snprintf(ret->authority, sizeof(ret->authority), "localhost");
	ret->base[0] = '\0';
	return ERR_OK;
}

/* What the server is called in messages. */
static const char *url_name(const struct http_url *url)
{
	return url->addr.ss_family == AF_UNIX ? ((const struct sockaddr_un *)&url->addr)->sun_path
					      : url->authority;
}

/* The schemes that somebody may try. */
static enum err_code check_scheme(const char *text, struct err *err)
{
	if (strncmp(text, "grpc://", 7) == 0 || strncmp(text, "grpcs://", 8) == 0)
		return err_set(err, ERR_INVALID_ARGUMENT,
			"server '%.200s': this is a URL of gRPC, HTTP is asked for: "
			"http://HOST:PORT or unix:PATH",
			text);
	return ERR_OK;
}

static enum err_code url_resolve(
	const char *host, const char *port, struct http_url *ret, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	int rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return err_set(
			err, ERR_UNAVAILABLE, "server '%s:%s': %s", host, port, gai_strerror(rc));
	/* "localhost" may be ::1 first, where a daemon on 127.0.0.1 does not listen. */
	const struct addrinfo *pick = list;
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		if (a->ai_family == AF_INET) {
			pick = a;
			break;
		}
	}
	memcpy(&ret->addr, pick->ai_addr, pick->ai_addrlen);
	ret->addr_len = pick->ai_addrlen;
	freeaddrinfo(list);
	return ERR_OK;
}

/* Cuts "host:port", "[v6]:port" or "host"; false: neither. port has the default. */
static bool authority_split(const char *text, size_t len, char *host, size_t host_size, char *port,
	size_t port_size)
{
	const char *end = text + len, *colon = NULL, *from = text, *to = end;
	if (len > 0 && *text == '[') {
		to = memchr(text, ']', len);
		if (!to)
			return false;
		from = text + 1;
		colon = to + 1 < end && to[1] == ':' ? to + 1 : NULL;
	} else {
		colon = memchr(text, ':', len);
		to = colon ? colon : end;
	}
	size_t n_host = (size_t)(to - from), n_port = colon ? (size_t)(end - colon) - 1 : 0;
	if (n_host == 0 || n_host >= host_size || (colon && n_port == 0) || n_port >= port_size)
		return false;
	snprintf(host, host_size, "%.*s", (int)n_host, from);
	if (colon)
		snprintf(port, port_size, "%.*s", (int)n_port, colon + 1);
	return true;
}

enum err_code http_url_parse(const char *text, struct http_url *ret, struct err *err)
{
	*ret = (struct http_url){ 0 };
	TRY(check_scheme(text, err));
	if (strncmp(text, "unix:", 5) == 0)
		return url_parse_unix(text + 5, ret, err);
	ret->is_tls = strncmp(text, "https://", 8) == 0;
	const char *at = ret->is_tls ? text + 8 : strncmp(text, "http://", 7) == 0 ? text + 7
		: text;
	size_t len = strcspn(at, "/");
	const char *base = at + len;
	size_t base_len = strlen(base);
	while (base_len > 0 && base[base_len - 1] == '/')
		base_len--;
	char port[8];
	snprintf(port, sizeof(port), "%s", ret->is_tls ? "443" : "80");
	if (len >= sizeof(ret->authority) || base_len >= sizeof(ret->base) ||
		!authority_split(at, len, ret->host, sizeof(ret->host), port, sizeof(port)))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"server '%.200s': expected http://HOST:PORT, https://HOST:PORT or "
			"unix:PATH",
			text);
	snprintf(ret->authority, sizeof(ret->authority), "%.*s", (int)len, at);
	snprintf(ret->base, sizeof(ret->base), "%.*s", (int)base_len, base);
	return url_resolve(ret->host, port, ret, err);
}

enum err_code http_url_secure(
	struct http_url *url, const struct client_tls_conf *conf, struct err *err)
{
	if (url->is_tls)
		return client_tls_new(conf, &url->tls, err);
	if (!client_tls_is_asked_for(conf))
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT,
		"server '%s': --cacert, --cert, --key and --insecure are for https://HOST:PORT",
		url_name(url));
}

void http_url_done(struct http_url *url)
{
	SSL_CTX_free(url->tls);
	url->tls = NULL;
}

/* -- a connection ------------------------------------------------------------------------- */

enum err_code http_connect(const struct http_url *url, struct http_conn *ret, struct err *err)
{
	int fd = socket(url->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, ERR_UNAVAILABLE, "socket: %s", strerror(errno));
	if (url->addr.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (connect(fd, (const struct sockaddr *)&url->addr, url->addr_len) != 0 &&
		errno != EINPROGRESS) {
		int why = errno;
		close(fd);
		return err_set(err, ERR_UNAVAILABLE, "cannot connect to %s: %s", url_name(url),
			strerror(why));
	}
	*ret = (struct http_conn){ .fd = fd };
	if (url->is_tls && !(ret->ssl = client_tls_begin(url->tls, fd, url->host))) {
		close(fd);
		return err_oom(err);
	}
	return ERR_OK;
}

void http_conn_close(struct http_conn *c)
{
	SSL_free(c->ssl);
	close(c->fd);
}

ssize_t http_conn_send(struct http_conn *c, struct slice s)
{
	return c->ssl ? client_tls_send(c->ssl, s.ptr, s.len)
		      : send(c->fd, s.ptr, s.len, MSG_NOSIGNAL);
}

ssize_t http_conn_recv(struct http_conn *c, void *to, size_t n)
{
	return c->ssl ? client_tls_recv(c->ssl, to, n) : recv(c->fd, to, n, 0);
}

bool http_conn_wants_out(const struct http_conn *c)
{
	return !c->ssl || client_tls_wants_out(c->ssl);
}

/* Of what failed last; errno is set. */
static const char *reason(const struct http_conn *c)
{
	return c->ssl && errno == EPROTO ? client_tls_reason(c->ssl) : strerror(errno);
}

/* -- replies and requests ----------------------------------------------------------------- */

/* Value of a header line if it has this name, trimmed; len SIZE_MAX: another name. */
static struct slice header_value(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);
	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return (struct slice){ NULL, SIZE_MAX };
	const char *from = line + n + 1, *to = line + len;
	while (from < to && (*from == ' ' || *from == '\t'))
		from++;
	while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
		to--;
	return (struct slice){ from, (size_t)(to - from) };
}

static bool reply_read_header(struct http_reply *r, const char *line, size_t len, bool *has_json)
{
	uint64_t n;
	struct slice v = header_value(line, len, "Content-Length");
	if (v.len != SIZE_MAX) {
		if (!parse_u64(v, HTTP_BODY_MAX, &n))
			return false;
		r->body_bytes = n;
		return true;
	}
	v = header_value(line, len, "Inference-Header-Content-Length");
	if (v.len != SIZE_MAX) {
		if (!parse_u64(v, HTTP_BODY_MAX, &n))
			return false;
		r->json_bytes = n;
		*has_json = true;
		return true;
	}
	v = header_value(line, len, "Connection");
	if (v.len == 5 && strncasecmp(v.ptr, "close", 5) == 0)
		r->keep_alive = false;
	v = header_value(line, len, "Transfer-Encoding");
	return v.len == SIZE_MAX;
}

static bool reply_read_head(struct http_reply *r, const char *buf)
{
	/* "HTTP/1.1 200 OK" */
	int64_t status;
	if (r->head_bytes < 16 || memcmp(buf, "HTTP/1.", 7) != 0 || buf[8] != ' ' ||
		!parse_i64((struct slice){ buf + 9, 3 }, 100, 599, &status))
		return false;
	r->status = (int)status;
	r->keep_alive = buf[7] == '1';
	bool has_json = false;
	const char *end = buf + r->head_bytes - 2;
	for (const char *line = buf; line < end;) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));
		if (!eol)
			break;
		if (line != buf && !reply_read_header(r, line, (size_t)(eol - line), &has_json))
			return false;
		line = eol + 1;
	}
	if (!has_json)
		r->json_bytes = r->body_bytes;
	return r->json_bytes <= r->body_bytes;
}

enum http_parse http_reply_parse(struct http_reply *r, const char *buf, size_t len)
{
	if (r->head_bytes == 0) {
		size_t look = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
		const char *end = memmem(buf, look, "\r\n\r\n", 4);
		if (!end)
			return len < HTTP_HEAD_MAX ? HTTP_MORE : HTTP_BAD;
		r->head_bytes = (size_t)(end - buf) + 4;
		if (!reply_read_head(r, buf))
			return HTTP_BAD;
	}
	return len >= r->head_bytes + r->body_bytes ? HTTP_DONE : HTTP_MORE;
}

enum err_code http_request_format(const struct http_url *url, const struct http_request *q,
	struct arena *arena, struct slice *ret, struct err *err)
{
	struct buf b = buf_of(arena, 0);
	buf_printf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", q->method, url->base, q->path,
		url->authority);
	if (q->body.len || strcmp(q->method, "POST") == 0) {
		bool binary = q->json_bytes < q->body.len;
		buf_printf(
			&b, "Content-Type: application/%s\r\n", binary ? "octet-stream" : "json");
		if (binary)
			buf_printf(&b, "Inference-Header-Content-Length: %zu\r\n", q->json_bytes);
		buf_printf(&b, "Content-Length: %zu\r\n", q->body.len);
	}
	buf_str(&b, "\r\n");
	buf_slice(&b, q->body);
	return buf_finish(&b, ret, err);
}

static enum err_code wait_for(int fd, short what, int timeout_ms, struct err *err)
{
	struct pollfd p = { .fd = fd, .events = what };
	int n;
	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return err_set(err, ERR_DEADLINE_EXCEEDED, "no answer within %d ms", timeout_ms);
	return n < 0 ? err_set(err, ERR_INTERNAL, "poll: %s", strerror(errno)) : ERR_OK;
}

enum err_code http_conn_shake_hands(struct http_conn *c, int timeout_ms, struct err *err)
{
	short what = POLLOUT; /* the connection is made */
	while (c->ssl) {
		TRY(wait_for(c->fd, what, timeout_ms, err));
		int n = client_tls_shake_hands(c->ssl);
		if (n > 0)
			break;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return err_set(err, ERR_UNAVAILABLE, "no TLS: %s",
				n == 0 ? "the connection was closed" : reason(c));
		what = client_tls_wants_out(c->ssl) ? POLLOUT : POLLIN;
	}
	return ERR_OK;
}

static enum err_code send_all(
	struct http_conn *c, struct slice s, int timeout_ms, struct err *err)
{
	short what = POLLOUT;
	while (s.len) {
		TRY(wait_for(c->fd, what, timeout_ms, err));
		ssize_t n = http_conn_send(c, s);
		/* The connection is made meanwhile, so this is where nobody is found to listen. */
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_set(err, ERR_UNAVAILABLE, "%s", reason(c));
		if (n > 0)
			s = (struct slice){ s.ptr + n, s.len - (size_t)n };
		what = http_conn_wants_out(c) ? POLLOUT : POLLIN;
	}
	return ERR_OK;
}

/* Length of the line that an answer begins with, or of what there is of it. */
static size_t first_line(const struct buf *b)
{
	size_t n = 0;
	while (n < b->len && b->ptr[n] != '\r' && b->ptr[n] != '\n')
		n++;
	return n;
}

static enum err_code receive_reply(struct http_conn *c, int timeout_ms, struct buf *b,
	struct http_reply *ret, struct err *err)
{
	for (;;) {
		TRY(wait_for(c->fd, POLLIN, timeout_ms, err));
		char *to = buf_reserve(b, 64 << 10);
		if (!to)
			return err_oom(err);
		ssize_t n = http_conn_recv(c, to, 64 << 10);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		/* HTTP/2, which gRPC speaks, begins with a length of three bytes. */
		if (n == 0 && (b->len == 0 || *b->ptr == '\0'))
			return err_set(err, ERR_UNAVAILABLE,
				"the connection was closed without an answer: is it the port of "
				"gRPC, or does it want TLS?");
		if (n <= 0)
			return err_set(err, ERR_UNAVAILABLE, "the server closed the connection: %s",
				n < 0 ? reason(c) : "before its answer was complete");
		b->len += (size_t)n;
		switch (http_reply_parse(ret, b->ptr, b->len)) {
		case HTTP_DONE:
			return ERR_OK;
		case HTTP_BAD:
			return err_set(err, ERR_UNKNOWN,
				"the answer is no HTTP/1.1 that we read: '%.*s'",
				(int)first_line(b), b->ptr);
		case HTTP_MORE:
			break;
		}
	}
}

enum err_code http_call(const struct http_url *url, const struct http_request *q, int timeout_ms,
	struct arena *arena, struct http_reply *ret, struct slice *ret_body, struct err *err)
{
	*ret = (struct http_reply){ 0 };
	struct slice wire;
	enum err_code rc = http_request_format(url, q, arena, &wire, err);
	if (rc != ERR_OK)
		return rc;
	struct http_conn c;
	rc = http_connect(url, &c, err);
	if (rc != ERR_OK)
		return rc;
	struct buf b = buf_of(arena, 0);
	rc = http_conn_shake_hands(&c, timeout_ms, err);
	if (rc == ERR_OK)
		rc = send_all(&c, wire, timeout_ms, err);
	if (rc == ERR_OK)
		rc = receive_reply(&c, timeout_ms, &b, ret, err);
	http_conn_close(&c);
	if (rc != ERR_OK)
		return err_prefix(err, "server '%s'", url_name(url));
	*ret_body = (struct slice){ b.ptr + ret->head_bytes, ret->body_bytes };
	return ERR_OK;
}
