/* SPDX-License-Identifier: Apache-2.0 */
/* What may be stored, and in which order (PROTOCOL.md section 4, "write", on commit). */
#include "ca.h"
#include "requests.h"
#include "test.h"

#include <string.h>

#define PIECE 400u

static struct board board;
static struct hierarchy h;

static void start(void)
{
	board_make(&board);
	CHECK(board_start(&board) == PROV_OK, "starting");
	h = ca_hierarchy(&board);
}

static int put(unsigned slot, const struct certificate *c)
{
	return board_write(&board, slot, c->der, c->len, PIECE);
}

static void put_all(void)
{
	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK, "writing the trust anchor");
	CHECK(put(SLOT_CHAIN, &h.issuing) == PROV_OK, "writing the chain");
	CHECK(put(SLOT_CERTIFICATE, &h.leaf) == PROV_OK, "writing the certificate");
	CHECK(put(SLOT_COSE, &h.cose) == PROV_OK, "writing the COSE certificate");
}

static bool holds(unsigned slot, const struct certificate *c)
{
	const uint8_t *d;
	size_t len;
	int64_t total;

	return ask_read(&board, slot, 0) == PROV_OK && answer_number(&board, "l", &total) && (size_t)total == c->len &&
	       answer_octets(&board, "d", &d, &len) && len == c->len && memcmp(d, c->der, len) == 0;
}

static void the_usual_hierarchy_is_stored(void)
{
	start();
	put_all();
	CHECK(board_start(&board) == PROV_OK, "starting again");
	CHECK(holds(SLOT_ANCHOR, &h.root) && holds(SLOT_CHAIN, &h.issuing) && holds(SLOT_CERTIFICATE, &h.leaf) &&
		      holds(SLOT_COSE, &h.cose),
	      "something else is read back after a reset");
}

static void the_anchor_may_issue_directly(void)
{
	start();
	struct issue i = issue_leaf(h.root_key, board.prov.identity.keys[PURPOSE_TLS].id);
	i.issuer = "O=Test,CN=Root";
	struct certificate leaf = ca_issue(&i);

	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK && put(SLOT_CERTIFICATE, &leaf) == PROV_OK, "refused");
	CHECK(holds(SLOT_CERTIFICATE, &leaf), "lost");
}

static void refuses(int want, unsigned slot, const struct certificate *c, const char *what)
{
	unsigned changes = board.changes;
	int err = put(slot, c);

	CHECK(err == want, "%s: %d, want %d", what, err, want);
	CHECK(board.changes == changes, "%s: flash was changed", what);
}

static void nothing_before_the_anchor(void)
{
	start();
	refuses(PROV_ERR_NO_ANCHOR, SLOT_CHAIN, &h.issuing, "a chain");
	refuses(PROV_ERR_NO_ANCHOR, SLOT_CERTIFICATE, &h.leaf, "a certificate");
}

static void what_is_not_one_certificate_is_refused(void)
{
	struct certificate c;

	start();
	c = h.root;
	c.len--;
	refuses(PROV_ERR_BAD_CERTIFICATE, SLOT_ANCHOR, &c, "the last octet is missing");
	c = h.root;
	c.der[c.len++] = 0;
	refuses(PROV_ERR_BAD_CERTIFICATE, SLOT_ANCHOR, &c, "an octet behind it");
	memcpy(c.der + h.root.len, h.issuing.der, h.issuing.len);
	c.len = h.root.len + h.issuing.len;
	refuses(c.len > SLOT_SIZE ? PROV_ERR_STORE_FULL : PROV_ERR_BAD_CERTIFICATE, SLOT_ANCHOR, &c, "two of them");
	memset(c.der, 0x30, c.len = 100);
	refuses(PROV_ERR_BAD_CERTIFICATE, SLOT_ANCHOR, &c, "nonsense");
	c.len = 0;
	refuses(PROV_ERR_BAD_CERTIFICATE, SLOT_ANCHOR, &c, "nothing");
	memcpy(c.der, "-----BEGIN CERTIFICATE-----\n", c.len = 28);
	refuses(PROV_ERR_BAD_CERTIFICATE, SLOT_ANCHOR, &c, "PEM");
}

