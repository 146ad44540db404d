/* SPDX-License-Identifier: Apache-2.0 */
#include "trng.h"

#include <string.h>

#include <prov/errors.h>

#include "board.h"
#include "cpu.h"
#include "uart.h"

#define TRNG ((struct cmsdk_uart *)BOARD_UART_TRNG)
#define LIMIT_CENTISECONDS 100u

/* Repetition count test, NIST SP 800-90B 4.4.1: 8 bits per octet, false alarm 2^-40. */
#define REPETITION_CUTOFF 6u

static uint8_t last;
static unsigned repeated;

void trng_init(void)
{
	repeated = 0;
	TRNG->bauddiv = 16; /* the smallest the UART accepts */
	TRNG->ctrl = UART_CTRL_RXEN;
	(void)TRNG->data; /* QEMU offers the host's octets again only after a read */
}

static int read_octet(uint8_t *octet, uint32_t since)
{
	while ((TRNG->state & UART_STATE_RXFULL) == 0) {
		if (cpu_centiseconds() - since > LIMIT_CENTISECONDS) {
			return PROV_ERR_NO_ENTROPY;
		}
	}
	*octet = (uint8_t)TRNG->data;
	repeated = *octet == last ? repeated + 1 : 1;
	last = *octet;
	return repeated < REPETITION_CUTOFF ? PROV_OK : PROV_ERR_NO_ENTROPY;
}

int trng_read(uint8_t *buf, size_t len)
{
	uint32_t since = cpu_centiseconds();

	for (size_t i = 0; i < len; i++) {
		int err = read_octet(&buf[i], since);
		if (err != PROV_OK) {
			memset(buf, 0, len);
			return err;
		}
	}
	return PROV_OK;
}
