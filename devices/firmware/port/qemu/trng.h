/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy source: octets that arrive on UART2, which the host connects to its random device. */
#ifndef QEMU_TRNG_H
#define QEMU_TRNG_H

#include <stddef.h>
#include <stdint.h>

void trng_init(void);

/* Fills buf. PROV_ERR_NO_ENTROPY: no octet came for 3 s; then buf is all zero. Interrupts must be enabled. */
int trng_read(uint8_t *buf, size_t len);

void trng_rx_handler(void);

#endif
