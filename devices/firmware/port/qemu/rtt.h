/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEGGER's Real Time Transfer (UM08001, chapter RTT): one ring to the debugger and one from it, in RAM. A debug probe
 * reads and writes the rings while the CPU runs. The control block is at the start of the section .rtt, so its
 * address is the same in each image of a machine.
 */
#ifndef QEMU_RTT_H
#define QEMU_RTT_H

#include <stddef.h>
#include <stdint.h>

/* Makes the control block. A debugger finds the block when it is complete. */
void rtt_init(void);

/* Takes octets that the debugger has written, at most size. Never waits. */
size_t rtt_receive(uint8_t *buf, size_t size);

/* Gives octets to the debugger. Drops the rest when nobody has read for a second, so a board without debugger goes on. */
void rtt_send(const uint8_t *buf, size_t len);

/* Returns when the debugger has read everything, and after a second without a reader. */
void rtt_stop(void);

#endif
