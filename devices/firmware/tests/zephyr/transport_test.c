/* SPDX-License-Identifier: Apache-2.0 */
/* The group of Zephyr's port answers on the transport that it was given, and is unknown on all others. */
#include "stub.h"

#include <stdio.h>
#include <string.h>

#include "port.h"

void stub_start(void);
int prov_port_transport_init(struct smp_transport *transport);

static struct mgmt_group *group;
static unsigned handled;

void mgmt_register_group(struct mgmt_group *registered)
{
	group = registered;
}

int smp_transport_init(struct smp_transport *transport)
{
	return transport != NULL ? 0 : -22;
}

uint16_t sys_get_be16(const uint8_t *octets)
{
	return (uint16_t)(octets[0] << 8 | octets[1]);
}

uint16_t crc16_itu_t(uint16_t seed, const uint8_t *octets, size_t len)
{
	(void)octets;
	return (uint16_t)(seed + len);
}

bool zcbor_map_start_encode(zcbor_state_t *state, size_t most)
{
	(void)state;
	return most > 0;
}

bool zcbor_map_end_encode(zcbor_state_t *state, size_t most)
{
	return zcbor_map_start_encode(state, most);
}

bool zcbor_uint32_put(zcbor_state_t *state, uint32_t value)
{
	(void)value;
	return state != NULL;
}

bool stub_text(zcbor_state_t *state, const char *text)
{
	return state != NULL && text != NULL;
}

struct prov *prov_port_lock(void)
{
	return NULL;
}

void prov_port_unlock(void)
{
}

void prov_port_start(void)
{
}

void prov_smp_notice(struct prov *prov, const uint8_t header[8], uint16_t crc)
{
	(void)prov;
	(void)header;
	(void)crc;
}

/* The core: counts what reaches it. */
int prov_group_handle(struct prov *prov, uint8_t command, bool write, const uint8_t *in, size_t in_len, uint8_t *out,
		      size_t out_size, size_t *out_len)
{
	(void)prov;
	(void)command;
	(void)write;
	(void)in;
	(void)in_len;
	(void)out_size;
	handled++;
	out[0] = 0xa0;
	*out_len = 1;
	return PROV_OK;
}

/* Asks for a command with an empty map, over a transport. */
static int ask(struct smp_transport *transport, unsigned command, bool write)
{
	static uint8_t in[16], out[256];
	struct net_buf request = { in + MGMT_HDR_SIZE, 1 }, answer = { out, 0 };
	struct cbor_nb_reader reader = { &request };
	struct cbor_nb_writer writer = { &answer, { { out, out, out + sizeof out, 0 } } };
	struct smp_streamer ctxt = { transport, &reader, &writer };

	memcpy(in, (const uint8_t[]){ write ? MGMT_OP_WRITE : MGMT_OP_READ, 0, 0, 1, 0, 64, 1, (uint8_t)command, 0xa0 }, 9);
	return (write ? group->mg_handlers[command].mh_write : group->mg_handlers[command].mh_read)(&ctxt);
}

static unsigned failures;

static void check(bool ok, const char *what, unsigned command)
{
	if (!ok) {
		printf("tests/zephyr/transport_test.c: %s, command %u\n", what, command);
		failures++;
	}
}

int main(void)
{
	static struct smp_transport uart, bluetooth;

	stub_start();
	check(group != NULL && group->mg_group_id == 64, "the group is not registered", 0);
	check(ask(NULL, 0, false) == MGMT_ERR_ENOTSUP, "no transport at all was registered", 0);
	check(prov_port_transport_init(&uart) == 0 && smp_transport_init(&bluetooth) == 0, "starting the transports", 0);
	for (unsigned command = 0; command < group->mg_handlers_count; command++) {
		for (int write = 0; write < 2; write++) {
			handled = 0;
			check(ask(&bluetooth, command, write) == MGMT_ERR_ENOTSUP && handled == 0, "answered over a transport that is not ours",
			      command);
			check(ask(&uart, command, write) == MGMT_ERR_EOK && handled == 1, "not answered over our own", command);
		}
	}
	printf("zephyr: %s\n", failures == 0 ? "the group answers on its own transport only" : "failed");
	return failures > 0;
}
