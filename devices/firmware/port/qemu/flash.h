/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's flash: memory that the host keeps in a file. This driver enforces the
 * rules of NOR flash: erasing sets a sector to 0xff, and programming only clears bits, in
 * units of FLASH_WRITE_SIZE octets. It writes in ascending order, so that a power cut
 * leaves a prefix.
 */
#ifndef QEMU_FLASH_H
#define QEMU_FLASH_H

#include <stddef.h>
#include <stdint.h>

#define FLASH_SECTOR_SIZE 4096u
#define FLASH_SECTOR_COUNT 16u
#define FLASH_WRITE_SIZE 8u

/* Return 0, or PROV_ERR_STORE_IO: beyond the end, not aligned, or a bit would change from 0 to 1. */
int flash_read(uint32_t offset, void *buf, size_t len);
int flash_write(uint32_t offset, const void *buf, size_t len);
int flash_erase(uint32_t sector);

#endif
