/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake over Zephyr's TLS sockets, as a product does it: CA, certificate
 * and key are credentials under tags, and the socket gets the list of tags.
 *
 * Zephyr 3.4 blocks in connect until TLS has come to its end, so a thread of its
 * own does the visit. Its sockets take no PSA key: the key is in RAM for as
 * long as the visit lasts. They say that TLS failed, not why.
 */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/socket.h>
#include <zephyr/net/tls_credentials.h>
#include <zephyr/sys/fdtable.h>

#include <mbedtls/platform_util.h>

#include "port.h"

#define WAIT K_MSEC(50)	     /* port.h: poll */
#define CLOSING K_MSEC(1000) /* port.h: close */

/* A silent peer must not hold up close. */
BUILD_ASSERT(CONFIG_NET_SOCKETS_CONNECT_TIMEOUT <= 900, "CONFIG_NET_SOCKETS_CONNECT_TIMEOUT: at most 900 ms");

enum { TAG_CA = CONFIG_HALLMARK_TLS_TAG, TAG_OWN, TAG_CHAIN };

static K_SEM_DEFINE(begin, 0, 1);
static K_SEM_DEFINE(changed, 0, 1);
static K_SEM_DEFINE(ended, 1, 1); /* taken while a visit lasts */
static K_MUTEX_DEFINE(lock);	  /* covers what follows */
static struct prov_visit_report now;
static bool stop;
static int tcp = -1; /* the socket below TLS */

static struct sockaddr_storage peer;
static socklen_t peer_len;
static char server_name[65];
static bool with_chain;

static void say(enum prov_visit_state state, int error)
{
	(void)k_mutex_lock(&lock, K_FOREVER);
	now.state = state;
	now.error = error;
	(void)k_mutex_unlock(&lock);
	k_sem_give(&changed);
}

static bool stopped(void)
{
	bool is;

	(void)k_mutex_lock(&lock, K_FOREVER);
	is = stop;
	(void)k_mutex_unlock(&lock);
	return is;
}

static int meaning(int error)
{
	switch (error) {
	case ECONNRESET:
		return PROV_NET_RESET;
	case ECONNREFUSED:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return PROV_NET_UNREACHABLE;
	default:
		return PROV_NET_UNKNOWN;
	}
}

/*
 * TLS waits for ever for a silent peer, and its own descriptor is locked
 * meanwhile. The TCP socket below it is not: it is the one with the same port.
 */
extern const struct socket_op_vtable sock_fd_op_vtable;

static int below(int fd)
{
	struct sockaddr_in mine = { .sin_family = AF_INET }, other;
	socklen_t len = sizeof mine;

	if (zsock_bind(fd, (struct sockaddr *)&mine, sizeof mine) != 0 ||
	    zsock_getsockname(fd, (struct sockaddr *)&mine, &len) != 0) {
		return -1;
	}
	for (int i = fd + 1; i < CONFIG_POSIX_MAX_FDS; i++) {
		len = sizeof other;
		if (z_get_fd_obj(i, (const struct fd_op_vtable *)&sock_fd_op_vtable, 0) != NULL &&
		    zsock_getsockname(i, (struct sockaddr *)&other, &len) == 0 && other.sin_port == mine.sin_port) {
			return i;
		}
	}
	return -1;
}

static bool configure(int fd)
{
	const sec_tag_t tags[] = { TAG_CA, TAG_OWN, TAG_CHAIN };
	const int required = TLS_PEER_VERIFY_REQUIRED;
	const struct zsock_timeval patience = { .tv_usec = 100000 };

	return zsock_setsockopt(fd, SOL_TLS, TLS_SEC_TAG_LIST, tags, (with_chain ? 3 : 2) * sizeof *tags) == 0 &&
	       zsock_setsockopt(fd, SOL_TLS, TLS_PEER_VERIFY, &required, sizeof required) == 0 &&
	       zsock_setsockopt(fd, SOL_TLS, TLS_HOSTNAME, server_name, strlen(server_name)) == 0 &&
	       zsock_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
}

/* What the peer says is kept for the next poll; what does not fit waits in TCP. */
static void keep(const uint8_t *octets, size_t len)
{
	(void)k_mutex_lock(&lock, K_FOREVER);
	memcpy(now.data + now.data_len, octets, len);
	now.data_len += len;
	(void)k_mutex_unlock(&lock);
	k_sem_give(&changed);
}

static size_t room(void)
{
	size_t left;

	(void)k_mutex_lock(&lock, K_FOREVER);
	left = sizeof now.data - now.data_len;
	(void)k_mutex_unlock(&lock);
	return left;
}

static void hear(int fd)
{
	uint8_t octets[sizeof now.data];

	while (!stopped()) {
		size_t left = room();
		ssize_t n = left > 0 ? zsock_recv(fd, octets, left, 0) : -1;

		if (n > 0) {
			keep(octets, (size_t)n);
		} else if (n == 0) {
			say(PROV_VISIT_CLOSED, 0);
			return;
		} else if (left > 0 && errno != EAGAIN) {
			say(PROV_VISIT_FAILED, errno == ECONNRESET ? PROV_NET_RESET : PROV_NET_ENDED);
			return;
		} else if (left == 0) {
			k_sleep(WAIT);
		}
	}
}

