/* SPDX-License-Identifier: Apache-2.0 */
#include "flash.h"

#include <stdbool.h>

#include <prov/errors.h>

extern volatile uint8_t store_start[];

#define FLASH_SIZE (FLASH_SECTOR_SIZE * FLASH_SECTOR_COUNT)

static bool inside(uint32_t offset, size_t len)
{
	return offset <= FLASH_SIZE && len <= FLASH_SIZE - offset;
}

int flash_read(uint32_t offset, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (!inside(offset, len)) {
		return PROV_ERR_STORE_IO;
	}
	for (size_t i = 0; i < len; i++) {
		to[i] = store_start[offset + i];
	}
	return PROV_OK;
}

static bool programmable(uint32_t offset, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((from[i] & ~store_start[offset + i]) != 0) {
			return false;
		}
	}
	return true;
}

int flash_write(uint32_t offset, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	if (!inside(offset, len) || offset % FLASH_WRITE_SIZE != 0 || len % FLASH_WRITE_SIZE != 0 ||
	    !programmable(offset, from, len)) {
		return PROV_ERR_STORE_IO;
	}
	for (size_t i = 0; i < len; i++) {
		store_start[offset + i] = from[i];
	}
	return PROV_OK;
}

int flash_erase(uint32_t sector)
{
	if (sector >= FLASH_SECTOR_COUNT) {
		return PROV_ERR_STORE_IO;
	}
	for (uint32_t i = 0; i < FLASH_SECTOR_SIZE; i++) {
		store_start[sector * FLASH_SECTOR_SIZE + i] = 0xff;
	}
	return PROV_OK;
}
