/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/rpc_client.h"

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <openssl/ssl.h>
#include <string.h>
#include "tools/tool_file.h"

gpr_timespec rpc_client_after(int64_t ns)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(ns, GPR_TIMESPAN));
}

/* -- one call ------------------------------------------------------------------------------ */

void rpc_client_start(struct rpc_call_parts *p, grpc_call *call, struct slice message, void *tag)
{
	grpc_op op[6] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_MESSAGE },
		{ .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
		{ .op = GRPC_OP_RECV_INITIAL_METADATA },
		{ .op = GRPC_OP_RECV_MESSAGE },
		{ .op = GRPC_OP_RECV_STATUS_ON_CLIENT },
	};
	grpc_slice slice = grpc_slice_from_static_buffer(message.ptr, message.len);
	*p = (struct rpc_call_parts){ .call = call, .text = grpc_empty_slice() };
	p->message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_metadata_array_init(&p->initial);
	grpc_metadata_array_init(&p->trailing);
	op[1].data.send_message.send_message = p->message;
	op[3].data.recv_initial_metadata.recv_initial_metadata = &p->initial;
	op[4].data.recv_message.recv_message = &p->answer;
	op[5].data.recv_status_on_client.trailing_metadata = &p->trailing;
	op[5].data.recv_status_on_client.status = &p->status;
	op[5].data.recv_status_on_client.status_details = &p->text;
	/* Fails only when the operations make no sense together. */
	if (grpc_call_start_batch(call, op, 6, tag, NULL) != GRPC_CALL_OK)
		__builtin_trap();
}

void rpc_client_finish(struct rpc_call_parts *p)
{
	grpc_byte_buffer_destroy(p->message);
	grpc_byte_buffer_destroy(p->answer);
	grpc_metadata_array_destroy(&p->initial);
	grpc_metadata_array_destroy(&p->trailing);
	grpc_slice_unref(p->text);
	grpc_call_unref(p->call);
}

enum err_code rpc_client_answer(
	const struct rpc_call_parts *p, struct arena *arena, struct slice *ret, struct err *err)
{
	grpc_byte_buffer_reader r;
	if (!p->answer || !grpc_byte_buffer_reader_init(&r, p->answer))
		return err_set(err, ERR_UNKNOWN, "the answer has no message");
	grpc_slice all = grpc_byte_buffer_reader_readall(&r);
	ret->len = GRPC_SLICE_LENGTH(all);
	ret->ptr = arena_strndup(arena, (const char *)GRPC_SLICE_START_PTR(all), ret->len);
	grpc_slice_unref(all);
	grpc_byte_buffer_reader_destroy(&r);
	return ret->ptr ? ERR_OK : err_oom(err);
}

static enum err_code outcome(const struct rpc_call_parts *p, struct arena *arena, struct slice *ret,
	struct err *err)
{
	if (p->status == GRPC_STATUS_OK)
		return rpc_client_answer(p, arena, ret, err);
	return err_set(err, (enum err_code)p->status, "the server answered %s: %.*s",
		err_name((enum err_code)p->status), (int)GRPC_SLICE_LENGTH(p->text),
		(const char *)GRPC_SLICE_START_PTR(p->text));
}

enum err_code rpc_client_call(grpc_channel *channel, const char *method, struct slice message,
	int64_t timeout_ns, struct arena *arena, struct slice *ret, struct err *err)
{
	struct rpc_call_parts p;
	grpc_completion_queue *cq = grpc_completion_queue_create_for_pluck(NULL);
	grpc_call *call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, cq,
		grpc_slice_from_static_string(method), NULL, rpc_client_after(timeout_ns), NULL);
	rpc_client_start(&p, call, message, &p);
	grpc_completion_queue_pluck(cq, &p, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	enum err_code rc = outcome(&p, arena, ret, err);
	rpc_client_finish(&p);
	grpc_completion_queue_shutdown(cq);
	grpc_completion_queue_destroy(cq);
	return rc;
}

/* -- connections --------------------------------------------------------------------------- */

/* The text of a file, or NULL when there is none. */
static enum err_code read_pem(
	const char *file, struct arena *arena, const char **ret, struct err *err)
{
	struct slice text;
	*ret = NULL;
	if (!file)
		return ERR_OK;
	TRY(tool_file_read(file, arena, &text, err));
	*ret = arena_strndup(arena, text.ptr, text.len);
	return *ret ? ERR_OK : err_oom(err);
}

static void set_certificates(
	grpc_tls_credentials_options *o, const char *ca, const char *cert, const char *key)
{
	grpc_tls_identity_pairs *pairs = cert ? grpc_tls_identity_pairs_create() : NULL;
	if (pairs)
		grpc_tls_identity_pairs_add_pair(pairs, key, cert);
	grpc_tls_certificate_provider *p =
		grpc_tls_certificate_provider_static_data_create(ca, pairs);
	grpc_tls_credentials_options_set_certificate_provider(o, p);
	grpc_tls_certificate_provider_release(p);
	if (ca)
		grpc_tls_credentials_options_watch_root_certs(o);
	if (cert)
		grpc_tls_credentials_options_watch_identity_key_cert_pairs(o);
}