static void visit(void)
{
	int fd = zsock_socket(peer.ss_family, SOCK_STREAM, IPPROTO_TLS_1_2);

	if (fd < 0 || !configure(fd)) {
		say(PROV_VISIT_FAILED, PROV_NET_UNKNOWN);
	} else {
		(void)k_mutex_lock(&lock, K_FOREVER);
		tcp = below(fd);
		(void)k_mutex_unlock(&lock);
		if (zsock_connect(fd, (struct sockaddr *)&peer, peer_len) != 0) {
			say(PROV_VISIT_FAILED, meaning(errno));
		} else {
			say(PROV_VISIT_ESTABLISHED, 0);
			hear(fd);
		}
	}
	(void)k_mutex_lock(&lock, K_FOREVER);
	tcp = -1;
	(void)k_mutex_unlock(&lock);
	if (fd >= 0) {
		(void)zsock_close(fd);
	}
}

static void forget_credentials(void)
{
	(void)tls_credential_delete(TAG_CHAIN, TLS_CREDENTIAL_SERVER_CERTIFICATE);
	(void)tls_credential_delete(TAG_CA, TLS_CREDENTIAL_CA_CERTIFICATE);
	(void)tls_credential_delete(TAG_OWN, TLS_CREDENTIAL_SERVER_CERTIFICATE);
	(void)tls_credential_delete(TAG_OWN, TLS_CREDENTIAL_PRIVATE_KEY);
}

static void run(void *a, void *b, void *c)
{
	for (;;) {
		(void)k_sem_take(&begin, K_FOREVER);
		visit();
		forget_credentials();
		k_sem_give(&ended);
	}
}

K_THREAD_DEFINE(hallmark_visitor, CONFIG_HALLMARK_TLS_STACK_SIZE, run, NULL, NULL, NULL, K_LOWEST_APPLICATION_THREAD_PRIO, 0, 0);

/* A tag has one certificate: the chain has a tag of its own, and is sent because the socket lists it behind. */
static bool add_credentials(const struct prov_visit *v)
{
	return (v->chain.len == 0 || tls_credential_add(TAG_CHAIN, TLS_CREDENTIAL_SERVER_CERTIFICATE, v->chain.octets,
							v->chain.len) == 0) &&
	       tls_credential_add(TAG_CA, TLS_CREDENTIAL_CA_CERTIFICATE, v->anchor.octets, v->anchor.len) == 0 &&
	       tls_credential_add(TAG_OWN, TLS_CREDENTIAL_SERVER_CERTIFICATE, v->certificate.octets,
				  v->certificate.len) == 0 &&
	       tls_credential_add(TAG_OWN, TLS_CREDENTIAL_PRIVATE_KEY, v->private_key.octets, v->private_key.len) == 0;
}

static bool parse(const struct prov_visit *v)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&peer;

	memset(&peer, 0, sizeof peer);
	v4->sin_family = AF_INET;
	v4->sin_port = htons(v->port);
	peer_len = sizeof *v4;
	return zsock_inet_pton(AF_INET, v->address, &v4->sin_addr) == 1;
}

static int start(void *ctx, const struct prov_visit *v)
{
	struct net_if *iface = net_if_get_default();

	if (!parse(v)) {
		return PROV_ERR_BAD_MAP;
	}
	if (iface == NULL || !net_if_is_up(iface) || k_sem_take(&ended, K_NO_WAIT) != 0) {
		return PROV_ERR_NO_NETWORK;
	}
	strncpy(server_name, v->server_name, sizeof server_name - 1);
	with_chain = v->chain.len > 0;
	if (!add_credentials(v)) {
		forget_credentials();
		k_sem_give(&ended);
		return PROV_ERR_CRYPTO;
	}
	memset(&now, 0, sizeof now);
	now.state = PROV_VISIT_SHAKING;
	stop = false;
	k_sem_reset(&changed);
	k_sem_give(&begin);
	return PROV_OK;
}

static void look(void *ctx, struct prov_visit_report *report)
{
	(void)k_sem_take(&changed, WAIT);
	(void)k_mutex_lock(&lock, K_FOREVER);
	*report = now;
	now.data_len = 0;
	(void)k_mutex_unlock(&lock);
}

static void finish(void *ctx)
{
	(void)k_mutex_lock(&lock, K_FOREVER);
	stop = true;
	if (tcp >= 0) {
		(void)zsock_shutdown(tcp, ZSOCK_SHUT_RD);
	}
	(void)k_mutex_unlock(&lock);
	if (k_sem_take(&ended, CLOSING) == 0) {
		k_sem_give(&ended);
	}
}

const struct prov_tls_sockets tls_sockets = { .raw_key = true, .start = start, .poll = look, .close = finish };
