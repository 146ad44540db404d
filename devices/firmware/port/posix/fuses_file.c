/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "fuses_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/platform_util.h>
#include <psa/crypto.h>

#include <prov/errors.h>

static int read_at(const char *path, off_t offset, uint8_t *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		return -1;
	}
	n = pread(fd, buf, len, offset);
	close(fd);
	if (n >= 0 && (size_t)n < len) {
		errno = EINVAL; /* fuses have 48 octets */
	}
	return n == (ssize_t)len ? 0 : -1;
}

/* True for fuses that were never written: all zeros or all ones. */
static bool blank(const uint8_t *octets, size_t len)
{
	uint8_t any = 0, all = 0xff;

	for (size_t i = 0; i < len; i++) {
		any |= octets[i];
		all &= octets[i];
	}
	return any == 0 || all == 0xff;
}

int fuses_take_huk(const char *path, uint32_t *psa_key_id)
{
	psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
	psa_key_id_t id = PSA_KEY_ID_NULL;
	uint8_t huk[FUSES_HUK_SIZE];
	psa_status_t status = PSA_ERROR_DOES_NOT_EXIST;

	psa_set_key_type(&attributes, PSA_KEY_TYPE_DERIVE);
	psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
	psa_set_key_algorithm(&attributes, PSA_ALG_HKDF(PSA_ALG_SHA_256));
	if (read_at(path, 0, huk, sizeof huk) == 0 && !blank(huk, sizeof huk)) {
		status = psa_import_key(&attributes, huk, sizeof huk, &id);
	}
	mbedtls_platform_zeroize(huk, sizeof huk);
	*psa_key_id = id;
	return status == PSA_SUCCESS ? PROV_OK : PROV_ERR_NO_HUK;
}

int fuses_read_id(const char *path, uint8_t id[FUSES_ID_SIZE])
{
	return read_at(path, FUSES_HUK_SIZE, id, FUSES_ID_SIZE);
}
