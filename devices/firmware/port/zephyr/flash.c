/* SPDX-License-Identifier: Apache-2.0 */
#include <zephyr/drivers/flash.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/util.h>

#include "port.h"

#define PARTITION FIXED_PARTITION_ID(hallmark_partition)
#define SECTOR_SIZE ((uint32_t)CONFIG_HALLMARK_STORE_SECTOR_SIZE)

static const struct flash_area *area;

/* True if a sector of the store is a whole number of the flash's erase units. */
static bool erasable(void)
{
	struct flash_pages_info page;

	return flash_get_page_info_by_offs(area->fa_dev, area->fa_off, &page) == 0 && page.size > 0 &&
	       SECTOR_SIZE % page.size == 0 && (uint32_t)page.start_offset == (uint32_t)area->fa_off;
}

int prov_port_flash_init(struct prov_flash *flash)
{
	if (flash_area_open(PARTITION, &area) != 0 || !device_is_ready(area->fa_dev) || !erasable()) {
		return PROV_ERR_STORE_IO;
	}
	flash->sector_size = SECTOR_SIZE;
	flash->sector_count = (uint32_t)area->fa_size / SECTOR_SIZE;
	flash->write_size = flash_area_align(area);
	flash->refuse_old = IS_ENABLED(CONFIG_HALLMARK_REFUSE_OLD_STORE);
	return PROV_OK;
}

static int result(int err)
{
	return err == 0 ? PROV_OK : PROV_ERR_STORE_IO;
}

int prov_port_flash_read(void *ctx, uint32_t offset, void *buf, size_t len)
{
	return result(flash_area_read(area, (off_t)offset, buf, len));
}

int prov_port_flash_write(void *ctx, uint32_t offset, const void *buf, size_t len)
{
	return result(flash_area_write(area, (off_t)offset, buf, len));
}

int prov_port_flash_erase(void *ctx, uint32_t sector)
{
	return result(flash_area_erase(area, (off_t)(sector * SECTOR_SIZE), SECTOR_SIZE));
}