static void anchors_are_self_signed_cas(void)
{
	start();
	struct issue i = issue_root(h.root_key);
	i.is_ca = false;
	struct certificate c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_ANCHOR, &c, "not a CA");
	i = issue_root(h.root_key);
	i.key_usage = MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_ANCHOR, &c, "key usage without keyCertSign");
	i = issue_root(h.root_key);
	i.issuer_key = h.issuing_key;
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_ANCHOR, &c, "its own name and another's signature");
	i = issue_root(h.root_key);
	i.issuer = "CN=Somebody";
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_ANCHOR, &c, "its own signature and another's name");
	refuses(PROV_ERR_UNTRUSTED, SLOT_ANCHOR, &h.issuing, "an intermediate");
	c = h.root;
	c.der[c.len - 1] ^= 1u;
	refuses(PROV_ERR_UNTRUSTED, SLOT_ANCHOR, &c, "a broken signature");
}

static void chains_are_cas_of_the_anchor(void)
{
	start();
	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK, "writing the trust anchor");
	struct issue i = issue_issuing(h.root_key, h.issuing_key);
	i.is_ca = false;
	struct certificate c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_CHAIN, &c, "not a CA");
	i = issue_issuing(h.issuing_key, h.issuing_key);
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_CHAIN, &c, "another's signature");
	i = issue_issuing(h.root_key, h.issuing_key);
	i.issuer = "CN=Root,O=Test";
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_CHAIN, &c, "the issuer's name in another order");
	i = issue_issuing(h.root_key, h.issuing_key);
	i.key_usage = MBEDTLS_X509_KU_CRL_SIGN;
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_CHAIN, &c, "key usage without keyCertSign");
}

static void an_anchor_may_forbid_a_chain(void)
{
	start();
	struct issue i = issue_root(h.root_key);
	i.path_length = 0;
	struct certificate narrow = ca_issue(&i);

	CHECK(put(SLOT_ANCHOR, &narrow) == PROV_OK, "writing a trust anchor with path length 0");
	refuses(PROV_ERR_UNTRUSTED, SLOT_CHAIN, &h.issuing, "an intermediate below path length 0");
}

static void certificates_are_the_boards_own(void)
{
	start();
	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK && put(SLOT_CHAIN, &h.issuing) == PROV_OK, "writing the CAs");
	struct issue i = issue_leaf(h.issuing_key, h.root_key);
	struct certificate c = ca_issue(&i);
	refuses(PROV_ERR_FOREIGN_KEY, SLOT_CERTIFICATE, &c, "another's key");
	i = issue_leaf(h.root_key, board.prov.identity.keys[PURPOSE_TLS].id);
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_CERTIFICATE, &c, "signed by the root in the issuing CA's name");
	i.issuer = "O=Test,CN=Root";
	c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_CERTIFICATE, &c, "signed by the root beside the chain");
	c = h.leaf;
	c.der[c.len / 2] ^= 1u;
	int err = put(SLOT_CERTIFICATE, &c);
	CHECK(err == PROV_ERR_UNTRUSTED || err == PROV_ERR_FOREIGN_KEY || err == PROV_ERR_BAD_CERTIFICATE,
	      "a bit was changed: %d", err);
}

/* Each certificate fits its own key and slot only. */
static void each_purpose_has_its_own_key(void)
{
	int64_t stored = 0;

	start();
	refuses(PROV_ERR_NO_ANCHOR, SLOT_COSE, &h.cose, "a COSE certificate before the trust anchor");
	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK && put(SLOT_CHAIN, &h.issuing) == PROV_OK, "writing the CAs");
	refuses(PROV_ERR_FOREIGN_KEY, SLOT_CERTIFICATE, &h.cose, "the COSE key in the slot of the handshake");
	refuses(PROV_ERR_FOREIGN_KEY, SLOT_COSE, &h.leaf, "the TLS key in the slot of COSE");
	struct issue i = issue_leaf(h.root_key, board.prov.identity.keys[PURPOSE_COSE].id);
	struct certificate c = ca_issue(&i);
	refuses(PROV_ERR_UNTRUSTED, SLOT_COSE, &c, "signed by the root in the issuing CA's name");
	CHECK(put(SLOT_COSE, &h.cose) == PROV_OK, "a COSE certificate without the other one");
	CHECK(ask_hello(&board) == PROV_OK && answer_number(&board, "st", &stored) && stored == 0x0b, "hello: st %d", (int)stored);
}

/* Replacing one of the two certificates keeps the other. */
static void a_certificate_outlives_the_one_beside_it(void)
{
	start();
	put_all();
	struct issue i = issue_leaf(h.issuing_key, board.prov.identity.keys[PURPOSE_TLS].id);
	struct certificate leaf = ca_issue(&i);
	i = issue_leaf(h.issuing_key, board.prov.identity.keys[PURPOSE_COSE].id);
	struct certificate cose = ca_issue(&i);

	CHECK(put(SLOT_CERTIFICATE, &leaf) == PROV_OK && holds(SLOT_COSE, &h.cose), "the COSE certificate went with the other");
	CHECK(put(SLOT_COSE, &cose) == PROV_OK && holds(SLOT_CERTIFICATE, &leaf), "the certificate went with the COSE one");
}

