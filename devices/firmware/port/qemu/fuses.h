/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Emulated fuses: one page that the host loads at power-on and at each reset. 32 octets
 * HUK, then 16 octets hardware id. The HUK can be taken once for each start, because
 * taking the HUK wipes it from the page.
 */
#ifndef QEMU_FUSES_H
#define QEMU_FUSES_H

#include <stdint.h>

#define FUSES_HUK_SIZE 32u
#define FUSES_ID_SIZE 16u

/* Imports the HUK as a PSA key for derivation. PROV_ERR_NO_HUK: it is blank, or was taken. */
int fuses_take_huk(uint32_t *psa_key_id);

void fuses_read_id(uint8_t id[FUSES_ID_SIZE]);

#endif
