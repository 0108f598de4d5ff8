/* SPDX-License-Identifier: Apache-2.0 */
#include "server/grpc/pieces.h"

/* From this size on, bytes are not copied. */
#define BIG_BYTES 4096

struct pieces pieces_of(struct rpc_call *c)
{
	c->n_part = 0;
	return (struct pieces){ .c = c, .b = buf_of(c->request->arena, 0) };
}

static enum err_code close_piece(struct pieces *p, struct err *err)
{
	enum err_code rc = buf_finish(&p->b, &p->c->part[p->c->n_part], err);
	p->c->n_part += rc == ERR_OK;
	p->failed |= rc != ERR_OK;
	p->b = buf_of(p->c->request->arena, 0);
	return rc;
}

void pieces_put(struct pieces *p, struct slice bytes)
{
	if (bytes.len < BIG_BYTES || p->c->n_part + 4 > RPC_PARTS_MAX)
		buf_slice(&p->b, bytes);
	else if (close_piece(p, NULL) == ERR_OK)
		p->c->part[p->c->n_part++] = bytes;
}

enum err_code pieces_end(struct pieces *p, struct err *err)
{
	if (p->failed)
		return err_oom(err);
	return p->b.len || !p->c->n_part ? close_piece(p, err) : ERR_OK;
}