/* Two kilobytes of CAs, two of certificates and a header do not fit into a sector of 4096 octets. */
static void objects_that_are_too_long_together_are_store_full(void)
{
	start();
	struct issue issues[] = { issue_root(h.root_key), issue_issuing(h.root_key, h.issuing_key),
				  issue_leaf(h.issuing_key, board.prov.identity.keys[PURPOSE_TLS].id),
				  issue_leaf(h.issuing_key, board.prov.identity.keys[PURPOSE_COSE].id) };
	struct certificate c[SLOT_COUNT];

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		issues[slot].padding = 400;
		c[slot] = ca_issue(&issues[slot]);
		while (c[slot].len < SLOT_SIZE - 5u) { /* a signature has 70 to 72 octets, mostly */
			issues[slot].padding += SLOT_SIZE - 3u - c[slot].len;
			c[slot] = ca_issue(&issues[slot]);
		}
		if (!CHECK(c[slot].len <= SLOT_SIZE, "%u octets", (unsigned)c[slot].len)) {
			return;
		}
	}
	CHECK(put(SLOT_ANCHOR, &c[0]) == PROV_OK && put(SLOT_CHAIN, &c[1]) == PROV_OK &&
		      put(SLOT_CERTIFICATE, &c[2]) == PROV_OK, "three of them");
	refuses(PROV_ERR_STORE_FULL, SLOT_COSE, &c[3], "the fourth");
	CHECK(holds(SLOT_CERTIFICATE, &c[2]) && put(SLOT_COSE, &h.cose) == PROV_OK && holds(SLOT_CERTIFICATE, &c[2]), "a shorter one");
}

static void a_leaf_signs_nothing(void)
{
	start();
	struct issue i = issue_leaf(h.root_key, h.issuing_key);
	i.issuer = "O=Test,CN=Root";
	i.subject = "O=Test,CN=Issuing";
	struct certificate leaf_as_ca = ca_issue(&i);

	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK, "writing the trust anchor");
	refuses(PROV_ERR_UNTRUSTED, SLOT_CHAIN, &leaf_as_ca, "a leaf as chain");
	refuses(PROV_ERR_UNTRUSTED, SLOT_CERTIFICATE, &h.leaf, "a certificate of a CA that is not in the chain");
}

static void what_is_too_long_is_refused_at_the_first_piece(void)
{
	start();
	struct issue i = issue_root(h.root_key);
	i.padding = 700;
	struct certificate c = ca_issue(&i);

	CHECK(c.len > SLOT_SIZE, "a certificate of %u octets", (unsigned)c.len);
	refuses(PROV_ERR_STORE_FULL, SLOT_ANCHOR, &c, "too long");
	i.padding = 600;
	c = ca_issue(&i);
	CHECK(c.len <= SLOT_SIZE && put(SLOT_ANCHOR, &c) == PROV_OK, "%u octets fit", (unsigned)c.len);
}

static void what_depends_goes_in_the_same_step(void)
{
	start();
	put_all();
	struct issue i = issue_issuing(h.root_key, h.issuing_key);
	struct certificate other = ca_issue(&i);

	CHECK(put(SLOT_CHAIN, &other) == PROV_OK && holds(SLOT_ANCHOR, &h.root), "another chain");
	CHECK(ask_read(&board, SLOT_CERTIFICATE, 0) == PROV_ERR_EMPTY && ask_read(&board, SLOT_COSE, 0) == PROV_ERR_EMPTY,
	      "a certificate outlives its chain");
	CHECK(put(SLOT_CERTIFICATE, &h.leaf) == PROV_OK && put(SLOT_COSE, &h.cose) == PROV_OK, "the certificates again");
	i = issue_root(h.root_key);
	other = ca_issue(&i);
	unsigned erased = board.changes;
	CHECK(put(SLOT_ANCHOR, &other) == PROV_OK && board.changes > erased, "another trust anchor");
	CHECK(ask_read(&board, SLOT_CHAIN, 0) == PROV_ERR_EMPTY && ask_read(&board, SLOT_CERTIFICATE, 0) == PROV_ERR_EMPTY &&
		      ask_read(&board, SLOT_COSE, 0) == PROV_ERR_EMPTY,
	      "something outlives its trust anchor");
}

