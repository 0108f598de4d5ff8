/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/client_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

bool client_tls_is_asked_for(const struct client_tls_conf *conf)
{
	return conf->ca || conf->cert || conf->key || conf->insecure;
}

enum err_code client_tls_check(const struct client_tls_conf *conf, struct err *err)
{
	if (!conf->cert == !conf->key)
		return ERR_OK;
	return err_set(err, ERR_INVALID_ARGUMENT, "--cert and --key: one needs the other");
}

/* --- files --- */

static enum err_code bad_file(const char *option, const char *file, struct err *err)
{
	unsigned long code = ERR_peek_error();
	const char *why = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
						 : ERR_reason_error_string(code);
	ERR_clear_error();
	return err_set(err, ERR_INVALID_ARGUMENT, "--%s '%s': %s", option, file,
		why ? why : "cannot be read");
}

static enum err_code read_files(SSL_CTX *ctx, const struct client_tls_conf *conf, struct err *err)
{
	if (conf->ca && SSL_CTX_load_verify_file(ctx, conf->ca) != 1)
		return bad_file("cacert", conf->ca, err);
	if (!conf->ca && SSL_CTX_set_default_verify_paths(ctx) != 1)
		return err_oom(err);
	if (conf->cert && SSL_CTX_use_certificate_chain_file(ctx, conf->cert) != 1)
		return bad_file("cert", conf->cert, err);
	if (conf->key && SSL_CTX_use_PrivateKey_file(ctx, conf->key, SSL_FILETYPE_PEM) != 1)
		return bad_file("key", conf->key, err);
	return ERR_OK;
}

enum err_code client_tls_new(const struct client_tls_conf *conf, SSL_CTX **ret, struct err *err)
{
	TRY(client_tls_check(conf, err));
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
		SSL_CTX_free(ctx);
		return err_oom(err);
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(ctx, conf->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	enum err_code rc = read_files(ctx, conf, err);
	if (rc != ERR_OK) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret = ctx;
	return ERR_OK;
}

/* --- a connection --- */

/* Names are told to the server, addresses are not; the certificate must have either. */
static bool expect_host(SSL *ssl, const char *host)
{
	struct in6_addr any;
	if (inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

SSL *client_tls_begin(SSL_CTX *ctx, int fd, const char *host)
{
	SSL *ssl = SSL_new(ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || !expect_host(ssl, host)) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_connect_state(ssl);
	return ssl;
}

static int failure(const SSL *ssl, int n)
{
	switch (SSL_get_error(ssl, n)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_SYSCALL:
		errno = errno ? errno : ECONNRESET;
		return -1;
	default:
		errno = EPROTO;
		return -1;
	}
}

int client_tls_shake_hands(SSL *ssl)
{
	ERR_clear_error();
	errno = 0;
	int done = SSL_do_handshake(ssl);
	return done > 0 ? done : failure(ssl, done);
}

static int at_most(size_t n)
{
	return n < INT_MAX ? (int)n : INT_MAX;
}

ssize_t client_tls_send(SSL *ssl, const void *from, size_t n)
{
	ERR_clear_error();
	errno = 0;
	int done = SSL_write(ssl, from, at_most(n));
	return done > 0 ? done : failure(ssl, done);
}

ssize_t client_tls_recv(SSL *ssl, void *to, size_t n)
{
	ERR_clear_error();
	errno = 0;
	int done = SSL_read(ssl, to, at_most(n));
	return done > 0 ? done : failure(ssl, done);
}

bool client_tls_wants_out(const SSL *ssl)
{
	return !SSL_want_read(ssl);
}

const char *client_tls_reason(const SSL *ssl)
{
	long verdict = SSL_get_verify_result(ssl);
	if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	const char *why = ERR_reason_error_string(ERR_peek_error());
	return why ? why : "TLS failed";
}
