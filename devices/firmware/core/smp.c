/* SPDX-License-Identifier: Apache-2.0 */
/* SMP: headers, errors and the OS group (PROTOCOL.md sections 2 and 3). */
#include "core.h"

#include <string.h>

enum { OP_READ = 0, OP_READ_RESPONSE = 1, OP_WRITE = 2, OP_WRITE_RESPONSE = 3 };
enum { GROUP_OS = 0, GROUP_PROV = 64 };
enum { OS_ECHO = 0, OS_RESET = 5, OS_PARAMS = 6, OS_INFO = 7 };
enum { RC_EINVAL = 3, RC_ENOTSUP = 8 };

#define ECHO_MAX 1024u

struct request {
	uint8_t op, version, seq, command;
	uint16_t group;
	const uint8_t *body;
	size_t body_len;
};

static void reply(struct prov *prov, const struct request *rq, size_t body_len)
{
	uint8_t *h = prov->smp.message + 2;

	h[0] = (uint8_t)(rq->version << 3 | (rq->op + 1u));
	h[1] = 0;
	h[2] = (uint8_t)(body_len >> 8);
	h[3] = (uint8_t)body_len;
	h[4] = (uint8_t)(rq->group >> 8);
	h[5] = (uint8_t)rq->group;
	h[6] = rq->seq;
	h[7] = rq->command;
	prov_frame_send(prov, prov->smp.message, SMP_HEADER_SIZE + body_len);
}

/* The answer takes the place of the request. */
static struct cbor_writer body_writer(struct prov *prov)
{
	struct cbor_writer w = { prov->smp.message + 2 + SMP_HEADER_SIZE, SMP_MESSAGE_MAX - SMP_HEADER_SIZE, 0, false };

	return w;
}

static void reply_rc(struct prov *prov, const struct request *rq, uint32_t rc)
{
	struct cbor_writer w = body_writer(prov);

	prov_cbor_put_map(&w, 1);
	prov_cbor_put_key(&w, "rc");
	prov_cbor_put_uint(&w, rc);
	reply(prov, rq, w.len);
}

/* SMP version 2 names the group; version 1 has only rc. */
static void reply_refusal(struct prov *prov, const struct request *rq, int err)
{
	struct cbor_writer w = body_writer(prov);

	if (rq->version == 0) {
		reply_rc(prov, rq, (uint32_t)-err);
		return;
	}
	prov_cbor_put_map(&w, 1);
	prov_cbor_put_key(&w, "err");
	prov_cbor_put_map(&w, 2);
	prov_cbor_put_key(&w, "group");
	prov_cbor_put_uint(&w, GROUP_PROV);
	prov_cbor_put_key(&w, "rc");
	prov_cbor_put_uint(&w, (uint32_t)-err);
	reply(prov, rq, w.len);
}

static void os_echo(struct prov *prov, const struct request *rq)
{
	struct cbor_field d = { .key = "d", .type = CBOR_TSTR, .max = ECHO_MAX };
	struct cbor_writer w = body_writer(prov);

	if (prov_cbor_read_map(rq->body, rq->body_len, &d, 1) != PROV_OK || !d.present) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	prov_cbor_put_map(&w, 1);
	prov_cbor_put_key(&w, "r");
	prov_cbor_put_text(&w, (const char *)d.as.string.octets, d.as.string.len);
	reply(prov, rq, w.len);
}

static void os_reset(struct prov *prov, const struct request *rq)
{
	struct cbor_field force = { .key = "force", .type = CBOR_UINT, .max = 1 }; /* an option of MCUmgr, which has no effect here */
	struct cbor_writer w = body_writer(prov);

	if (rq->body_len > 0 && prov_cbor_read_map(rq->body, rq->body_len, &force, 1) != PROV_OK) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	prov_cbor_put_map(&w, 0);
	reply(prov, rq, w.len);
	prov->port->reboot(prov->port->ctx);
}

