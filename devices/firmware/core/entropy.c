/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#if defined(MBEDTLS_ENTROPY_HARDWARE_ALT) && !defined(PROV_FOREIGN_ENTROPY)
#include <mbedtls/entropy.h>

/* mbedTLS passes no context to its hardware source, so this is the core's only static variable. */
static const struct prov_port *source;

int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *olen);

void prov_entropy_use(const struct prov_port *port)
{
	source = port;
}

int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *olen)
{
	(void)data;
	*olen = 0;
	if (source == NULL || source->entropy(source->ctx, output, len) != PROV_OK) {
		return MBEDTLS_ERR_ENTROPY_SOURCE_FAILED;
	}
	*olen = len;
	return 0;
}
#else
void prov_entropy_use(const struct prov_port *port)
{
	(void)port; /* the system's PSA has its own source */
}
#endif
