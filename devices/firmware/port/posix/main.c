/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core as a Linux process: boards for tests with many boards and with faults. A
 * reset executes the same program again with the same UART, so RAM is as fresh as after
 * a real reset. Nothing protects the HUK, because the fuses are a file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <psa/crypto.h>

#include <prov/prov.h>

#include "flash_file.h"
#include "fuses_file.h"
#include "stream_socket.h"

#ifndef FIRMWARE_VERSION
#define FIRMWARE_VERSION "0.1.0"
#endif

struct board {
	const char *fuses;
	const char *flash;
	int line;
	bool readable; /* other processes of the user may read the memory */
	char **argv;
};

static int huk_open(void *ctx, uint32_t *psa_key_id)
{
	const struct board *board = ctx;

	return fuses_take_huk(board->fuses, psa_key_id);
}

static void huk_close(void *ctx, uint32_t psa_key_id)
{
	(void)ctx;
	(void)psa_destroy_key(psa_key_id); /* destroying a volatile key cannot fail in a way that matters */
}

static int entropy(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	return getentropy(buf, len) == 0 ? PROV_OK : PROV_ERR_NO_ENTROPY; /* getentropy gives at most 256 octets; mbedTLS asks for fewer */
}

static int port_send(void *ctx, const uint8_t *buf, size_t len)
{
	const struct board *board = ctx;

	while (len > 0) {
		ssize_t n = write(board->line, buf, len);
		if (n < 0 && errno != EINTR) {
			return PROV_ERR_INTERNAL;
		}
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return PROV_OK;
}

static uint32_t uptime_ms(void *ctx)
{
	struct timespec t;

	(void)ctx;
	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* fails only for an unknown clock */
	return (uint32_t)t.tv_sec * 1000u + (uint32_t)(t.tv_nsec / 1000000);
}

static void port_reboot(void *ctx)
{
	const struct board *board = ctx;

	if (isatty(board->line)) {
		(void)tcdrain(board->line);
	}
	execv("/proc/self/exe", board->argv);
	perror("resetting");
	_exit(1);
}

/* Hashes the segments that do not change while the program runs: text and constants, not data. */
static int hash_segments(struct dl_phdr_info *image, size_t size, void *operation)
{
	(void)size;
	for (unsigned i = 0; i < image->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &image->dlpi_phdr[i];
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0) {
			(void)psa_hash_update(operation, (const uint8_t *)(image->dlpi_addr + segment->p_vaddr),
					      segment->p_memsz);
		}
	}
	return 1; /* stop after the first image, which is the program; the kernel's own follows */
}

static int hash_image(uint8_t hash[32])
{
	psa_hash_operation_t operation = PSA_HASH_OPERATION_INIT;
	size_t len;

	if (psa_hash_setup(&operation, PSA_ALG_SHA_256) != PSA_SUCCESS) {
		return -1;
	}
	(void)dl_iterate_phdr(hash_segments, &operation);
	return psa_hash_finish(&operation, hash, 32, &len) == PSA_SUCCESS ? 0 : -1;
}

/*
 * A reset does not change the image, so the old process passes the image's hash to the
 * new one in the environment. Computing the hash takes longer than the rest of a start.
 */
static const char handed_on[] = "HALLMARK_IMAGE_SHA256";

static int hand_on(const uint8_t hash[32])
{
	char text[65];

	for (size_t i = 0; i < 32; i++) {
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	}
	return setenv(handed_on, text, 1);
}

static bool take_hash(uint8_t hash[32])
{
	const char *text = getenv(handed_on);

	if (text == NULL || strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64) {
		return false;
	}
	for (size_t i = 0; i < 32; i++) {
		char octet[3] = { text[2 * i], text[2 * i + 1], '\0' };
		hash[i] = (uint8_t)strtoul(octet, NULL, 16);
	}
	return true;
}

static int make_raw(int fd)
{
	struct termios t;

	if (!isatty(fd)) {
		return 0;
	}
	if (tcgetattr(fd, &t) != 0) {
		return -1;
	}
	cfmakeraw(&t);
	return tcsetattr(fd, TCSANOW, &t);
}

/* Waits for octets. Meanwhile the core ends a session whose station is silent. */
static void wait_for_octets(struct prov *prov, int line)
{
	struct pollfd ready = { .fd = line, .events = POLLIN };
	uint32_t ms;

	do {
		ms = prov_poll(prov);
	} while (poll(&ready, 1, ms > 60000u ? -1 : (int)ms) == 0);
}

/* Runs until the station closes the UART. Reading a pseudo-terminal gives EIO while nobody has its other end open. */
static int serve(struct prov *prov, int line)
{
	uint8_t octets[512];

	for (;;) {
		ssize_t n;

		wait_for_octets(prov, line);
		n = read(line, octets, sizeof octets);
		if (n > 0) {
			prov_smp_receive(prov, octets, (size_t)n);
		} else if (n == 0 || (errno != EINTR && errno != EIO)) {
			return n == 0 ? 0 : 1;
		} else if (errno == EIO) {
			usleep(10000);
		}
	}
}

