/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prov-fuzz LAW TIME [SEED]   changes inputs for that long (3s, 5m) and checks the law for each
 * prov-fuzz LAW FILE          checks the law for the input in the file
 *
 * gcc has no libFuzzer, but it calls a function at each edge of the core (-fsanitize-coverage=trace-pc). An input that
 * reaches a new edge becomes a seed. The sanitizers check the memory. An input that breaks a law, or needs
 * more than ten seconds, is stored in the directory FUZZ_FOUND, and its file is named.
 */
#include "fuzz.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>

#include "board.h"
#include "test.h"

#define SEEDS_MAX 4096u
#define EDGES 65536u
#define LIMIT_SECONDS 10u /* for one input */

#ifndef FUZZ_FOUND
#define FUZZ_FOUND "."
#endif

struct input {
	uint8_t *at;
	size_t len;
};

static struct input seeds[SEEDS_MAX];
static unsigned seed_count;
static uint8_t now[INPUT_MAX];
static size_t now_len;
static const struct law *law;
static uint32_t random_state;
static uint8_t seen[EDGES];
static unsigned edges;
static bool fresh; /* this input has reached a new edge */

void __sanitizer_cov_trace_pc(void);

__attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc(void)
{
	static uintptr_t before;
	uintptr_t here = (uintptr_t)__builtin_return_address(0);
	unsigned edge = (unsigned)((here ^ here >> 16 ^ before) % EDGES);

	before = here >> 1;
	if (seen[edge] == 0) {
		seen[edge] = 1;
		edges++;
		fresh = true;
	}
}

static unsigned below(unsigned n)
{
	return next_random(&random_state) % n;
}

void fuzz_seed(const uint8_t *input, size_t len)
{
	if (seed_count == SEEDS_MAX || len > INPUT_MAX) {
		return;
	}
	seeds[seed_count].at = malloc(len + 1u);
	memcpy(seeds[seed_count].at, input, len);
	seeds[seed_count++].len = len;
}

/* Stores the input that breaks the law. Sanitizers call this function, too. */
static void keep(void)
{
	static char path[512];
	FILE *file;

	(void)snprintf(path, sizeof path, FUZZ_FOUND "/%s-%08x", law->name, (unsigned)random_state);
	file = fopen(path, "wb");
	if (file != NULL) {
		(void)fwrite(now, 1, now_len, file);
		(void)fclose(file);
	}
	fprintf(stderr, "%s: an input of %u octets breaks the law: prov-fuzz %s %s\n", law->name, (unsigned)now_len, law->name, path);
}

bool check(bool ok, const char *file, int line, const char *format, ...)
{
	va_list args;

	if (ok) {
		return true;
	}
	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	keep();
	_exit(1);
}

static void too_slow(int signal_number)
{
	(void)signal_number;
	keep();
	_exit(1);
}

static void try_input(void)
{
	(void)alarm(LIMIT_SECONDS);
	law->check(now, now_len);
	(void)alarm(0);
}

/* Octets that heads of CBOR, DER, TLS and frames have. */
static const uint8_t special[] = { 0x00, 0x01, 0x04, 0x06, 0x09, 0x0a, 0x14, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x30, 0x3d, 0x58,
				   0x59, 0x5f, 0x60, 0x7a, 0x7f, 0x80, 0x82, 0x84, 0xa0, 0xa3, 0xbf, 0xf5, 0xf6, 0xff };

static void change_once(void)
{
	size_t at = now_len > 0 ? below((unsigned)now_len) : 0, n = 1u + below(below(8) == 0 ? 64 : 8);
	const struct input *other = &seeds[below(seed_count)];

	switch (now_len > 0 ? below(8) : 6) {
	case 0:
		now[at] = (uint8_t)(now[at] ^ 1u << below(8));
		break;
	case 1:
		now[at] = (uint8_t)below(256);
		break;
	case 2:
		now[at] = special[below(sizeof special)];
		break;
	case 3: /* cut out */
		n = n < now_len - at ? n : now_len - at;
		memmove(now + at, now + at + n, now_len - at - n);
		now_len -= n;
		break;
	case 4: /* repeat */
		n = n < now_len - at ? n : now_len - at;
		n = n < INPUT_MAX - now_len ? n : INPUT_MAX - now_len;
		memmove(now + at + n, now + at, now_len - at);
		now_len += n;
		break;
	case 5:
		now_len = at;
		break;
	case 6: /* append another seed */
		n = other->len < INPUT_MAX - now_len ? other->len : INPUT_MAX - now_len;
		memcpy(now + now_len, other->at, n);
		now_len += n;
		break;
	default: /* a piece of another seed in this place */
		if (other->len > 0) {
			size_t from = below((unsigned)other->len);
			n = n < other->len - from ? n : other->len - from;
			n = n < now_len - at ? n : now_len - at;
			memcpy(now + at, other->at + from, n);
		}
		break;
	}
}

static void change(void)
{
	const struct input *seed = &seeds[below(seed_count)];

	memcpy(now, seed->at, seed->len);
	now_len = seed->len;
	for (unsigned times = 1u + below(6); times > 0; times--) {
		change_once();
	}
}

static unsigned long run(unsigned long seconds)
{
	const time_t end = time(NULL) + (time_t)seconds;
	unsigned long count = 0;
	unsigned first = seed_count;

	for (unsigned i = 0; i < first; i++, count++) { /* the seeds themselves */
		memcpy(now, seeds[i].at, seeds[i].len);
		now_len = seeds[i].len;
		try_input();
	}
	for (; time(NULL) < end; count++) {
		fresh = false;
		change();
		try_input();
		if (fresh) {
			fuzz_seed(now, now_len);
		}
	}
	return count;
}

static int check_file(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (file == NULL) {
		fprintf(stderr, "%s cannot be read: want a time such as 3s or 5m, or a file with an input\n", path);
		return 2;
	}
	now_len = fread(now, 1, sizeof now, file);
	(void)fclose(file);
	try_input();
	printf("%s: the law holds for %u octets\n", law->name, (unsigned)now_len);
	return 0;
}

/* Seconds of a time such as 3s, 5m or 1h; 0: it is none. */
static unsigned long seconds_of(const char *text)
{
	char *unit;
	unsigned long number = strtoul(text, &unit, 10);
	const char *known = strchr("smh", *unit);

	if (unit == text || *unit == '\0' || known == NULL || unit[1] != '\0') {
		return 0;
	}
	return number * (*unit == 's' ? 1u : *unit == 'm' ? 60u : 3600u);
}

int main(int argc, char **argv)
{
	unsigned long seconds;

	for (law = laws; law->name != NULL && (argc < 3 || strcmp(law->name, argv[1]) != 0); law++) {
	}
	if (law->name == NULL) {
		fputs("usage: prov-fuzz LAW TIME [SEED] | prov-fuzz LAW FILE; the laws:", stderr);
		for (law = laws; law->name != NULL; law++) {
			fprintf(stderr, " %s", law->name);
		}
		fputc('\n', stderr);
		return 2;
	}
	__sanitizer_set_death_callback(keep);
	(void)signal(SIGALRM, too_slow);
	law->start();
	seconds = seconds_of(argv[2]);
	if (seconds == 0) {
		return check_file(argv[2]);
	}
	random_state = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 0) : (uint32_t)time(NULL) * 2654435761u;
	random_state += random_state == 0;
	unsigned first = random_state, started = seed_count;
	unsigned long count = run(seconds);
	printf("%-14s %8lu inputs, %5u edges of the core, %4u seeds of %u, seed %#x\n", law->name, count, edges, seed_count, started, first);
	return 0;
}
