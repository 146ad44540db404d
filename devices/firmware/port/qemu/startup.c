/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt vectors, reset and faults. */
#include <stdint.h>
#include <string.h>

#include "board.h"
#include "cpu.h"
#include "trng.h"
#include "uart.h"

extern uint8_t stack_top[], data_start[], data_end[], bss_start[], bss_end[];
extern const uint8_t data_load[];

int main(void);
void reset_handler(void);
void fault_handler(void);

void reset_handler(void)
{
	cpu_irq_off(); /* main enables interrupts when its devices are ready */
	memcpy(data_start, data_load, (size_t)(data_end - data_start));
	memset(bss_start, 0, (size_t)(bss_end - bss_start));
	main();
	fault_handler(); /* main does not return */
}

static void text_hex(uint32_t value)
{
	char text[9];

	for (unsigned i = 0; i < 8; i++) {
		text[i] = "0123456789abcdef"[value >> (28u - 4u * i) & 0xfu];
	}
	text[8] = '\0';
	uart_text_polled(text);
}

/* Prints the fault to the console and halts. A restart would hide the fault and could repeat for ever. */
void fault_handler(void)
{
	cpu_irq_off();
	uart_text_polled("\r\nfault: cfsr=");
	text_hex(SCB_CFSR);
	uart_text_polled(" hfsr=");
	text_hex(SCB_HFSR);
	uart_text_polled("\r\n");
	for (;;) {
		cpu_sleep();
	}
}

static void tick_handler(void)
{
	/* the only purpose of the tick is to wake the CPU */
}

/* Armv7-M B1.5.2: initial stack pointer, 15 system exceptions, external interrupts. */
struct vectors {
	uint8_t *stack;
	void (*exception[15])(void);
	void (*irq[BOARD_IRQ_COUNT])(void);
};

extern const struct vectors vectors;
const struct vectors vectors __attribute__((section(".vectors"), used)) = {
	.stack = stack_top,
	.exception = {
		[0] = reset_handler,
		[1] = fault_handler, /* NMI */
		[2] = fault_handler, /* HardFault; the other faults are not enabled and become this one */
		[14] = tick_handler,
	},
	.irq = {
		[BOARD_LINE_RX_IRQ] = uart_rx_handler,
		[BOARD_LINE_TX_IRQ] = uart_tx_handler,
		[BOARD_TRNG_RX_IRQ] = trng_rx_handler,
	},
};
