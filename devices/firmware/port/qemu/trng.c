/* SPDX-License-Identifier: Apache-2.0 */
#include "trng.h"

#include <string.h>

#include <prov/errors.h>

#include "board.h"
#include "cpu.h"
#include "uart.h"

#define TRNG ((struct cmsdk_uart *)BOARD_UART_TRNG)
#define LIMIT_CENTISECONDS 300u /* on a busy host an octet can take a second */

/* Repetition count test (NIST SP 800-90B 4.4.1): 8 bits per octet, false alarm 2^-40. */
#define REPETITION_CUTOFF 6u

static uint8_t last;
static unsigned repeated;

void trng_init(void)
{
	repeated = 0;
	TRNG->bauddiv = 16; /* the smallest value that the UART accepts */
	TRNG->ctrl = UART_CTRL_RXEN | UART_CTRL_RXINT;
	(void)TRNG->data; /* QEMU offers the host's octets again only after a read */
	cpu_irq_enable(BOARD_TRNG_RX_IRQ);
}

void trng_rx_handler(void)
{
	TRNG->intstatus = UART_INT_RX; /* the octet stays in the UART until it is read */
}

/* Sleeps until an octet has come. An emulated CPU that polls would keep its host from delivering one. */
static int wait_for_octet(void)
{
	uint32_t since = cpu_centiseconds();
	int err = PROV_OK;

	cpu_irq_off();
	while (err == PROV_OK && (TRNG->state & UART_STATE_RXFULL) == 0) {
		cpu_sleep();
		cpu_irq_on(); /* the handler runs here */
		err = cpu_centiseconds() - since > LIMIT_CENTISECONDS ? PROV_ERR_NO_ENTROPY : PROV_OK;
		cpu_irq_off();
	}
	cpu_irq_on();
	return err;
}

static int read_octet(uint8_t *octet)
{
	int err = wait_for_octet();

	if (err != PROV_OK) {
		return err;
	}
	*octet = (uint8_t)TRNG->data;
	repeated = *octet == last ? repeated + 1 : 1;
	last = *octet;
	return repeated < REPETITION_CUTOFF ? PROV_OK : PROV_ERR_NO_ENTROPY;
}

int trng_read(uint8_t *buf, size_t len)
{
	int err = PROV_OK;

	cpu_tick(10);
	for (size_t i = 0; err == PROV_OK && i < len; i++) {
		err = read_octet(&buf[i]);
	}
	cpu_tick(0);
	if (err != PROV_OK) {
		memset(buf, 0, len);
	}
	return err;
}
