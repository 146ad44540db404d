/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of Zephyr, MCUmgr and zcbor as port/zephyr/smp_group.c and transport.c use, so that this machine, which has no Zephyr,
 * can compile and call them. tests.mk puts this file in the place of each header that they include.
 */
#ifndef STUB_H
#define STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_HALLMARK_GROUP_ID 64
#define CONFIG_HALLMARK_LOG_LEVEL 2
#define CONFIG_MCUMGR_MGMT_CUSTOM_PAYLOAD 1
#define IS_ENABLED(option) 0 /* HALLMARK_TRANSPORT_ANY */
#define LOG_MODULE_DECLARE(...) struct stub
#define LOG_WRN(...) ((void)0)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof *(array))

enum { MGMT_ERR_EOK = 0, MGMT_ERR_ENOTSUP = 8, MGMT_ERR_ECORRUPT = 9, MGMT_ERR_EMSGSIZE = 7 };
enum { MGMT_OP_READ = 0, MGMT_OP_WRITE = 2 };
#define MGMT_HDR_SIZE 8

struct net_buf {
	uint8_t *data;
	uint16_t len;
};

typedef struct {
	uint8_t *payload_mut;
	const uint8_t *payload, *payload_end;
	size_t elem_count;
} zcbor_state_t;

struct smp_transport {
	int unused;
};

struct cbor_nb_reader {
	struct net_buf *nb;
};

struct cbor_nb_writer {
	struct net_buf *nb;
	zcbor_state_t zs[1];
};

struct smp_streamer {
	struct smp_transport *smpt;
	struct cbor_nb_reader *reader;
	struct cbor_nb_writer *writer;
};

struct mgmt_handler {
	int (*mh_read)(struct smp_streamer *ctxt);
	int (*mh_write)(struct smp_streamer *ctxt);
};

struct mgmt_group {
	const struct mgmt_handler *mg_handlers;
	size_t mg_handlers_count;
	uint16_t mg_group_id;
	bool custom_payload;
};

/* Zephyr calls the function at its start. */
#define MCUMGR_HANDLER_DEFINE(name, function) \
	void stub_start(void);                \
	void stub_start(void)                 \
	{                                     \
		function();                   \
	}

void mgmt_register_group(struct mgmt_group *group);
int smp_transport_init(struct smp_transport *transport);
uint16_t sys_get_be16(const uint8_t *octets);
uint16_t crc16_itu_t(uint16_t seed, const uint8_t *octets, size_t len);

bool zcbor_map_start_encode(zcbor_state_t *state, size_t most);
bool zcbor_map_end_encode(zcbor_state_t *state, size_t most);
bool zcbor_uint32_put(zcbor_state_t *state, uint32_t value);
bool stub_text(zcbor_state_t *state, const char *text);
#define zcbor_tstr_put_lit(state, text) stub_text(state, text)

#endif
