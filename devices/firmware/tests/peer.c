/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

struct peer peer;

static int stream_connect(void *ctx, const char *address, uint16_t port)
{
	(void)ctx;
	peer.opened++;
	snprintf(peer.address, sizeof peer.address, "%s", address);
	peer.port = port;
	return peer.open_error;
}

static int stream_send(void *ctx, const uint8_t *buf, size_t len)
{
	size_t n = len < peer.takes ? len : peer.takes;

	(void)ctx;
	if (peer.send_error != 0) {
		return peer.send_error;
	}
	if (!CHECK(len > 0 && n <= sizeof peer.received - peer.received_len, "%u octets to send", (unsigned)len)) {
		return 0;
	}
	memcpy(peer.received + peer.received_len, buf, n);
	peer.received_len += n;
	return (int)n;
}

static int stream_receive(void *ctx, uint8_t *buf, size_t size)
{
	size_t n = peer.output_len < size ? peer.output_len : size;

	(void)ctx;
	CHECK(size > 0, "no room for what may come");
	if (n == 0) {
		return peer.receive_error;
	}
	memcpy(buf, peer.output, n);
	peer.output += n;
	peer.output_len -= n;
	return (int)n;
}

static void peer_close(void *ctx)
{
	(void)ctx;
	peer.closed++;
}

static int sockets_close(void *ctx)
{
	if (peer.busy > 0) {
		peer.busy--;
		return PROV_ERR_TLS_BUSY;
	}
	peer_close(ctx);
	return PROV_OK;
}

const struct prov_stream peer_stream = { stream_connect, stream_send, stream_receive, peer_close };

static int sockets_start(void *ctx, const struct prov_visit *visit)
{
	(void)ctx;
	peer.opened++;
	peer.visit = visit;
	return peer.open_error;
}

static void sockets_poll(void *ctx, struct prov_visit_report *report)
{
	(void)ctx;
	*report = peer.report;
}

const struct prov_tls_sockets peer_raw_sockets = { true, sockets_start, sockets_poll, sockets_close };
const struct prov_tls_sockets peer_psa_sockets = { false, sockets_start, sockets_poll, sockets_close };
