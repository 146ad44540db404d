/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%.*s", (int)strcspn(from, "\n"), from);
}

static void add_hex(uint8_t *to, size_t size, size_t *len, const char *row)
{
	unsigned octet;

	for (; sscanf(row, "%2x", &octet) == 1 && CHECK(*len < size, "a vector is too long"); row += 2) {
		to[(*len)++] = (uint8_t)octet;
	}
}

static void add_row(struct vector *v, unsigned part, const char *row)
{
	if (part == 0 && strncmp(row, "expect: ", 8) == 0) {
		copy(v->expect, sizeof v->expect, row + 8);
	} else if (part == 0 && strncmp(row, "refusal: ", 9) == 0) {
		copy(v->refusal, sizeof v->refusal, row + 9);
	} else if (part == 1) {
		add_hex(v->line, sizeof v->line, &v->line_len, row);
	} else if (part == 2) {
		add_hex(v->message, sizeof v->message, &v->message_len, row);
	}
}

static void read_vector(const char *name, void (*use)(const struct vector *v))
{
	static struct vector v;
	char path[512], row[256];
	unsigned part = 0;

	snprintf(path, sizeof path, "%s/%s", VECTORS, name);
	FILE *f = fopen(path, "r");
	if (!CHECK(f != NULL, "opening %s", path)) {
		return;
	}
	memset(&v, 0, sizeof v);
	copy(v.name, sizeof v.name, name);
	while (fgets(row, sizeof row, f) != NULL) {
		part += row[0] == '\n';
		add_row(&v, part, row);
	}
	fclose(f);
	CHECK(v.expect[0] != '\0' && v.line_len > 0, "%s has no expectation or no octets", name);
	use(&v);
}

unsigned vectors_each(const char *prefix, void (*use)(const struct vector *v))
{
	DIR *dir = opendir(VECTORS);
	unsigned count = 0;

	if (!CHECK(dir != NULL, "opening %s", VECTORS)) {
		return 0;
	}
	for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
			read_vector(entry->d_name, use);
			count++;
		}
	}
	closedir(dir);
	return count;
}
