/* SPDX-License-Identifier: Apache-2.0 */
#include "server/net/tcp.h"

/* For tcpi_bytes_acked, which <netinet/tcp.h> lacks; the two headers exclude each other. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

bool tcp_look(int fd, struct tcp_state *ret)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return false;
	*ret = (struct tcp_state){ .silent_ms = info.tcpi_last_data_recv,
		.received = info.tcpi_bytes_received, .acked = info.tcpi_bytes_acked };
	return true;
}

void tcp_no_delay(int fd)
{
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int tcp_fds_max(int at_most)
{
	struct rlimit lim = { .rlim_cur = 1024 };
	(void)getrlimit(RLIMIT_NOFILE, &lim);
	return lim.rlim_cur > (rlim_t)at_most ? at_most : (int)lim.rlim_cur;
}
