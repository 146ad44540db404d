/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The station may speak before MCUmgr listens: it sees a reset at once. MCUmgr
 * drops what it finds in its UART when it begins, and an emulated UART would
 * then wait for a read that nobody has a reason for. So the receiver stays off
 * until MCUmgr has it, and what was sent before waits in the emulator.
 */
#include <zephyr/arch/cpu.h>
#include <zephyr/devicetree.h>
#include <zephyr/init.h>
#include <zephyr/sys/util.h>

#define UART DT_CHOSEN(zephyr_uart_mcumgr)

/* CMSDK APB UART, Arm DDI 0479 section 4.3. */
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
	(void)sys_read32(DATA); /* nothing is there yet; QEMU offers what waits only after a read */
	return 0;
}

/* Right behind the UART's driver; MCUmgr's transport (APPLICATION, at its default priority) is between. */
SYS_INIT(disable_receiver, PRE_KERNEL_1, UTIL_INC(CONFIG_SERIAL_INIT_PRIORITY));
SYS_INIT(enable_receiver, APPLICATION, 99);
