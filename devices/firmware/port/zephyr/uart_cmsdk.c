/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CMSDK APB UART (Arm DDI 0479 section 4.3) as QEMU emulates it, for the line to the
 * station. Zephyr's own driver is not used there, for two reasons:
 *
 * From Zephyr 4.1 to 4.3 it reports an interrupt whenever the transmitter is idle, and
 * MCUmgr never leaves its interrupt handler.
 *
 * A station sees a reset at once and may send before MCUmgr listens. MCUmgr drops the
 * octets that are in the UART when it starts, and QEMU then offers no more octets until
 * somebody reads. This driver keeps the receiver off until everything has started, so
 * earlier octets wait in the emulator.
 */
#define DT_DRV_COMPAT hallmark_cmsdk_uart

#include <zephyr/drivers/uart.h>
#include <zephyr/init.h>
#include <zephyr/irq.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/util.h>

struct registers {
	volatile uint32_t data, state, ctrl, interrupt, divider;
};

enum { STATE_TX_FULL = BIT(0), STATE_RX_FULL = BIT(1) };
enum { CTRL_TX = BIT(0), CTRL_RX = BIT(1), CTRL_TX_INTERRUPT = BIT(2), CTRL_RX_INTERRUPT = BIT(3) };
enum { INTERRUPT_TX = BIT(0), INTERRUPT_RX = BIT(1) };

/* QEMU sends at any speed, but a divider below 16 switches its UART off. */
#define DIVIDER 16u

struct config {
	struct registers *registers;
	void (*connect)(void);
};

struct data {
	uart_irq_callback_user_data_t callback;
	void *callback_data;
};

static struct registers *registers_of(const struct device *dev)
{
	return ((const struct config *)dev->config)->registers;
}

static void interrupted(const struct device *dev)
{
	const struct data *data = dev->data;

	if (data->callback != NULL) {
		data->callback(dev, data->callback_data);
	}
}

static int poll_in(const struct device *dev, unsigned char *octet)
{
	struct registers *uart = registers_of(dev);

	if ((uart->state & STATE_RX_FULL) == 0) {
		return -1;
	}
	uart->interrupt = INTERRUPT_RX; /* before the read: QEMU stores the next octet while the register is read */
	*octet = (unsigned char)uart->data;
	return 0;
}

static void poll_out(const struct device *dev, unsigned char octet)
{
	struct registers *uart = registers_of(dev);

	while ((uart->state & STATE_TX_FULL) != 0) {
	}
	uart->data = octet;
}

static int fifo_fill(const struct device *dev, const uint8_t *octets, int len)
{
	struct registers *uart = registers_of(dev);

	if (len == 0 || (uart->state & STATE_TX_FULL) != 0) {
		return 0;
	}
	uart->interrupt = INTERRUPT_TX;
	uart->data = octets[0];
	return 1;
}

static int fifo_read(const struct device *dev, uint8_t *octets, const int size)
{
	return size > 0 && poll_in(dev, octets) == 0 ? 1 : 0;
}

static int irq_tx_ready(const struct device *dev)
{
	return (registers_of(dev)->ctrl & CTRL_TX_INTERRUPT) != 0 && (registers_of(dev)->state & STATE_TX_FULL) == 0;
}

static int irq_rx_ready(const struct device *dev)
{
	return (registers_of(dev)->ctrl & CTRL_RX_INTERRUPT) != 0 && (registers_of(dev)->state & STATE_RX_FULL) != 0;
}

static int irq_is_pending(const struct device *dev)
{
	return irq_rx_ready(dev) || irq_tx_ready(dev);
}

/* The interrupts are edges: what is pending already when one is enabled is handled here. */
static void irq_enable_edge(const struct device *dev, uint32_t which)
{
	unsigned int key = irq_lock();

	registers_of(dev)->ctrl |= which;
	if (irq_is_pending(dev)) {
		interrupted(dev);
	}
	irq_unlock(key);
}

static void irq_tx_enable(const struct device *dev)
{
	irq_enable_edge(dev, CTRL_TX_INTERRUPT);
}

static void irq_tx_disable(const struct device *dev)
{
	registers_of(dev)->ctrl &= ~(uint32_t)CTRL_TX_INTERRUPT;
	registers_of(dev)->interrupt = INTERRUPT_TX;
}

static void irq_rx_enable(const struct device *dev)
{
	irq_enable_edge(dev, CTRL_RX_INTERRUPT);
}

static void irq_rx_disable(const struct device *dev)
{
	registers_of(dev)->ctrl &= ~(uint32_t)CTRL_RX_INTERRUPT;
	registers_of(dev)->interrupt = INTERRUPT_RX;
}

static int irq_update(const struct device *dev)
{
	return 1;
}

static void irq_callback_set(const struct device *dev, uart_irq_callback_user_data_t callback, void *callback_data)
{
	struct data *data = dev->data;

	data->callback = callback;
	data->callback_data = callback_data;
}

static int init(const struct device *dev)
{
	const struct config *config = dev->config;

	config->registers->divider = DIVIDER;
	config->registers->ctrl = CTRL_TX; /* see start_receivers */
	config->connect();
	return 0;
}

static const struct uart_driver_api api = {
	.poll_in = poll_in,
	.poll_out = poll_out,
	.fifo_fill = fifo_fill,
	.fifo_read = fifo_read,
	.irq_tx_enable = irq_tx_enable,
	.irq_tx_disable = irq_tx_disable,
	.irq_tx_ready = irq_tx_ready,
	.irq_tx_complete = irq_tx_ready,
	.irq_rx_enable = irq_rx_enable,
	.irq_rx_disable = irq_rx_disable,
	.irq_rx_ready = irq_rx_ready,
	.irq_is_pending = irq_is_pending,
	.irq_update = irq_update,
	.irq_callback_set = irq_callback_set,
};

#define CONNECT(n, name)                                                                                               \
	IRQ_CONNECT(DT_INST_IRQ_BY_NAME(n, name, irq), DT_INST_IRQ_BY_NAME(n, name, priority), interrupted,            \
		    DEVICE_DT_INST_GET(n), 0);                                                                         \
	irq_enable(DT_INST_IRQ_BY_NAME(n, name, irq));

#define DEFINE(n)                                                                                                      \
	static void connect_##n(void)                                                                                  \
	{                                                                                                              \
		CONNECT(n, tx)                                                                                         \
		CONNECT(n, rx)                                                                                         \
	}                                                                                                              \
	static struct data data_##n;                                                                                   \
	static const struct config config_##n = { (struct registers *)DT_INST_REG_ADDR(n), connect_##n };             \
	DEVICE_DT_INST_DEFINE(n, init, NULL, &data_##n, &config_##n, PRE_KERNEL_1, CONFIG_SERIAL_INIT_PRIORITY, &api);

DT_INST_FOREACH_STATUS_OKAY(DEFINE)

#define LISTEN(n) listen(DEVICE_DT_INST_GET(n));

static void listen(const struct device *dev)
{
	registers_of(dev)->ctrl |= CTRL_RX;
	(void)registers_of(dev)->data; /* the register is empty; QEMU offers waiting octets only after a read */
}

static int start_receivers(void)
{
	DT_INST_FOREACH_STATUS_OKAY(LISTEN)
	return 0;
}

/* MCUmgr's transport starts in the same level, with the default priority. */
SYS_INIT(start_receivers, APPLICATION, 99);
