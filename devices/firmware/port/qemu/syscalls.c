/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that newlib needs: a heap for mbedTLS and an end for abort(). There are no files. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "uart.h"

extern uint8_t heap_start[], heap_end[];

void *_sbrk(ptrdiff_t increment);
void _exit(int status) __attribute__((noreturn));
int _kill(int pid, int signal);
int _getpid(void);
int _read(int file, void *buf, size_t len);
int _write(int file, const void *buf, size_t len);
int _close(int file);
int _fstat(int file, void *status);
int _isatty(int file);
int _lseek(int file, int offset, int whence);

static int no_files(void)
{
	errno = ENOSYS;
	return -1;
}

void *_sbrk(ptrdiff_t increment)
{
	static uint8_t *top = heap_start;
	uint8_t *old = top;

	if (increment > heap_end - top || increment < heap_start - top) {
		errno = ENOMEM;
		return (void *)-1; /* newlib's value for an error */
	}
	top += increment;
	return old;
}

void _exit(int status)
{
	(void)status;
	cpu_irq_off();
	uart_text_polled("\r\nexit\r\n");
	for (;;) {
		cpu_sleep();
	}
}

int _kill(int pid, int signal)
{
	(void)pid;
	(void)signal;
	_exit(1);
}

int _getpid(void)
{
	return 1;
}

/* snprintf links all of stdio, which refers to these functions. They are never called. */
int _read(int file, void *buf, size_t len)
{
	(void)file, (void)buf, (void)len;
	return no_files();
}

int _write(int file, const void *buf, size_t len)
{
	(void)file, (void)buf, (void)len;
	return no_files();
}

int _close(int file)
{
	(void)file;
	return no_files();
}

int _fstat(int file, void *status)
{
	(void)file, (void)status;
	return no_files();
}

int _isatty(int file)
{
	(void)file;
	return no_files();
}

int _lseek(int file, int offset, int whence)
{
	(void)file, (void)offset, (void)whence;
	return no_files();
}
