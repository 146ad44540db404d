/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differences between the two machines. The numbers are those of Arm's application
 * notes AN385 (Cortex-M3) and AN521 (Cortex-M33, which boots in Secure state, so all
 * addresses are the Secure aliases). The memory regions are in the linker script of the
 * same name.
 */
#ifndef QEMU_BOARD_H
#define QEMU_BOARD_H

#if defined(BOARD_MPS2_AN385)

#define BOARD_TYPE "mps2-an385"
#define BOARD_UART_LINE 0x40004000u /* UART0 */
#define BOARD_UART_TRNG 0x40006000u /* UART2 */
#define BOARD_LINE_RX_IRQ 0u
#define BOARD_LINE_TX_IRQ 1u
#define BOARD_TRNG_RX_IRQ 4u
#define BOARD_FPGAIO 0x40028000u
#define BOARD_CLOCK 25000000u

#elif defined(BOARD_MPS2_AN521)

#define BOARD_TYPE "mps2-an521"
#define BOARD_UART_LINE 0x50200000u
#define BOARD_UART_TRNG 0x50202000u
#define BOARD_LINE_RX_IRQ 32u
#define BOARD_LINE_TX_IRQ 33u
#define BOARD_TRNG_RX_IRQ 36u
#define BOARD_FPGAIO 0x50302000u
#define BOARD_CLOCK 20000000u

#else
#error "name the machine: -DBOARD_MPS2_AN385 or -DBOARD_MPS2_AN521"
#endif

/* Number of external interrupts in the vector table. */
#define BOARD_IRQ_COUNT 37u

#endif