static void the_same_again_writes_nothing(void)
{
	start();
	put_all();
	unsigned changes = board.changes;

	put_all();
	CHECK(board.changes == changes, "%u flash operations", board.changes - changes);
	CHECK(holds(SLOT_CHAIN, &h.issuing) && holds(SLOT_CERTIFICATE, &h.leaf), "something was erased");
}

static void a_board_without_certificate_is_not_sealed(void)
{
	start();
	CHECK(ask_seal(&board) == PROV_ERR_EMPTY, "an empty board was sealed");
	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK && ask_seal(&board) == PROV_ERR_EMPTY && !prov_store_sealed(&board.prov.store),
	      "a board with an anchor alone was sealed");
}

/* With such a certificate the board could sign certificates that its own servers trust. */
static void a_boards_certificate_is_no_ca(void)
{
	start();
	CHECK(put(SLOT_ANCHOR, &h.root) == PROV_OK && put(SLOT_CHAIN, &h.issuing) == PROV_OK, "anchor and chain");
	for (unsigned purpose = 0; purpose < PURPOSE_COUNT; purpose++) {
		struct issue i = issue_leaf(h.issuing_key, board.prov.identity.keys[purpose].id);
		i.is_ca = true;
		struct certificate ca = ca_issue(&i);
		refuses(PROV_ERR_BAD_CERTIFICATE, purpose == PURPOSE_TLS ? SLOT_CERTIFICATE : SLOT_COSE, &ca, "a CA");
	}
}

static void a_sealed_board_takes_nothing_new(void)
{
	start();
	put_all();
	struct issue i = issue_leaf(h.issuing_key, board.prov.identity.keys[PURPOSE_TLS].id);
	struct certificate new_leaf = ca_issue(&i);
	i = issue_leaf(h.issuing_key, h.root_key);
	struct certificate foreign = ca_issue(&i), nonsense = { .len = 3 };

	CHECK(ask_seal(&board) == PROV_OK && ask_seal(&board) == PROV_OK, "sealing twice");
	for (int reset = 0; reset < 2; reset++) {
		refuses(PROV_ERR_SEALED, SLOT_CERTIFICATE, &new_leaf, "a good certificate");
		refuses(PROV_ERR_SEALED, SLOT_CERTIFICATE, &foreign, "a foreign certificate");
		refuses(PROV_ERR_SEALED, SLOT_ANCHOR, &nonsense, "nonsense");
		refuses(PROV_OK, SLOT_CERTIFICATE, &h.leaf, "what is there already");
		CHECK(board_start(&board) == PROV_OK, "starting again");
	}
	CHECK(holds(SLOT_CERTIFICATE, &h.leaf), "the certificate is gone");
	board_stop(&board);
}

const struct test certificate_tests[] = {
	{ "a board without certificate is not sealed", a_board_without_certificate_is_not_sealed },
	{ "a board's certificate is no CA's", a_boards_certificate_is_no_ca },
	{ "trust anchor, chain and certificate are stored and read back after a reset", the_usual_hierarchy_is_stored },
	{ "the trust anchor may issue without a chain", the_anchor_may_issue_directly },
	{ "chain and certificate before the trust anchor are no-anchor", nothing_before_the_anchor },
	{ "what is not exactly one DER certificate is bad-certificate", what_is_not_one_certificate_is_refused },
	{ "a trust anchor that is not a self-signed CA is untrusted", anchors_are_self_signed_cas },
	{ "a chain that is not a CA of the trust anchor is untrusted", chains_are_cas_of_the_anchor },
	{ "a trust anchor with path length 0 takes no chain", an_anchor_may_forbid_a_chain },
	{ "a certificate with another key is foreign-key, of another CA untrusted", certificates_are_the_boards_own },
	{ "a certificate belongs to the key of its slot", each_purpose_has_its_own_key },
	{ "a certificate outlives the one beside it", a_certificate_outlives_the_one_beside_it },
	{ "certificates that are too long together are store-full, and nothing is lost",
	  objects_that_are_too_long_together_are_store_full },
	{ "a leaf signs nothing", a_leaf_signs_nothing },
	{ "what is longer than its slot is store-full at the first piece",
	  what_is_too_long_is_refused_at_the_first_piece },
	{ "what depends on a replaced slot goes with it", what_depends_goes_in_the_same_step },
	{ "the same content again writes nothing", the_same_again_writes_nothing },
	{ "a sealed board refuses everything new, through resets", a_sealed_board_takes_nothing_new },
	{ 0 },
};
