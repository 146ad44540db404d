/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entropy driver for an emulated machine without a random source. The emulator sends
 * the host's random octets to a UART of their own. They are new at each start.
 */
#define DT_DRV_COMPAT hallmark_uart_entropy

#include <errno.h>
#include <string.h>

#include <zephyr/arch/cpu.h>
#include <zephyr/drivers/entropy.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/ring_buffer.h>

#define UART DT_INST_PHANDLE(0, uart)
#define LIMIT_MS 1000 /* limit of `entropy` in prov/port.h */

/* Repetition count test (NIST SP 800-90B 4.4.1): 8 bits per octet, false alarm 2^-40. */
#define REPETITION_CUTOFF 6u

static const struct device *const uart = DEVICE_DT_GET(UART);

RING_BUF_DECLARE(pool, 64);
static K_SEM_DEFINE(arrived, 0, 1);
static K_MUTEX_DEFINE(taking);
static uint8_t last;
static unsigned int repeated;
static bool silent; /* the last draw ran out of octets: the next draw does not wait, so that waits do not add up */

/* Fills the pool. When the pool is full, the octet stays in the UART and the host waits. */
static void collect(const struct device *dev, void *data)
{
	bool came = false;
	uint8_t octet;

	ARG_UNUSED(data);
	while (uart_irq_update(dev) && uart_irq_rx_ready(dev)) {
		if (ring_buf_space_get(&pool) == 0) {
			uart_irq_rx_disable(dev);
			break;
		}
		if (uart_fifo_read(dev, &octet, 1) == 1) {
			(void)ring_buf_put(&pool, &octet, 1);
			came = true;
		}
	}
	if (came) { /* without an octet, take() would never come to its time limit */
		k_sem_give(&arrived);
	}
}

/* Enables the interrupt, and takes an octet that has come before without an interrupt. */
static void listen(void)
{
	unsigned int key = irq_lock();

	uart_irq_rx_enable(uart);
	collect(uart, NULL);
	irq_unlock(key);
}

static int take(uint8_t *octet, int64_t until)
{
	while (ring_buf_get(&pool, octet, 1) == 0) {
		k_sem_reset(&arrived);
		listen();
		int64_t left = silent ? 0 : MAX(until - k_uptime_get(), 0);

		if (ring_buf_is_empty(&pool) && k_sem_take(&arrived, K_MSEC(left)) != 0) {
			silent = true;
			return -EIO;
		}
	}
	repeated = *octet == last ? repeated + 1 : 1;
	last = *octet;
	return repeated < REPETITION_CUTOFF ? 0 : -EIO;
}

/* Waits at most LIMIT_MS. On time-out, or if the source repeats an octet too often: -EIO and a buffer of zeros. */
static int get_entropy(const struct device *dev, uint8_t *buffer, uint16_t length)
{
	int64_t until;
	int err = 0;

	ARG_UNUSED(dev);
	(void)k_mutex_lock(&taking, K_FOREVER);
	until = k_uptime_get() + LIMIT_MS;
	for (uint16_t i = 0; err == 0 && i < length; i++) {
		err = take(&buffer[i], until);
	}
	silent = silent && err != 0;
	(void)k_mutex_unlock(&taking);
	if (err != 0) {
		memset(buffer, 0, length);
	}
	return err;
}

static int init(const struct device *dev)
{
	ARG_UNUSED(dev);
	if (!device_is_ready(uart)) {
		return -ENODEV;
	}
	if (uart_irq_callback_user_data_set(uart, collect, NULL) != 0) {
		return -ENOTSUP;
	}
	(void)sys_read32(DT_REG_ADDR(UART)); /* the data register: QEMU offers the host's octets again only after a read */
	return 0;
}

static const struct entropy_driver_api api = {
	.get_entropy = get_entropy,
};

DEVICE_DT_INST_DEFINE(0, init, NULL, NULL, NULL, POST_KERNEL, CONFIG_ENTROPY_INIT_PRIORITY, &api);
