/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "flash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <prov/errors.h>

#define FLASH_SIZE (FLASH_SECTOR_SIZE * FLASH_SECTOR_COUNT)

static uint8_t *flash;
static unsigned cut_after; /* 0: never */

static int fill_new(int fd)
{
	uint8_t erased[FLASH_SIZE];

	memset(erased, 0xff, sizeof erased);
	return pwrite(fd, erased, sizeof erased, 0) == (ssize_t)sizeof erased ? 0 : -1;
}

static int check_size(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		return -1;
	}
	if (st.st_size == 0) {
		return fill_new(fd);
	}
	errno = EINVAL; /* a file of another size is no flash of this port */
	return st.st_size >= (off_t)FLASH_SIZE ? 0 : -1;
}

int flash_file_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || check_size(fd) != 0) {
		return -1;
	}
	map = mmap(NULL, FLASH_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		return -1;
	}
	flash = map;
	return 0;
}

void flash_file_cut_after(unsigned n)
{
	cut_after = n;
}

/* True when the power is lost in this operation: the caller does half of it and calls lose_power. */
static bool cut_now(void)
{
	return cut_after > 0 && --cut_after == 0;
}

static void lose_power(void)
{
	_exit(9);
}

static bool inside(uint32_t offset, size_t len)
{
	return offset <= FLASH_SIZE && len <= FLASH_SIZE - offset;
}

int flash_file_read(void *ctx, uint32_t offset, void *buf, size_t len)
{
	(void)ctx;
	if (!inside(offset, len)) {
		return PROV_ERR_STORE_IO;
	}
	memcpy(buf, flash + offset, len);
	return PROV_OK;
}

static bool programmable(uint32_t offset, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((from[i] & ~flash[offset + i]) != 0) {
			return false;
		}
	}
	return true;
}

int flash_file_write(void *ctx, uint32_t offset, const void *buf, size_t len)
{
	(void)ctx;
	if (!inside(offset, len) || offset % FLASH_WRITE_SIZE != 0 || len % FLASH_WRITE_SIZE != 0 ||
	    !programmable(offset, buf, len)) {
		return PROV_ERR_STORE_IO;
	}
	if (cut_now()) {
		memcpy(flash + offset, buf, len / 2);
		lose_power();
	}
	memcpy(flash + offset, buf, len);
	return PROV_OK;
}

int flash_file_erase(void *ctx, uint32_t sector)
{
	(void)ctx;
	if (sector >= FLASH_SECTOR_COUNT) {
		return PROV_ERR_STORE_IO;
	}
	if (cut_now()) {
		memset(flash + sector * FLASH_SECTOR_SIZE, 0xff, FLASH_SECTOR_SIZE / 2);
		lose_power();
	}
	memset(flash + sector * FLASH_SECTOR_SIZE, 0xff, FLASH_SECTOR_SIZE);
	return PROV_OK;
}
