/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The station sees a reset at once, and may send before MCUmgr listens. When MCUmgr
 * starts, it drops the octets in its UART; an emulated UART then offers no more octets
 * until somebody reads it, which nobody does. So the receiver stays off until MCUmgr has
 * started, and octets that were sent before wait in the emulator.
 */
#include <zephyr/arch/cpu.h>
#include <zephyr/devicetree.h>
#include <zephyr/init.h>
#include <zephyr/sys/util.h>

#define UART DT_CHOSEN(zephyr_uart_mcumgr)

/* CMSDK APB UART (Arm DDI 0479 section 4.3). */
#define DATA (DT_REG_ADDR(UART) + 0x0)
#define CTRL (DT_REG_ADDR(UART) + 0x8)
#define CTRL_RX_ENABLE BIT(1)

static int disable_receiver(void)
{
	sys_write32(sys_read32(CTRL) & ~CTRL_RX_ENABLE, CTRL);
	return 0;
}

static int enable_receiver(void)
{
	sys_write32(sys_read32(CTRL) | CTRL_RX_ENABLE, CTRL);
	(void)sys_read32(DATA); /* the register is empty; QEMU offers waiting octets only after a read */
	return 0;
}

/* The first call follows the UART's driver. MCUmgr's transport (APPLICATION, default priority) starts between the two calls. */
SYS_INIT(disable_receiver, PRE_KERNEL_1, UTIL_INC(CONFIG_SERIAL_INIT_PRIORITY));
SYS_INIT(enable_receiver, APPLICATION, 99);
