/* SPDX-License-Identifier: Apache-2.0 */
/* Emulated fuses, as in port/qemu/fuses.h. The same page gives the same identity under both firmwares. */
#include <string.h>

#include <zephyr/devicetree.h>
#include <zephyr/sys/util.h>

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>

#include "port.h"

#define NODE DT_COMPAT_GET_ANY_STATUS_OKAY(hallmark_fuses)
#define HUK_SIZE 32u

BUILD_ASSERT(DT_REG_SIZE(NODE) >= HUK_SIZE + PROV_HARDWARE_ID_MAX, "the node of the fuses is too small");

static uint8_t *const fuses = (uint8_t *)DT_REG_ADDR(NODE);

static bool blank(const uint8_t *octets, size_t len)
{
	uint8_t any = 0, all = 0xff;

	for (size_t i = 0; i < len; i++) {
		any |= octets[i];
		all &= octets[i];
	}
	return any == 0 || all == 0xff;
}

/* Works once for each start, because it wipes the page; with TLS sockets it works any number of times. */
int prov_port_huk_open(void *ctx, uint32_t *psa_key_id)
{
	int err;

	if (blank(fuses, HUK_SIZE)) {
		return PROV_ERR_NO_HUK;
	}
	err = prov_port_huk_import(fuses, HUK_SIZE, psa_key_id);
	if (!IS_ENABLED(CONFIG_HALLMARK_NETWORK_TLS_SOCKETS)) { /* TLS sockets derive the key again for each handshake */
		mbedtls_platform_zeroize(fuses, HUK_SIZE);
	}
	return err;
}

void prov_port_huk_close(void *ctx, uint32_t psa_key_id)
{
	(void)psa_destroy_key(psa_key_id); /* destroying a volatile key cannot fail in a way that matters */
}

enum prov_huk_source prov_port_huk_source(void)
{
	return PROV_HUK_FUSES;
}

size_t prov_port_hardware_id(uint8_t id[PROV_HARDWARE_ID_MAX])
{
	memcpy(id, fuses + HUK_SIZE, PROV_HARDWARE_ID_MAX);
	return PROV_HARDWARE_ID_MAX;
}