static int usage(void)
{
	fputs("usage: hallmark-posix -fuses FILE -flash FILE (-line FD | -pty)\n"
	      "  -fuses FILE         32 octets HUK, 16 octets hardware id\n"
	      "  -flash FILE         the store, made when missing, NOR rules\n"
	      "  -line FD            inherited stream socket or tty to the station\n"
	      "  -pty                make a pty instead and print its path\n"
	      "  -board-type NAME    1 to 24 octets, posix by default\n"
	      "  -huk-source NAME    fuses (default) or development\n"
	      "  -no-network         no network handshake, as a board without a network\n"
	      "  -silence MS         a TLS session ends after so many milliseconds without a request, 30000 by default\n"
	      "  -readable-memory    the same user may read the board's memory, for tests\n"
	      "  -cut-after N        lose power in the middle of the Nth flash operation, exit code 9\n",
	      stderr);
	return 2;
}

static int open_pty(void)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY);

	if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0) {
		return -1;
	}
	printf("%s\n", ptsname(fd));
	fflush(stdout);
	return fd;
}

static int number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	return *text == '\0' || *end != '\0' || n < 0 || n > 1000000 ? -1 : (int)n;
}

/* A reset keeps the pseudo-terminal: the new process gets its descriptor's number. */
static char **with_line(char **argv, int fd)
{
	static char text[sizeof "-line=-2147483648"]; /* room for any int */

	for (char **a = argv; *a != NULL; a++) {
		if (strcmp(*a, "-pty") == 0) {
			snprintf(text, sizeof text, "-line=%d", fd);
			*a = text;
		}
	}
	return argv;
}

static bool is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= PROV_TEXT_MAX;
}

static int parse(struct board *board, struct prov_port *port, int argc, char **argv)
{
	struct prov_facts *facts = &port->facts;

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "-pty") == 0) {
			board->line = open_pty();
			continue;
		}
		if (strncmp(argv[i], "-line=", 6) == 0) {
			board->line = number(argv[i] + 6);
			continue;
		}
		if (strcmp(argv[i], "-no-network") == 0) {
			port->stream = NULL;
			continue;
		}
		if (strcmp(argv[i], "-readable-memory") == 0) {
			board->readable = true;
			continue;
		}
		if (value == NULL) {
			return usage();
		}
		if (strcmp(argv[i], "-fuses") == 0) {
			board->fuses = value;
		} else if (strcmp(argv[i], "-flash") == 0) {
			board->flash = value;
		} else if (strcmp(argv[i], "-line") == 0) {
			board->line = number(value);
		} else if (strcmp(argv[i], "-cut-after") == 0 && number(value) > 0) {
			flash_file_cut_after((unsigned)number(value));
		} else if (strcmp(argv[i], "-silence") == 0 && number(value) > 0) {
			port->silence_ms = (uint32_t)number(value);
		} else if (strcmp(argv[i], "-board-type") == 0 && is_name(value)) {
			facts->board_type = value;
		} else if (strcmp(argv[i], "-huk-source") == 0 && strcmp(value, "development") == 0) {
			facts->huk_source = PROV_HUK_DEVELOPMENT;
		} else if (strcmp(argv[i], "-huk-source") != 0 || strcmp(value, "fuses") != 0) {
			return usage();
		}
		i++;
	}
	return board->fuses != NULL && board->flash != NULL && board->line >= 0 ? 0 : usage();
}

int main(int argc, char **argv)
{
	static _Alignas(8) uint8_t memory[PROV_SIZE];
	struct prov *prov = (struct prov *)memory;
	struct board board = { .line = -1, .argv = argv };
	struct prov_port port = {
		.ctx = &board,
		.facts = { .board_type = "posix", .firmware_version = FIRMWARE_VERSION, .hardware_id_len = FUSES_ID_SIZE,
			   .huk_source = PROV_HUK_FUSES },
		.flash = { FLASH_SECTOR_SIZE, FLASH_SECTOR_COUNT, FLASH_WRITE_SIZE },
		.huk_open = huk_open, .huk_close = huk_close, .entropy = entropy,
		.flash_read = flash_file_read, .flash_write = flash_file_write, .flash_erase = flash_file_erase,
		.send = port_send, .stream = &stream_socket, .uptime_ms = uptime_ms, .reboot = port_reboot,
	};

	if (parse(&board, &port, argc, argv) != 0) {
		return 2;
	}
	board.argv = with_line(argv, board.line);
	signal(SIGPIPE, SIG_IGN);
	/* The board ends with the station. Its memory holds a key, so it makes no core file and allows no tracer. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, board.readable ? 1 : 0) != 0 || make_raw(board.line) != 0) {
		perror("preparing the process");
		return 1;
	}
	if (flash_file_open(board.flash) != 0 || fuses_read_id(board.fuses, port.facts.hardware_id) != 0) {
		perror("opening fuses and flash");
		return 1;
	}
	if (!take_hash(port.facts.firmware_hash) &&
	    (hash_image(port.facts.firmware_hash) != 0 || hand_on(port.facts.firmware_hash) != 0)) {
		fputs("hashing the image: no SHA-256\n", stderr);
		return 1;
	}
	(void)prov_init(prov, &port); /* a board without an identity answers with the reason */
	return serve(prov, board.line);
}
