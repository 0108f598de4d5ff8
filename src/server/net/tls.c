/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"

#define FILE_BYTES_MAX (1u << 20)

struct tls {
	SSL_CTX *ctx;
};

/* --- what OpenSSL asks --- */

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
	const unsigned char *offered, unsigned offered_len, void *ctx)
{
	const unsigned char *ours = ctx;
	(void)ssl;
	for (unsigned at = 0; at < offered_len; at += 1u + offered[at]) {
		if (offered[at] != ours[0] || memcmp(offered + at + 1, ours + 1, ours[0]) != 0)
			continue;
		*ret = offered + at + 1;
		*ret_len = ours[0];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int check_name(SSL *ssl, int *alert, void *ctx)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	X509 *cert = SSL_get_certificate(ssl);
	(void)ctx;
	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	if (X509_check_host(cert, name, 0, 0, NULL) == 1 || X509_check_ip_asc(cert, name, 0) == 1)
		return SSL_TLSEXT_ERR_OK;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Nobody is there to type one. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

/* --- reading files --- */

static enum err_code bad_file(
	const char *option, const char *path, const char *what, struct err *err)
{
	ERR_clear_error();
	return err_set(err, ERR_INVALID_ARGUMENT, "%s: '%s' %s", option, path, what);
}

/* The file behind a BIO, whose bytes lie in the arena. */
static enum err_code open_pem(const char *option, const char *path, struct arena *arena, BIO **ret,
	struct err *err)
{
	struct slice text;
	if (file_read_path(path, FILE_BYTES_MAX, arena, &text, err) != ERR_OK) {
		err->code = ERR_INVALID_ARGUMENT;
		return err_prefix(err, "%s", option);
	}
	*ret = BIO_new_mem_buf(text.ptr, (int)text.len);
	return *ret ? ERR_OK : err_oom(err);
}

static enum err_code read_cert(SSL_CTX *ctx, const char *path, BIO *bio, struct err *err)
{
	X509 *x = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
	bool good = x && SSL_CTX_use_certificate(ctx, x) == 1;
	X509_free(x);
	if (!good)
		return bad_file("tls_cert", path, "has no certificate to use", err);
	while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL)))
		if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
			X509_free(x);
			return bad_file("tls_cert", path, "has a chain that cannot be used", err);
		}
	ERR_clear_error(); /* the file's end */
	return ERR_OK;
}

static enum err_code read_key(SSL_CTX *ctx, const char *path, BIO *bio, struct err *err)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (!key)
		return bad_file("tls_key", path, "has no private key without a password", err);
	bool fits = SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
	EVP_PKEY_free(key);
	return fits ? ERR_OK : bad_file("tls_key", path, "is not the key of the certificate", err);
}

static enum err_code read_client_ca(SSL_CTX *ctx, const char *path, BIO *bio, struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	int n = 0;
	for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, no_password, NULL)); n++) {
		bool good =
			X509_STORE_add_cert(store, x) == 1 && SSL_CTX_add_client_CA(ctx, x) == 1;
		X509_free(x);
		if (!good)
			return bad_file("tls_client_ca", path,
				"has a certificate that cannot be used", err);
	}
	ERR_clear_error();
	if (n == 0)
		return bad_file("tls_client_ca", path, "has no certificate", err);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	return ERR_OK;
}

static enum err_code read_file(SSL_CTX *ctx, const char *option, const char *path,
	enum err_code (*read)(SSL_CTX *ctx, const char *path, BIO *bio, struct err *err),
	struct err *err)
{
	struct arena *arena = arena_new(4096, 2 * FILE_BYTES_MAX);
	BIO *bio = NULL;
	enum err_code rc = arena ? open_pem(option, path, arena, &bio, err) : err_oom(err);
	if (rc == ERR_OK)
		rc = read(ctx, path, bio, err);
	BIO_free(bio);
	arena_free(arena);
	return rc;
}

/* --- life --- */

static void set_rules(SSL_CTX *ctx, const char *alpn)
{
	const unsigned char *id = (const unsigned char *)alpn;
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, (void *)(uintptr_t)alpn);
	SSL_CTX_set_tlsext_servername_callback(ctx, check_name);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_session_id_context(ctx, id, id[0] + 1u);
}

enum err_code tls_new(const struct tls_conf *conf, struct tls **ret, struct err *err)
{
	struct tls *t = calloc(1, sizeof(*t));
	if (!t)
		return err_oom(err);
	t->ctx = SSL_CTX_new(TLS_server_method());
	enum err_code rc = ERR_OK;
	if (!t->ctx || SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1)
		rc = err_oom(err);
	if (rc == ERR_OK) {
		set_rules(t->ctx, conf->alpn);
		rc = read_file(t->ctx, "tls_cert", conf->cert, read_cert, err);
	}
	if (rc == ERR_OK)
		rc = read_file(t->ctx, "tls_key", conf->key, read_key, err);
	if (rc == ERR_OK && *conf->client_ca)
		rc = read_file(t->ctx, "tls_client_ca", conf->client_ca, read_client_ca, err);
	if (rc != ERR_OK) {
		tls_free(t);
		return rc;
	}
	*ret = t;
	return ERR_OK;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* --- a connection --- */

SSL *tls_begin(struct tls *t, int fd)
{
	SSL *ssl = SSL_new(t->ctx);
	if (ssl && SSL_set_fd(ssl, fd) == 1) {
		SSL_set_accept_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	ERR_clear_error();
	return NULL;
}

bool tls_has_protocol(const SSL *ssl)
{
	const unsigned char *name;
	unsigned len;
	SSL_get0_alpn_selected(ssl, &name, &len);
	return len > 0;
}

const char *tls_reason(const SSL *ssl)
{
	long verdict = SSL_get_verify_result(ssl);
	unsigned long code = ERR_peek_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;
	if (verdict != X509_V_OK)
		text = X509_verify_cert_error_string(verdict);
	ERR_clear_error();
	return text ? text : "the client hung up";
}
