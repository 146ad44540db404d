/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include <string.h>

#if defined(MBEDTLS_MEMORY_BUFFER_ALLOC_C)
#include <mbedtls/memory_buffer_alloc.h>
#endif

_Static_assert(PROV_PURPOSE_TLS == PURPOSE_TLS && PROV_PURPOSE_COSE == PURPOSE_COSE, "one number for each purpose");
_Static_assert(sizeof(struct prov) <= PROV_SIZE, "PROV_SIZE in prov/prov.h is too small");

/* Sets mbedTLS's memory once, because PSA keeps its objects through a second prov_init. */
static void use_static_memory(void)
{
#if defined(MBEDTLS_MEMORY_BUFFER_ALLOC_C) && PROV_HEAP_SIZE > 0
	static _Alignas(8) uint8_t heap[PROV_HEAP_SIZE];
	static bool used;

	if (!used) {
		mbedtls_memory_buffer_alloc_init(heap, sizeof heap);
		used = true;
	}
#endif
}

static int start(struct prov *prov)
{
	psa_status_t status;
	int err;

	use_static_memory();
	prov_entropy_use(prov->port);
	status = psa_crypto_init();
	if (status != PSA_SUCCESS) {
		return status == PSA_ERROR_INSUFFICIENT_ENTROPY ? PROV_ERR_NO_ENTROPY : PROV_ERR_CRYPTO;
	}
	/* The boot id comes straight from the entropy source: two boots may seed a random generator alike. */
	err = prov->port->entropy(prov->port->ctx, prov->boot_id, BOOT_ID_SIZE);
	if (err != PROV_OK) {
		return PROV_ERR_NO_ENTROPY;
	}
	return prov_identity_derive(&prov->identity, prov->port);
}

int prov_init(struct prov *prov, const struct prov_port *port)
{
	memset(prov, 0, sizeof *prov);
	prov->port = port;
	prov->broken = start(prov);
	if (prov->broken == PROV_OK) {
		(void)prov_store_mount(&prov->store, port, prov->identity.store_key); /* with a damaged store, each command that needs the store is refused */
	}
	return prov->broken;
}

int prov_key(const struct prov *prov, unsigned purpose, uint32_t *psa_key_id)
{
	if (prov->broken != PROV_OK || purpose >= PURPOSE_COUNT) {
		return prov->broken != PROV_OK ? prov->broken : PROV_ERR_BAD_SLOT;
	}
	*psa_key_id = (uint32_t)prov->identity.keys[purpose].id;
	return PROV_OK;
}

uint32_t prov_key_algorithm(void)
{
	return (uint32_t)COMPAT_KEY_ALGORITHM;
}

int prov_certificate(const struct prov *prov, unsigned purpose, uint8_t *der, size_t size, size_t *len)
{
	const enum slot slot = purpose == PURPOSE_COSE ? SLOT_COSE : SLOT_CERTIFICATE;

	if (prov->broken != PROV_OK || purpose >= PURPOSE_COUNT) {
		return prov->broken != PROV_OK ? prov->broken : PROV_ERR_BAD_SLOT;
	}
	if (prov->store.damaged) {
		return PROV_ERR_STORE_IO;
	}
	*len = prov->store.len[slot];
	if (*len == 0 || *len > size) {
		return *len == 0 ? PROV_ERR_EMPTY : PROV_ERR_TOO_LONG;
	}
	return prov_store_read(&prov->store, slot, 0, der, *len);
}

#define CLOSE_TRIES 5u /* each takes at most 1 s (struct prov_tls_sockets) */

int prov_free(struct prov *prov)
{
	int err = PROV_ERR_TLS_BUSY;

	for (unsigned tries = 0; err != PROV_OK && tries < CLOSE_TRIES; tries++) {
		err = prov_session_end(prov, false);
	}
	if (err == PROV_OK) {
		prov_identity_free(&prov->identity);
	}
	return err;
}
