/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake over Zephyr's TLS sockets, as a product does it: CA, certificate and key
 * are credentials with tags, and the socket gets the list of tags.
 *
 * Zephyr 3.4 blocks in connect until TLS has ended, so the handshake has a thread of its
 * own. The sockets take no PSA key, so the key is in RAM during the handshake. The
 * sockets wait for a silent peer for ever, and report that TLS failed but not why; see
 * prov_port_ssl_handshake.
 */
#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/net/net_if.h>
#include <zephyr/net/socket.h>
#include <zephyr/net/tls_credentials.h>

#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

#include "compat.h"
#include "port.h"

#define WAIT K_MSEC(50)	     /* limit of `poll` in prov/port.h */
#define CLOSING K_MSEC(1000) /* limit of `close` in prov/port.h */
#define RETRY_PAUSE K_MSEC(5)	     /* pause between two reads while the peer is silent */

/* A silent peer must not delay close. */
BUILD_ASSERT(CONFIG_NET_SOCKETS_CONNECT_TIMEOUT <= 900, "CONFIG_NET_SOCKETS_CONNECT_TIMEOUT: at most 900 ms");

enum { TAG_CA = CONFIG_HALLMARK_TLS_TAG, TAG_OWN, TAG_CHAIN };

static K_SEM_DEFINE(begin, 0, 1);
static K_SEM_DEFINE(changed, 0, 1);
static K_SEM_DEFINE(ended, 1, 1); /* taken during a handshake */
static K_MUTEX_DEFINE(lock);	  /* guards the variables below */
static struct prov_visit_report now;
static bool stop;

static struct sockaddr_storage peer;
static socklen_t peer_len;
static char server_name[65];
static bool with_chain;
static int fd; /* the handshake's thread closes it */

/* Only the handshake's thread uses these: the last result of mbedTLS; 0: none yet. */
static int why;
static uint32_t verify_flags;

static void set_state(enum prov_visit_state state, int error)
{
	(void)k_mutex_lock(&lock, K_FOREVER);
	now.state = state;
	now.error = error;
	now.verify_flags = state == PROV_VISIT_FAILED ? verify_flags : 0;
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

extern const k_tid_t prov_port_tls_thread;

/* True if mbedTLS must be called again. */
static bool unfinished(int result)
{
	return result == MBEDTLS_ERR_SSL_WANT_READ || result == MBEDTLS_ERR_SSL_WANT_WRITE ||
	       result == MBEDTLS_ERR_SSL_ASYNC_IN_PROGRESS || result == MBEDTLS_ERR_SSL_CRYPTO_IN_PROGRESS;
}

static int store_result(const mbedtls_ssl_context *ssl, int result)
{
	uint32_t flags = mbedtls_ssl_get_verify_result(ssl);

	why = result < 0 ? result : 0;
	verify_flags = flags != UINT32_MAX ? flags : 0; /* the peer has sent no certificate yet */
	return result;
}

/*
 * CMakeLists.txt compiles Zephyr's sockets_tls.c, and nothing else, so that it calls these
 * two functions instead of mbedTLS's. The sockets turn every error into one errno and
 * reset the session, so only here the reason can be seen in every Zephyr since 3.4. Only
 * here a handshake with a silent peer can be ended: the sockets wait for it with their
 * lock held. TLS of other threads is not changed.
 */
int prov_port_ssl_handshake(mbedtls_ssl_context *ssl);
int prov_port_ssl_read(mbedtls_ssl_context *ssl, unsigned char *buf, size_t len);

int prov_port_ssl_handshake(mbedtls_ssl_context *ssl)
{
	int result = mbedtls_ssl_handshake(ssl);

	if (k_current_get() != prov_port_tls_thread) {
		return result;
	}
	while (unfinished(result) && !stopped()) {
		k_sleep(RETRY_PAUSE);
		result = mbedtls_ssl_handshake(ssl);
	}
	return store_result(ssl, unfinished(result) ? MBEDTLS_ERR_SSL_CONN_EOF : result);
}

/* In TLS 1.3 the server's refusal of a certificate comes after this side's handshake has ended. */
int prov_port_ssl_read(mbedtls_ssl_context *ssl, unsigned char *buf, size_t len)
{
	int result = mbedtls_ssl_read(ssl, buf, len);

	return k_current_get() == prov_port_tls_thread ? store_result(ssl, result) : result;
}

/* The error number for port.h: that of TLS, or that of the connection. */
static int reason(int error)
{
	switch (why) {
	case MBEDTLS_ERR_NET_RECV_FAILED:
	case MBEDTLS_ERR_NET_SEND_FAILED:
		return PROV_NET_RESET;
	case 0:
		return error == ECONNREFUSED || error == ENETUNREACH || error == EHOSTUNREACH || error == ETIMEDOUT ?
			       PROV_NET_UNREACHABLE :
		       error == ECONNRESET ? PROV_NET_RESET : PROV_NET_UNKNOWN;
	default:
		return why;
	}
}

static bool configure(void)
{
	const sec_tag_t tags[] = { TAG_CA, TAG_OWN, TAG_CHAIN };
	const int required = TLS_PEER_VERIFY_REQUIRED;
	const struct zsock_timeval receive_timeout = { .tv_usec = 100000 };

	return zsock_setsockopt(fd, SOL_TLS, TLS_SEC_TAG_LIST, tags, (with_chain ? 3 : 2) * sizeof *tags) == 0 &&
	       zsock_setsockopt(fd, SOL_TLS, TLS_PEER_VERIFY, &required, sizeof required) == 0 &&
	       zsock_setsockopt(fd, SOL_TLS, TLS_HOSTNAME, server_name, strlen(server_name)) == 0 &&
	       zsock_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive_timeout, sizeof receive_timeout) == 0;
}

