/* SPDX-License-Identifier: Apache-2.0 */
/* A certification authority for tests. Keys are volatile PSA keys: they exist until the board starts again. */
#ifndef CA_H
#define CA_H

#include "board.h"

#define CERTIFICATE_MAX 2048u

struct certificate {
	uint8_t der[CERTIFICATE_MAX];
	size_t len;
};

struct issue {
	const char *issuer, *subject;	     /* names in mbedTLS's notation */
	psa_key_id_t issuer_key, subject_key;
	bool is_ca;
	int path_length;		     /* -1: none */
	unsigned key_usage;		     /* 0: no key usage extension */
	size_t padding;			     /* octets of an extension with an unknown OID */
	bool sha512;
};

psa_key_id_t ca_key(void);
struct certificate ca_issue(const struct issue *issue);

/* A hierarchy for a running board: root, issuing CA, and the board's certificates from the issuing CA. */
struct hierarchy {
	psa_key_id_t root_key, issuing_key;
	struct certificate root, issuing, leaf, cose;
};

struct hierarchy ca_hierarchy(const struct board *b);

/* The certificates of the hierarchy as struct issue, so that a test can change them. */
struct issue issue_root(psa_key_id_t root);
struct issue issue_issuing(psa_key_id_t root, psa_key_id_t issuing);
struct issue issue_leaf(psa_key_id_t issuing, psa_key_id_t board);

/* An update file for a board (PROTOCOL.md section 4, "update"). */
struct update {
	uint8_t octets[6000];
	size_t len;
};

struct update_plan {
	psa_key_id_t key;	/* signs */
	const uint8_t *board_id;
	const char *type;	/* NULL: the right one */
	uint32_t counter;
	const struct certificate *objects[SLOT_COUNT]; /* NULL: the slot stays */
	uint32_t other_slots;	/* changes the manifest's bits */
	bool other_hash;
};

struct update ca_update(const struct update_plan *plan);

/* Sends an update in pieces of at most `piece` octets. */
int board_update(struct board *b, const struct update *u, size_t piece);

#endif
