/* SPDX-License-Identifier: Apache-2.0 */
/* Fuses in a file: 32 octets HUK, then 16 octets hardware id. */
#ifndef FUSES_FILE_H
#define FUSES_FILE_H

#include <stdint.h>

#define FUSES_HUK_SIZE 32
#define FUSES_ID_SIZE 16

/* Imports the HUK as a volatile PSA key for derivation, and wipes the octets that it read. */
int fuses_take_huk(const char *path, uint32_t *psa_key_id);

/* Returns 0, or -1 and errno. */
int fuses_read_id(const char *path, uint8_t id[FUSES_ID_SIZE]);

#endif
