/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving: the interrupt moves octets to a ring buffer, also while the core computes.
 * When the ring is full the interrupt is switched off: the octet stays in the UART, and
 * the sender has to wait. So no octet is lost.
 */
#include "uart.h"

#include <string.h>

#include "board.h"
#include "cpu.h"

#define LINE ((struct cmsdk_uart *)BOARD_UART_LINE)
#define BAUD 115200u
#define RING_SIZE 4096u /* a power of two */

static uint8_t ring[RING_SIZE];
static volatile uint32_t ring_head; /* number of octets received; written by the receiver */
static volatile uint32_t ring_tail; /* number of octets read; written by main */

/* Takes the UART's octets, and enables the interrupt if the ring has more room. Interrupts must be off. */
static void collect(void)
{
	uint32_t head = ring_head;

	while (head - ring_tail < RING_SIZE && (LINE->state & UART_STATE_RXFULL) != 0) {
		ring[head % RING_SIZE] = (uint8_t)LINE->data;
		head++;
	}
	ring_head = head;
	if (head - ring_tail < RING_SIZE) {
		LINE->ctrl |= UART_CTRL_RXINT;
	} else {
		LINE->ctrl &= ~UART_CTRL_RXINT;
	}
}

/*
 * QEMU offers octets that the host sent before the receiver was on only after a read of
 * the data register. After a reset that read gives 0, which the protocol never uses. Any
 * other value is an octet that has just arrived.
 */
static void fetch_early_octets(void)
{
	uint8_t octet = (uint8_t)LINE->data;

	if (octet != 0) {
		ring[ring_head % RING_SIZE] = octet;
		ring_head++;
	}
}

void uart_init(void)
{
	ring_head = 0;
	ring_tail = 0;
	LINE->bauddiv = BOARD_CLOCK / BAUD;
	LINE->ctrl = UART_CTRL_TXEN | UART_CTRL_RXEN | UART_CTRL_RXINT;
	fetch_early_octets();
	cpu_irq_enable(BOARD_LINE_RX_IRQ);
	cpu_irq_enable(BOARD_LINE_TX_IRQ);
}

void uart_rx_handler(void)
{
	LINE->intstatus = UART_INT_RX;
	collect();
}

size_t uart_receive(uint8_t *buf, size_t size)
{
	size_t n = 0;

	while (n < size && ring_tail != ring_head) {
		buf[n++] = ring[ring_tail % RING_SIZE];
		ring_tail++;
	}
	cpu_irq_off();
	collect(); /* the ring has room again */
	cpu_irq_on();
	return n;
}

void uart_tx_handler(void)
{
	LINE->ctrl &= ~UART_CTRL_TXINT;
	LINE->intstatus = UART_INT_TX;
}

void uart_sleep(void)
{
	cpu_irq_off();
	if (ring_head == ring_tail) {
		cpu_sleep(); /* a pending interrupt ends the sleep, also while interrupts are masked */
	}
	cpu_irq_on();
}

/* Sleeps until the transmitter has room. */
static void wait_for_room(void)
{
	cpu_irq_off();
	LINE->ctrl |= UART_CTRL_TXINT;
	if ((LINE->state & UART_STATE_TXFULL) != 0) {
		cpu_sleep();
	}
	cpu_irq_on();
}

void uart_send(const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		while ((LINE->state & UART_STATE_TXFULL) != 0) {
			wait_for_room();
		}
		LINE->data = buf[i];
	}
}

void uart_text(const char *text)
{
	uart_send((const uint8_t *)text, strlen(text));
}

void uart_stop(void)
{
	LINE->ctrl &= ~(UART_CTRL_RXEN | UART_CTRL_RXINT);
	while ((LINE->state & UART_STATE_TXFULL) != 0) {
		wait_for_room();
	}
}

void uart_text_polled(const char *text)
{
	for (; *text != '\0'; text++) {
		while ((LINE->state & UART_STATE_TXFULL) != 0) {
		}
		LINE->data = (uint8_t)*text;
	}
}
