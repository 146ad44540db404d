/* SPDX-License-Identifier: Apache-2.0 */
/* The UART to the station: UART0, a CMSDK APB UART (Arm DDI 0479, section 4.3). */
#ifndef QEMU_UART_H
#define QEMU_UART_H

#include <stddef.h>
#include <stdint.h>

/* Registers of a CMSDK APB UART. */
struct cmsdk_uart {
	volatile uint32_t data;
	volatile uint32_t state;
	volatile uint32_t ctrl;
	volatile uint32_t intstatus; /* write 1 to clear */
	volatile uint32_t bauddiv;
};

#define UART_STATE_TXFULL (1u << 0)
#define UART_STATE_RXFULL (1u << 1)
#define UART_CTRL_TXEN (1u << 0)
#define UART_CTRL_RXEN (1u << 1)
#define UART_CTRL_TXINT (1u << 2)
#define UART_CTRL_RXINT (1u << 3)
#define UART_INT_TX (1u << 0)
#define UART_INT_RX (1u << 1)

/* Interrupts must be off in the CPU. */
void uart_init(void);

/* Returns the number of octets read, at most size. Never waits. */
size_t uart_receive(uint8_t *buf, size_t size);

/* Sleeps until an interrupt, unless octets are there. */
void uart_sleep(void);

/* Gives octets to the transmitter. Sleeps while the transmitter is full. */
void uart_send(const uint8_t *buf, size_t len);

/* Sends console text. Allowed between frames only. */
void uart_text(const char *text);

/*
 * Switches the receiver off and returns when the last octet has left. Octets that the
 * station sends from now on wait for the next start.
 */
void uart_stop(void);

/* uart_text for fault handlers: works without interrupts. */
void uart_text_polled(const char *text);

void uart_rx_handler(void);
void uart_tx_handler(void);

#endif
