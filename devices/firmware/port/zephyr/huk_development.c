/* SPDX-License-Identifier: Apache-2.0 */
/* A publicly known key, for a board whose hardware unique key cannot be read yet. */
#include <string.h>

#include <zephyr/drivers/hwinfo.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/util.h>

#include <psa/crypto.h>

#include "port.h"

LOG_MODULE_DECLARE(hallmark, CONFIG_HALLMARK_LOG_LEVEL);

static const uint8_t huk[32] = "hallmark development, no secret";

int prov_port_huk_open(void *ctx, uint32_t *psa_key_id)
{
	LOG_WRN("DEVELOPMENT KEY: everybody can be this board. Not for production.");
	return prov_port_huk_import(huk, sizeof huk, psa_key_id);
}

void prov_port_huk_close(void *ctx, uint32_t psa_key_id)
{
	(void)psa_destroy_key(psa_key_id); /* destroying a volatile key cannot fail in a way that matters */
}

enum prov_huk_source prov_port_huk_source(void)
{
	return PROV_HUK_DEVELOPMENT;
}

size_t prov_port_hardware_id(uint8_t id[PROV_HARDWARE_ID_MAX])
{
	return prov_port_hardware_id_of_silicon(id);
}
