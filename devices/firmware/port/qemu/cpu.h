/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the Cortex-M core that this port uses (Arm DDI 0403 and 0553). */
#ifndef QEMU_CPU_H
#define QEMU_CPU_H

#include <stdint.h>

#include "board.h"

#define NVIC_ISER ((volatile uint32_t *)0xe000e100u)
#define SYST_CSR (*(volatile uint32_t *)0xe000e010u)
#define SYST_RVR (*(volatile uint32_t *)0xe000e014u)
#define SYST_CVR (*(volatile uint32_t *)0xe000e018u)
#define SYST_ON 7u /* processor clock, interrupt, enabled */
#define SCB_CFSR (*(volatile uint32_t *)0xe000ed28u)
#define SCB_HFSR (*(volatile uint32_t *)0xe000ed2cu)
#define SCB_AIRCR (*(volatile uint32_t *)0xe000ed0cu)
#define AIRCR_SYSRESETREQ 0x05fa0004u /* with the key that the register demands */

static inline void cpu_irq_off(void)
{
	__asm__ volatile("cpsid i" ::: "memory");
}

static inline void cpu_irq_on(void)
{
	__asm__ volatile("cpsie i" ::: "memory");
}

static inline void cpu_sleep(void)
{
	__asm__ volatile("dsb\n\twfi" ::: "memory");
}

static inline void cpu_irq_enable(uint32_t irq)
{
	NVIC_ISER[irq / 32u] = 1u << (irq % 32u);
}

/* Restarts the machine. Does not return. */
static inline void cpu_reset(void)
{
	__asm__ volatile("cpsid i\n\tdsb" ::: "memory");
	SCB_AIRCR = AIRCR_SYSRESETREQ;
	for (;;) {
		__asm__ volatile("dsb" ::: "memory");
	}
}

/* Wakes a sleeping CPU so many times in a second, 2 to 1000, so that a wait with a time limit can end; 0: never. */
static inline void cpu_tick(uint32_t hertz)
{
	SYST_CSR = 0;
	if (hertz != 0) {
		SYST_RVR = BOARD_CLOCK / hertz - 1u;
		SYST_CVR = 0;
		SYST_CSR = SYST_ON;
	}
}

/* Sleeps for a millisecond, or until the next interrupt. Switches the tick off. */
static inline void cpu_nap(void)
{
	cpu_tick(1000);
	cpu_sleep();
	cpu_tick(0);
}

/* The up-counter of the FPGA's system registers: hundredths of a second. It runs without the tick. */
static inline uint32_t cpu_centiseconds(void)
{
	return *(volatile uint32_t *)(BOARD_FPGAIO + 0x14u);
}

#endif
