/* Reads the exported certificates as firmware would, and prints the subject of each. */
#include <stdio.h>
#include <string.h>

#include <mbedtls/x509_crt.h>

#include "ca_cert.h"
#include "issuing_cert.h"
#include "device_cert.h"

static const unsigned char ca_certificate[] = {
#include "ca_cert.txt"
};
static const unsigned char issuing_certificate[] = {
#include "issuing_cert.txt"
};
static const unsigned char device_certificate[] = {
#include "device_cert.txt"
};
static const char device_chain[] =
#include "device_chain.txt"
;

/* PEM has a zero octet at the end, which mbedTLS counts. The certificate in PEM must be the one in DER. */
static int show(const char *name, const unsigned char *pem, size_t size, const unsigned char *der, size_t length)
{
	char subject[512];
	mbedtls_x509_crt crt;
	int failed, n;

	mbedtls_x509_crt_init(&crt);
	failed = mbedtls_x509_crt_parse(&crt, pem, size);
	if (!failed)
		failed = crt.next != NULL || crt.raw.len != length || memcmp(crt.raw.p, der, length) != 0;
	n = failed ? -1 : mbedtls_x509_dn_gets(subject, sizeof subject, &crt.subject);
	if (n >= 0)
		printf("%s %s\n", name, subject);
	mbedtls_x509_crt_free(&crt);
	return n < 0;
}

/* The chain of the board, as a server sees it, must verify with the root alone. */
static int verify(void)
{
	mbedtls_x509_crt root, chain;
	uint32_t flags = 0;
	int failed;

	mbedtls_x509_crt_init(&root);
	mbedtls_x509_crt_init(&chain);
	failed = mbedtls_x509_crt_parse_der(&root, ca_cert_der, sizeof ca_cert_der);
	if (!failed)
		failed = mbedtls_x509_crt_parse(&chain, (const unsigned char *)device_chain, sizeof device_chain);
	if (!failed)
		failed = mbedtls_x509_crt_verify(&chain, &root, NULL, NULL, &flags, NULL, NULL);
	if (failed)
		fprintf(stderr, "the chain: -0x%04x, flags 0x%lx\n", (unsigned)-failed, (unsigned long)flags);
	mbedtls_x509_crt_free(&root);
	mbedtls_x509_crt_free(&chain);
	return failed != 0;
}

static void print_name(const char *name, const char *text, size_t size)
{
	size_t i;

	printf("%s ", name);
	for (i = 0; i + 1 < size; i++)
		printf("%02x", (unsigned)(unsigned char)text[i]);
	printf("\n");
}

int main(void)
{
	int failed = show("ca", ca_certificate, sizeof ca_certificate, ca_cert_der, sizeof ca_cert_der);

	failed |= show("issuing", issuing_certificate, sizeof issuing_certificate, issuing_cert_der, sizeof issuing_cert_der);
	failed |= show("device", device_certificate, sizeof device_certificate, device_cert_der, sizeof device_cert_der);
	print_name("ca_common_name", ca_cert_common_name, sizeof ca_cert_common_name);
	print_name("issuing_common_name", issuing_cert_common_name, sizeof issuing_cert_common_name);
	print_name("device_common_name", device_cert_common_name, sizeof device_cert_common_name);
	return failed | verify();
}
