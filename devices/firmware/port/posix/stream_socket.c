/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "stream_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <prov/errors.h>

#define WAIT_MS 50 /* the longest wait that prov/port.h allows */

static int fd = -1;

static socklen_t parse(const char *address, uint16_t port, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;

	memset(to, 0, sizeof *to);
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return sizeof *v6;
	}
	return 0;
}

static void stream_close(void *ctx)
{
	(void)ctx;
	if (fd >= 0) {
		(void)close(fd);
		fd = -1;
	}
}

/* True for errors of this machine's network, which the peer did not cause. */
static bool without_network(int error)
{
	return error == ENETUNREACH || error == ENETDOWN || error == EADDRNOTAVAIL;
}

static int stream_connect(void *ctx, const char *address, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t len = parse(address, port, &to);
	int at_once = 1;

	stream_close(ctx);
	if (len == 0) {
		return PROV_ERR_BAD_MAP;
	}
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return PROV_ERR_NO_NETWORK;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once); /* without this option the handshake is only slower */
	if (connect(fd, (struct sockaddr *)&to, len) != 0 && without_network(errno)) {
		stream_close(ctx);
		return PROV_ERR_NO_NETWORK;
	}
	return PROV_OK; /* any other error appears again when octets are sent */
}

/* The meaning of an error of an operation that moved no octet. */
static int reason(int error)
{
	switch (error) {
	case EAGAIN:
	case EINTR:
	case EALREADY:
	case EINPROGRESS:
		return 0;
	case ECONNRESET:
	case EPIPE:
		return PROV_NET_RESET;
	default:
		return PROV_NET_UNREACHABLE;
	}
}

/* A refused or reset connection reports that once; afterwards it reports only that it is not connected. */
static int stream_send(void *ctx, const uint8_t *buf, size_t len)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	(void)ctx;
	if (fd < 0 || poll(&ready, 1, 0) <= 0) {
		return 0;
	}
	n = send(fd, buf, len, MSG_NOSIGNAL);
	return n >= 0 ? (int)n : reason(errno);
}

static int stream_receive(void *ctx, uint8_t *buf, size_t size)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t n;

	(void)ctx;
	if (fd < 0 || poll(&ready, 1, WAIT_MS) <= 0) {
		return 0;
	}
	n = recv(fd, buf, size, 0);
	if (n == 0) {
		return PROV_NET_ENDED;
	}
	return n > 0 ? (int)n : reason(errno);
}

const struct prov_stream stream_socket = {
	.connect = stream_connect, .send = stream_send, .receive = stream_receive, .close = stream_close,
};
