/* SPDX-License-Identifier: Apache-2.0 */
/* NOR flash in a file that is mapped into memory: erasing sets octets to 0xff, programming only clears bits. */
#ifndef FLASH_FILE_H
#define FLASH_FILE_H

#include <stddef.h>
#include <stdint.h>

#define FLASH_SECTOR_SIZE 4096u
#define FLASH_SECTOR_COUNT 2u
#define FLASH_WRITE_SIZE 4u

/* Returns 0, or -1 and errno. A new file is erased flash. */
int flash_file_open(const char *path);

/* The Nth erase or program operation from now on stops half-way, and the process ends with code 9. */
void flash_file_cut_after(unsigned n);

int flash_file_read(void *ctx, uint32_t offset, void *buf, size_t len);
int flash_file_write(void *ctx, uint32_t offset, const void *buf, size_t len);
int flash_file_erase(void *ctx, uint32_t sector);

#endif
