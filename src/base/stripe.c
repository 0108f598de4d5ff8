/* SPDX-License-Identifier: Apache-2.0 */
#include "base/stripe.h"

#include <stdatomic.h>

static atomic_uint n_asked;

unsigned stripe_mine(void)
{
	static _Thread_local unsigned mine; /* 1 and more; 0: never asked */
	if (mine == 0)
		mine = 1 + atomic_fetch_add_explicit(&n_asked, 1, memory_order_relaxed) % STRIPES;
	return mine - 1;
}