static void trust_anybody(grpc_tls_credentials_options *o)
{
	grpc_tls_certificate_verifier *v = grpc_tls_certificate_verifier_no_op_create();
	grpc_tls_credentials_options_set_verify_server_cert(o, 0);
	grpc_tls_credentials_options_set_certificate_verifier(o, v);
	grpc_tls_certificate_verifier_release(v);
	grpc_tls_credentials_options_set_check_call_host(o, 0);
}

static enum err_code tls_credentials(const struct client_tls_conf *conf, struct arena *arena,
	grpc_channel_credentials **ret, struct err *err)
{
	const char *ca, *cert, *key;
	SSL_CTX *ctx;
	/* The library would say of a wrong file that nobody is there. */
	TRY(client_tls_new(conf, &ctx, err));
	SSL_CTX_free(ctx);
	TRY(read_pem(conf->ca, arena, &ca, err));
	TRY(read_pem(conf->cert, arena, &cert, err));
	TRY(read_pem(conf->key, arena, &key, err));
	grpc_tls_credentials_options *o = grpc_tls_credentials_options_create();
	if (ca || cert)
		set_certificates(o, ca, cert, key);
	if (conf->insecure)
		trust_anybody(o);
	*ret = grpc_tls_credentials_create(o);
	return ERR_OK;
}

static enum err_code credentials(const struct rpc_client_server *server, bool is_tls,
	grpc_channel_credentials **ret, struct err *err)
{
	if (!is_tls && client_tls_is_asked_for(server->tls))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"server '%.200s': --cacert, --cert, --key and --insecure are for "
			"grpcs://HOST:PORT",
			server->url);
	if (!is_tls) {
		*ret = grpc_insecure_credentials_create();
		return ERR_OK;
	}
	struct arena *arena = arena_new(64 << 10, 0);
	enum err_code rc = arena ? tls_credentials(server->tls, arena, ret, err) : err_oom(err);
	arena_free(arena);
	return rc;
}

/* Takes the credentials. */
static grpc_channel *channel_new(const char *target, grpc_channel_credentials *credentials)
{
	grpc_arg arg[] = {
		{ .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
			.value.integer = 1 },
		{ .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
			.value.integer = -1 },
		{ .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_MAX_SEND_MESSAGE_LENGTH,
			.value.integer = -1 },
		{ .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_ENABLE_RETRIES, .value.integer = 0 },
		{ .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_ENABLE_HTTP_PROXY, .value.integer = 0 },
		{ .type = GRPC_ARG_INTEGER, .key = GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION,
			.value.integer = 1 },
	};
	grpc_channel_args args = { sizeof(arg) / sizeof(*arg), arg };
	grpc_channel *c = grpc_channel_create(target, credentials, &args);
	grpc_channel_credentials_release(credentials);
	return c;
}

static bool wait_until_ready(grpc_channel *c, gpr_timespec until)
{
	grpc_completion_queue *cq = grpc_completion_queue_create_for_next(NULL);
	grpc_connectivity_state state = grpc_channel_check_connectivity_state(c, 1);
	bool in_time = true;
	while (state != GRPC_CHANNEL_READY && state != GRPC_CHANNEL_TRANSIENT_FAILURE && in_time) {
		grpc_channel_watch_connectivity_state(c, state, until, cq, NULL);
		in_time = grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
				  .success;
		state = grpc_channel_check_connectivity_state(c, 1);
	}
	grpc_completion_queue_shutdown(cq);
	grpc_completion_queue_destroy(cq);
	return state == GRPC_CHANNEL_READY;
}

enum err_code rpc_client_connect(const struct rpc_client_server *server, int64_t timeout_ns,
	grpc_channel **ret, struct err *err)
{
	const char *url = server->url;
	bool is_tls = strncmp(url, "grpcs://", 8) == 0;
	const char *target = is_tls ? url + 8 : strncmp(url, "grpc://", 7) == 0 ? url + 7 : url;
	if (strncmp(url, "http", 4) == 0 && strstr(url, "://"))
		return err_set(err, ERR_INVALID_ARGUMENT,
			"server '%.200s': this is a URL of HTTP, gRPC is asked for: "
			"grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH",
			url);
	grpc_channel_credentials *how = NULL;
	TRY(credentials(server, is_tls, &how, err));
	grpc_channel *c = channel_new(target, how);
	if (!wait_until_ready(c, rpc_client_after(timeout_ns))) {
		grpc_channel_destroy(c);
		return err_set(err, ERR_UNAVAILABLE, "server '%.200s': nobody there speaks gRPC%s",
			target,
			is_tls ? " over TLS, or not with a certificate that is trusted" : "");
	}
	*ret = c;
	return ERR_OK;
}
