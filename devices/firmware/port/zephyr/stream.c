/* SPDX-License-Identifier: Apache-2.0 */
/* The board's network: a TCP socket of Zephyr. The core does TLS over it, with the key in PSA. */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/socket.h>

#include "compat.h"
#include "port.h"

#define WAIT_MS 50 /* limit of `receive` in prov/port.h */

static int fd = -1;
static bool connected; /* the peer has taken octets */

static void stream_close(void *ctx)
{
	if (fd >= 0) {
		(void)zsock_close(fd);
		fd = -1;
	}
}

/* Returns 0 if the address is no literal, or of a family that this Zephyr does not have. */
static socklen_t parse(const char *address, uint16_t port, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof *to);
	if (IS_ENABLED(CONFIG_NET_IPV4) && zsock_inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof *v4;
	}
	if (IS_ENABLED(CONFIG_NET_IPV6) && zsock_inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return sizeof *v6;
	}
	return 0;
}

static int stream_connect(void *ctx, const char *address, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t len = parse(address, port, &to);
	struct net_if *iface = net_if_get_default();

	stream_close(ctx);
	connected = false;
	if (len == 0) {
		return PROV_ERR_BAD_MAP;
	}
	if (iface == NULL || !net_if_is_up(iface)) {
		return PROV_ERR_NO_NETWORK;
	}
	fd = zsock_socket(to.ss_family, SOCK_STREAM, IPPROTO_TCP);
	if (fd < 0) {
		return PROV_ERR_NO_NETWORK;
	}
	if (zsock_fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
	    (zsock_connect(fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)) {
		stream_close(ctx);
		return PROV_ERR_NO_NETWORK;
	}
	return PROV_OK;
}

/* 0: call again later. */
static int reason(int error)
{
	switch (error) {
	case EAGAIN:
	case EALREADY:
	case EINPROGRESS:
	case ENOMEM:
	case ENOBUFS:
		return 0;
	default:
		return connected ? PROV_NET_RESET : PROV_NET_UNREACHABLE;
	}
}

static bool ready(short events, int wait_ms)
{
	struct zsock_pollfd poll = { .fd = fd, .events = events };

	return zsock_poll(&poll, 1, wait_ms) > 0;
}

static int stream_send(void *ctx, const uint8_t *buf, size_t len)
{
	ssize_t n;

	if (!ready(ZSOCK_POLLOUT, 0)) {
		return 0;
	}
	n = zsock_send(fd, buf, len, 0);
	connected = connected || n > 0;
	return n >= 0 ? (int)n : reason(errno);
}

static int stream_receive(void *ctx, uint8_t *buf, size_t size)
{
	ssize_t n;

	if (!ready(ZSOCK_POLLIN, WAIT_MS)) {
		return 0;
	}
	n = zsock_recv(fd, buf, size, 0);
	if (n == 0) {
		return PROV_NET_ENDED;
	}
	return n > 0 ? (int)n : reason(errno);
}

const struct prov_stream prov_port_stream = { .connect = stream_connect, .send = stream_send, .receive = stream_receive, .close = stream_close };
