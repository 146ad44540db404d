/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provisioning group in Zephyr's MCUmgr. MCUmgr handles frames, buffers and the OS
 * group; the core handles the commands.
 *
 * The core does not use zcbor. PROTOCOL.md demands strict maps, and the core's decoder
 * is the one that the host tests with vectors and mutations. zcbor writes the map around
 * the answer, and errors, as for every other group.
 */
#include <string.h>

#include <zephyr/mgmt/mcumgr/mgmt/handlers.h>
#include <zephyr/mgmt/mcumgr/mgmt/mgmt.h>
#include <zephyr/mgmt/mcumgr/smp/smp.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/sys/crc.h>

#include <zcbor_common.h>
#include <zcbor_encode.h>

#include "compat.h"
#include "port.h"

#define MAP_END 1u /* octets that zcbor writes after the pairs */
#define OP_MASK 0x07u

/* The SMP header is before the body: MCUmgr has consumed it, but its octets are still in the buffer. */
struct request {
	const uint8_t *header;
	const uint8_t *body;
	size_t body_len;
	uint8_t op, version, command;
};

/* False if the buffer holds less than the header announces, which MCUmgr checks before. */
static bool read_request(const struct smp_streamer *ctxt, struct request *rq)
{
	const struct net_buf *nb = ctxt->reader->nb;

	rq->header = nb->data - MGMT_HDR_SIZE;
	rq->op = rq->header[0] & OP_MASK;
	rq->version = rq->header[0] >> 3 & 0x03u;
	rq->command = rq->header[7];
	rq->body = nb->data;
	rq->body_len = sys_get_be16(rq->header + 2);
	return rq->body_len <= nb->len;
}

/* SMP version 2 names the group; version 1 has only rc, which MCUmgr encodes. smp_add_cmd_err is not the same in each Zephyr. */
static int refuse(zcbor_state_t *zs, const struct request *rq, int err)
{
	bool ok;

	if (rq->version == 0) {
		return -err;
	}
	ok = (!COMPAT_WHOLE_ANSWER || zcbor_map_start_encode(zs, 1)) && zcbor_tstr_put_lit(zs, "err") &&
	     zcbor_map_start_encode(zs, 2) && zcbor_tstr_put_lit(zs, "group") &&
	     zcbor_uint32_put(zs, CONFIG_HALLMARK_GROUP_ID) && zcbor_tstr_put_lit(zs, "rc") &&
	     zcbor_uint32_put(zs, (uint32_t)-err) && zcbor_map_end_encode(zs, 2) && (!COMPAT_WHOLE_ANSWER || zcbor_map_end_encode(zs, 1));
	return ok ? MGMT_ERR_EOK : MGMT_ERR_EMSGSIZE;
}

/*
 * The core wrote a whole map. Where MCUmgr has opened one and will close it, only the
 * pairs of the core's map stay.
 */
static void keep_answer(zcbor_state_t *zs, size_t len)
{
#if COMPAT_WHOLE_ANSWER
	zs->payload_mut += len;
#else
	size_t pairs = zs->payload_mut[0] & 0x1fu; /* fewer than 24 pairs, so the head has one octet (RFC 8949 section 3) */

	memmove(zs->payload_mut, zs->payload_mut + 1, len - 1);
	zs->payload_mut += len - 1;
	zs->elem_count += 2 * pairs;
#endif
}

static size_t room(const zcbor_state_t *zs, const struct net_buf *nb)
{
	size_t left = (size_t)(zs->payload_end - zs->payload);
	size_t most = PROV_BUF_SIZE - 4u - (size_t)(zs->payload - nb->data); /* PROTOCOL.md section 1 */

	return MIN(left, most) - MAP_END;
}

/* Where MCUmgr does not write the map, it does not look at zcbor's position either. */
static int send_whole(struct smp_streamer *ctxt, int result)
{
#if COMPAT_WHOLE_ANSWER
	ctxt->writer->nb->len = (uint16_t)(ctxt->writer->zs->payload - ctxt->writer->nb->data);
#endif
	return result;
}

static int handle(struct smp_streamer *ctxt)
{
	zcbor_state_t *zs = ctxt->writer->zs;
	struct request rq;
	struct prov *prov;
	size_t len = 0;
	int err;

	if (!IS_ENABLED(CONFIG_HALLMARK_TRANSPORT_ANY) && !prov_port_is_own(ctxt->smpt)) {
		return MGMT_ERR_ENOTSUP; /* as if the group did not exist */
	}
	if (!read_request(ctxt, &rq)) {
		return MGMT_ERR_ECORRUPT;
	}
	prov = prov_port_lock();
	prov_smp_notice(prov, rq.header, crc16_itu_t(0, rq.header, MGMT_HDR_SIZE + rq.body_len));
	err = prov_group_handle(prov, rq.command, rq.op == MGMT_OP_WRITE, rq.body, rq.body_len, zs->payload_mut,
				room(zs, ctxt->writer->nb), &len);
	prov_port_unlock();
	if (err == PROV_UNKNOWN_COMMAND) {
		return MGMT_ERR_ENOTSUP;
	}
	if (err != PROV_OK) {
		return send_whole(ctxt, refuse(zs, &rq, err));
	}
	keep_answer(zs, len);
	return send_whole(ctxt, MGMT_ERR_EOK);
}

/* One row for each command. The core checks whether the operation is read or write. */
static const struct mgmt_handler handlers[] = {
	{ handle, handle }, { handle, handle }, { handle, handle }, { handle, handle },
	{ handle, handle }, { handle, handle }, { handle, handle }, { handle, handle },
	{ handle, handle },
};

static struct mgmt_group group = {
	.mg_handlers = handlers,
	.mg_handlers_count = ARRAY_SIZE(handlers),
	.mg_group_id = CONFIG_HALLMARK_GROUP_ID,
#if COMPAT_WHOLE_ANSWER
	.custom_payload = true,
#endif
};

/* Registers the group before the identity is derived: an early request waits for the lock. */
static void start(void)
{
	(void)prov_port_lock();
	mgmt_register_group(&group);
	prov_port_start();
	prov_port_unlock();
}

MCUMGR_HANDLER_DEFINE(hallmark, start);
