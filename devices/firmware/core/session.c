/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board's only TLS session: whose turn it is, how long it may be silent, and its
 * end. The commands tls and net carry its octets.
 */
#include "core.h"

#include <string.h>

#include <mbedtls/platform_util.h>

#if PROV_HANDSHAKE

static uint32_t now(const struct prov *prov)
{
	return prov->port->uptime_ms(prov->port->ctx);
}

/* True while keys, buffers or a connection of the session exist. */
static bool is_live(const struct prov *prov)
{
	return prov->tls.open || prov->net.via != NET_OFF;
}

int prov_session_turn(struct prov *prov, enum session_owner owner, uint32_t q)
{
	struct session *s = &prov->session;

	if (q > 0 && s->owner != owner) {
		return PROV_ERR_TLS_STATE;
	}
	s->asked_at = now(prov);
	if (q == s->q && (q > 0 || (s->owner == owner && prov->smp.again))) {
		return SESSION_AGAIN;
	}
	return q == 0 || q == s->q + 1u ? PROV_OK : PROV_ERR_OUT_OF_ORDER;
}

void prov_session_begin(struct prov *prov)
{
#if HAS_TRANSFER
	prov->transfer.open = false; /* its octets are in a buffer of the TLS client */
#else
	(void)prov;
#endif
}

void prov_session_answered(struct prov *prov, enum session_owner owner, uint32_t q)
{
	prov->session.owner = owner;
	prov->session.q = q;
	prov->session.asked_at = now(prov);
}

int prov_session_release(struct prov *prov, bool notify)
{
	int err = prov_net_release(prov, notify);

	if (err == PROV_OK) {
		prov_tls_release(&prov->tls);
	}
	return err;
}

int prov_session_end(struct prov *prov, bool notify)
{
	int err;

	if (!is_live(prov) && prov->session.owner == SESSION_NONE) {
		return PROV_OK;
	}
	prov->session.owner = SESSION_NONE; /* also while the sockets are busy: no request continues this session */
	err = prov_session_release(prov, notify);
	if (err == PROV_OK) {
		prov_tls_close(&prov->tls);
		mbedtls_platform_zeroize(&prov->net, sizeof prov->net);
		memset(&prov->session, 0, sizeof prov->session);
	}
	return err;
}

int prov_quiet(struct prov *prov)
{
	return is_live(prov) ? prov_session_end(prov, true) : PROV_OK;
}

int prov_session_yield(struct prov *prov)
{
	return prov->net.via == NET_OFF ? PROV_OK : prov_session_end(prov, true);
}

#define BUSY_PAUSE_MS 100u /* until the port's sockets are asked again whether they have ended */

uint32_t prov_poll(struct prov *prov)
{
	const uint32_t limit = prov->port->silence_ms > 0 ? prov->port->silence_ms : PROV_SILENCE_MS;
	uint32_t silent;

	if (!is_live(prov)) {
		return UINT32_MAX;
	}
	silent = now(prov) - prov->session.asked_at;
	if (prov->session.owner != SESSION_NONE && !prov->net.over && silent < limit) {
		return limit - silent;
	}
	/* The server is not told: the thread that calls may have no stack for arithmetic. The connection ends. */
	return (prov->net.over ? prov_session_release(prov, false) : prov_session_end(prov, false)) == PROV_OK ? UINT32_MAX
													     : BUSY_PAUSE_MS;
}

#else /* there is no session */

int prov_session_end(struct prov *prov, bool notify)
{
	(void)prov;
	(void)notify;
	return PROV_OK;
}

int prov_session_yield(struct prov *prov)
{
	(void)prov;
	return PROV_OK;
}

int prov_quiet(struct prov *prov)
{
	(void)prov;
	return PROV_OK;
}

uint32_t prov_poll(struct prov *prov)
{
	(void)prov;
	return UINT32_MAX;
}

#endif