static void os_params(struct prov *prov, const struct request *rq)
{
	struct cbor_writer w = body_writer(prov);

	if (rq->body_len > 0 && prov_cbor_read_map(rq->body, rq->body_len, NULL, 0) != PROV_OK) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	prov_cbor_put_map(&w, 2);
	prov_cbor_put_key(&w, "buf_size");
	prov_cbor_put_uint(&w, PROV_BUF_SIZE);
	prov_cbor_put_key(&w, "buf_count");
	prov_cbor_put_uint(&w, 1);
	reply(prov, rq, w.len);
}

static void os_info(struct prov *prov, const struct request *rq)
{
	const struct prov_facts *facts = &prov->port->facts;
	struct cbor_field format = { .key = "format", .type = CBOR_TSTR, .max = 16 };
	struct cbor_writer w = body_writer(prov);
	char text[2u * PROV_TEXT_MAX + 16u] = "Hallmark ";
	size_t at = strlen(text), version = strlen(facts->firmware_version), type = strlen(facts->board_type);

	if ((rq->body_len > 0 && prov_cbor_read_map(rq->body, rq->body_len, &format, 1) != PROV_OK) ||
	    version > PROV_TEXT_MAX || type > PROV_TEXT_MAX) {
		reply_rc(prov, rq, RC_EINVAL);
		return;
	}
	memcpy(text + at, facts->firmware_version, version);
	text[at + version] = ' ';
	memcpy(text + at + version + 1u, facts->board_type, type);
	prov_cbor_put_map(&w, 1);
	prov_cbor_put_key(&w, "output");
	prov_cbor_put_text(&w, text, at + version + 1u + type);
	reply(prov, rq, w.len);
}

static void os_group(struct prov *prov, const struct request *rq)
{
	static const struct {
		uint8_t command, op;
		void (*handle)(struct prov *prov, const struct request *rq);
	} commands[] = {
		{ OS_ECHO, OP_WRITE, os_echo },
		{ OS_RESET, OP_WRITE, os_reset },
		{ OS_PARAMS, OP_READ, os_params },
		{ OS_INFO, OP_READ, os_info },
	};

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (commands[i].command == rq->command && commands[i].op == rq->op) {
			commands[i].handle(prov, rq);
			return;
		}
	}
	reply_rc(prov, rq, RC_ENOTSUP);
}

static void prov_group(struct prov *prov, const struct request *rq)
{
	struct cbor_writer w = body_writer(prov);
	size_t len = 0;
	int err = prov_group_handle(prov, rq->command, rq->op == OP_WRITE, rq->body, rq->body_len, w.buf, w.size, &len);

	if (err == PROV_UNKNOWN_COMMAND) {
		reply_rc(prov, rq, RC_ENOTSUP);
	} else if (err != PROV_OK) {
		reply_refusal(prov, rq, err);
	} else {
		reply(prov, rq, len);
	}
}

/* m: len octets of header and body, and two octets of CRC after them. */
void prov_smp_message(struct prov *prov, const uint8_t *m, size_t len)
{
	struct request rq = {
		.op = m[0] & 0x07u,
		.version = m[0] >> 3 & 0x03u,
		.group = (uint16_t)(m[4] << 8 | m[5]),
		.seq = m[6],
		.command = m[7],
		.body = m + SMP_HEADER_SIZE,
		.body_len = len - SMP_HEADER_SIZE,
	};
	size_t announced = (size_t)(m[2] << 8 | m[3]);

	if (announced != rq.body_len || rq.version > 1 || (rq.op != OP_READ && rq.op != OP_WRITE)) {
		return; /* not a request: an answer must not be answered */
	}
	prov_smp_notice(prov, m, (uint16_t)(m[len] << 8 | m[len + 1u]));
	if (rq.group == GROUP_OS) {
		os_group(prov, &rq);
	} else if (rq.group == GROUP_PROV) {
		prov_group(prov, &rq);
	} else {
		reply_rc(prov, &rq, RC_ENOTSUP);
	}
}
