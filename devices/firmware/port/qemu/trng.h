/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy source: octets that arrive on UART2 (the host connects it to its random device). */
#ifndef QEMU_TRNG_H
#define QEMU_TRNG_H

#include <stddef.h>
#include <stdint.h>

void trng_init(void);

/* Fills buf, or PROV_ERR_NO_ENTROPY if no octet arrives for 1 s; then buf is all zero. Interrupts are on. */
int trng_read(uint8_t *buf, size_t len);

void trng_rx_handler(void);

#endif
