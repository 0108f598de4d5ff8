/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificates.h -- the certificates of both fronts, read before either has them
 *
 * Ownership: who loads them frees them, or hands them to a front and sets NULL.
 * Threads:   one at a time.
 */
#pragma once

#include "server/config.h"
#include "server/net/tls.h"

/* NULL: no TLS there. */
struct certificates {
	struct tls *http, *grpc;
};

/* INVALID_ARGUMENT and what the files say; *ret is then empty. */
MUST_CHECK enum err_code certificates_load(
	const struct config *config, struct certificates *ret, struct err *err);
void certificates_free(struct certificates *c);

/* FAILED_PRECONDITION: TLS is to come or to go, which needs a restart. */
MUST_CHECK enum err_code certificates_check_reload(
	const struct config *old, const struct config *next, struct err *err);
