/* SPDX-License-Identifier: Apache-2.0 */
#include "server/certificates.h"

void certificates_free(struct certificates *c)
{
	tls_free(c->http);
	tls_free(c->grpc);
	*c = (struct certificates){ 0 };
}

static enum err_code load_one(
	const char *section, const struct tls_conf *c, struct tls **ret, struct err *err)
{
	*ret = NULL;
	if (!*c->cert && !*c->key && !*c->client_ca)
		return ERR_OK;
	if (!*c->cert || !*c->key)
		return err_set(err, ERR_INVALID_ARGUMENT, "[%s] %s is missing", section,
			*c->cert ? "tls_key" : "tls_cert");
	return tls_new(c, ret, err) == ERR_OK ? ERR_OK : err_prefix(err, "[%s]", section);
}

enum err_code certificates_load(
	const struct config *config, struct certificates *ret, struct err *err)
{
	const struct options_http *h = config->http;
	const struct options_grpc *g = config->grpc;
	const struct tls_conf http = { h->tls_cert, h->tls_key, h->tls_client_ca, "\10http/1.1" };
	const struct tls_conf grpc = { g->tls_cert, g->tls_key, g->tls_client_ca, "\2h2" };
	enum err_code rc = load_one("http", &http, &ret->http, err);
	if (rc == ERR_OK)
		rc = load_one("grpc", &grpc, &ret->grpc, err);
	if (rc != ERR_OK)
		certificates_free(ret);
	return rc;
}

/* TLS itself comes and goes only with a restart: clients would not follow. */
static enum err_code check_same_tls(
	const char *section, const char *old, const char *next, struct err *err)
{
	if (!*old == !*next)
		return ERR_OK;
	return err_set(err, ERR_FAILED_PRECONDITION,
		"[%s] tls_cert: turning TLS %s needs a restart", section, *next ? "on" : "off");
}

enum err_code certificates_check_reload(
	const struct config *old, const struct config *next, struct err *err)
{
	TRY(check_same_tls("http", old->http->tls_cert, next->http->tls_cert, err));
	return check_same_tls("grpc", old->grpc->tls_cert, next->grpc->tls_cert, err);
}