/* Stores data from the peer for the next poll. Data that does not fit stays in TCP. */
static void store_data(const uint8_t *octets, size_t len)
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

static void receive_data(void)
{
	uint8_t octets[sizeof now.data];

	while (!stopped()) {
		size_t left = room();
		ssize_t n = left > 0 ? zsock_recv(fd, octets, left, 0) : -1;

		if (n > 0) {
			store_data(octets, (size_t)n);
		} else if (n == 0) {
			set_state(PROV_VISIT_CLOSED, 0);
			return;
		} else if (left > 0 && errno != EAGAIN) {
			set_state(PROV_VISIT_FAILED, reason(errno));
			return;
		} else if (left == 0) {
			k_sleep(WAIT);
		}
	}
}

static void do_handshake(void)
{
	if (!configure()) {
		set_state(PROV_VISIT_FAILED, PROV_NET_UNKNOWN);
	} else if (zsock_connect(fd, (struct sockaddr *)&peer, peer_len) != 0) {
		set_state(PROV_VISIT_FAILED, reason(errno));
	} else {
		set_state(PROV_VISIT_ESTABLISHED, 0);
		receive_data();
	}
	(void)zsock_close(fd);
}

/* A credential of this module. A tag has one certificate, so the chain has its own tag; the socket sends it because its tag is in the list. */
static const struct {
	sec_tag_t tag;
	enum tls_credential_type type;
} credentials[] = {
	{ TAG_CA, TLS_CREDENTIAL_CA_CERTIFICATE },
	{ TAG_OWN, TLS_CREDENTIAL_SERVER_CERTIFICATE },
	{ TAG_OWN, TLS_CREDENTIAL_PRIVATE_KEY },
	{ TAG_CHAIN, TLS_CREDENTIAL_SERVER_CERTIFICATE },
};
static unsigned int registered; /* how many of `credentials` this module registered: it deletes no others */

static void delete_credentials(void)
{
	while (registered > 0) {
		registered--;
		(void)tls_credential_delete(credentials[registered].tag, credentials[registered].type);
	}
}

static void run(void *a, void *b, void *c)
{
	for (;;) {
		(void)k_sem_take(&begin, K_FOREVER);
		why = 0;
		verify_flags = 0;
		do_handshake();
		delete_credentials();
		k_sem_give(&ended);
	}
}

K_THREAD_DEFINE(prov_port_tls_thread, CONFIG_HALLMARK_TLS_STACK_SIZE, run, NULL, NULL, NULL, K_LOWEST_APPLICATION_THREAD_PRIO, 0, 0);

/* False if a tag is in use, by the application or by another session. The application's credential stays. */
static bool add_credentials(const struct prov_visit *v)
{
	const struct prov_der *const octets[] = { &v->anchor, &v->certificate, &v->private_key, &v->chain };

	for (registered = 0; registered < ARRAY_SIZE(credentials); registered++) {
		const struct prov_der *der = octets[registered];

		if (der->len == 0) {
			break; /* no chain, which is the last */
		}
		if (tls_credential_add(credentials[registered].tag, credentials[registered].type, der->octets, der->len) != 0) {
			return false;
		}
	}
	return true;
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
	int err;

	if (!parse(v)) {
		return PROV_ERR_BAD_MAP;
	}
	if (iface == NULL || !net_if_is_up(iface) || k_sem_take(&ended, K_NO_WAIT) != 0) {
		return PROV_ERR_NO_NETWORK;
	}
	strncpy(server_name, v->server_name, sizeof server_name - 1);
	with_chain = v->chain.len > 0;
	fd = zsock_socket(peer.ss_family, SOCK_STREAM, IPPROTO_TLS_1_2);
	if (fd < 0 || !add_credentials(v)) {
		err = fd < 0 ? PROV_ERR_NO_NETWORK : PROV_ERR_CRYPTO;
		delete_credentials();
		(void)zsock_close(fd);
		k_sem_give(&ended);
		return err;
	}
	memset(&now, 0, sizeof now);
	now.state = PROV_VISIT_SHAKING;
	stop = false;
	k_sem_reset(&changed);
	k_sem_give(&begin);
	return PROV_OK;
}

static void poll_report(void *ctx, struct prov_visit_report *report)
{
	(void)k_sem_take(&changed, WAIT);
	(void)k_mutex_lock(&lock, K_FOREVER);
	*report = now;
	now.data_len = 0;
	(void)k_mutex_unlock(&lock);
}

static int close_session(void *ctx)
{
	(void)k_mutex_lock(&lock, K_FOREVER);
	stop = true;
	(void)k_mutex_unlock(&lock);
	if (k_sem_take(&ended, CLOSING) != 0) {
		return PROV_ERR_TLS_BUSY;
	}
	k_sem_give(&ended);
	return PROV_OK;
}

const struct prov_tls_sockets prov_port_tls_sockets = { .raw_key = true, .start = start, .poll = poll_report, .close = close_session };
