/* SPDX-License-Identifier: Apache-2.0 */
/* The factory's provisioning image. The module does the work; main only prints what runs. */
#include <zephyr/sys/printk.h>

int main(void)
{
	printk("hallmark " CONFIG_HALLMARK_FIRMWARE_VERSION " " CONFIG_HALLMARK_BOARD_TYPE "\n");
	return 0;
}
