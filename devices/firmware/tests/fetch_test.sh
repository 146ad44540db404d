#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What fetch-mbedtls.sh makes of apt sources in each shape, with an apt configuration of its own and without network.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v apt-get >/dev/null || { echo 'fetch: no apt-get here, so nothing of it to test'; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export APT_CONFIG=$work/apt.conf MBEDTLS_SUITE=trixie
failed=0 passed=0

# Begins a new apt configuration; its sources are written by the caller.
fresh() {
	rm -rf "$work/etc"
	mkdir -p "$work"/etc/{sources.list.d,apt.conf.d,preferences.d,trusted.gpg.d,auth.conf.d} "$work/lists/partial" "$work/cache"
	printf 'Dir::Etc "%s";\nDir::State::lists "%s";\nDir::Cache "%s";\n' "$work/etc" "$work/lists" "$work/cache" >"$APT_CONFIG"
}

# verdict NAME WANT GOT
verdict() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAIL fetch: %s\nwant:\n%s\ngot:\n%s\n' "$1" "$2" "$3" >&2
	fi
}

# Writes standard input to $2 below the configuration, and compares the archives and their trust with the lines after
# it: shape NAME FILE LINE...
shape() {
	local name=$1 file=$2
	shift 2
	fresh
	cat >"$work/etc/$file"
	verdict "$name" "$(printf '%s\n' "$@")" "$(./fetch-mbedtls.sh --sources |
		grep -vE '^(Types: deb-src|Suites: trixie|Components: main|)$')"
}

shape 'deb822 that begins with a comment paragraph' sources.list.d/debian.sources \
	'URIs: http://a.example/debian' 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' <<'SOURCES'
# The sources of this machine.
# Types: deb

# URIs: http://no.example/debian

Types: deb
# a comment inside
URIs: http://a.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES

shape 'deb822 with security first' sources.list.d/debian.sources \
	'URIs: http://a.example/debian' 'Signed-By: /keys/main.gpg' <<'SOURCES'
Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /keys/security.gpg

Types: deb
URIs: http://a.example/debian
Suites: bookworm
Components: main
Signed-By: /keys/main.gpg
SOURCES

shape 'deb822 of another file name, with deb-src and a second mirror' sources.list.d/factory.sources \
	'URIs: http://a.example/debian' 'URIs: http://b.example/debian' <<'SOURCES'
Types: deb deb-src
URIs: http://a.example/debian
 http://b.example/debian/
Suites: trixie trixie-backports
Components: main contrib
SOURCES

shape 'deb822 with deb-src alone, after an entry that is off' sources.list.d/debian.sources \
	'URIs: http://a.example/debian' 'trusted: yes' <<'SOURCES'
Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Trusted: no

types: deb-src
uris: http://a.example/debian
suites: trixie
components: main
trusted: yes
SOURCES

shape 'deb822 with the key inside' sources.list.d/debian.sources \
	'URIs: http://a.example/debian' 'Signed-By:' ' -----BEGIN PGP PUBLIC KEY BLOCK-----' ' .' ' mDMEYCQjIxYJKwYBBAHaRw8BAQdA' \
	' -----END PGP PUBLIC KEY BLOCK-----' <<'SOURCES'
Types: deb
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEYCQjIxYJKwYBBAHaRw8BAQdA
 -----END PGP PUBLIC KEY BLOCK-----
URIs: http://a.example/debian
Suites: trixie
Components: main
SOURCES

shape 'one line' sources.list 'URIs: http://a.example/debian' <<'SOURCES'
deb http://a.example/debian bookworm main
SOURCES

shape 'one line each, security first, with signed-by and deb-src' sources.list \
	'URIs: http://a.example/debian' 'signed-by: /keys/a.gpg /keys/b.gpg' <<'SOURCES'
# deb cdrom:[Debian GNU/Linux 12]/ bookworm main

deb [signed-by=/keys/security.gpg] http://security.example/debian-security bookworm-security main
deb http://old.example/debian-security bullseye/updates main
deb-src [arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg] http://a.example/debian bookworm main contrib # here
deb [ arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg ] http://a.example/debian bookworm main
deb http://a.example/debian bookworm-updates main
SOURCES

shape 'one line each in another file, several mirrors, a flat archive, contrib alone' sources.list.d/factory.list \
	'URIs: http://b.example/debian' 'URIs: https://a.example/debian' <<'SOURCES'
deb http://flat.example/debian ./
deb http://contrib.example/debian bookworm contrib
deb http://b.example/debian bookworm main
deb https://a.example/debian bookworm main
SOURCES

# An archive in a folder, with a source package that holds one file.
archive() {
	local dists=$work/archive/dists/trixie pool=$work/archive/pool
	mkdir -p "$dists/main/source" "$pool" "$work/mbedtls-3.6.99/include/mbedtls"
	echo '#define MBEDTLS_VERSION_STRING "3.6.99"' >"$work/mbedtls-3.6.99/include/mbedtls/build_info.h"
	tar -cjf "$pool/mbedtls_3.6.99.orig.tar.bz2" -C "$work" mbedtls-3.6.99
	printf 'Format: 1.0\nSource: mbedtls\nVersion: 3.6.99-1\n' >"$pool/mbedtls_3.6.99-1.dsc"
	{
		printf 'Package: mbedtls\nBinary: libmbedtls-dev\nVersion: 3.6.99-1\nFormat: 1.0\nDirectory: pool\nFiles:\n'
		(cd "$pool" && for file in *; do echo " $(md5sum <"$file" | cut -d' ' -f1) $(stat -c %s "$file") $file"; done)
		echo 'Checksums-Sha256:'
		(cd "$pool" && for file in *; do echo " $(sha256sum <"$file" | cut -d' ' -f1) $(stat -c %s "$file") $file"; done)
	} >"$dists/main/source/Sources"
	{
		printf 'Origin: Debian\nSuite: stable\nCodename: trixie\nComponents: main\nSHA256:\n'
		(cd "$dists" && echo " $(sha256sum <main/source/Sources | cut -d' ' -f1) $(stat -c %s main/source/Sources) main/source/Sources")
	} >"$dists/Release"
}

archive
fresh
mkdir "$work/empty"
printf 'deb [trusted=yes] file:%s bookworm main\n' "$work/empty" "$work/archive" >"$work/etc/sources.list"
said=$(./fetch-mbedtls.sh "$work/got" 2>&1) || echo "$said" >&2
verdict 'an archive without the suite is passed over' '#define MBEDTLS_VERSION_STRING "3.6.99"' \
	"$(cat "$work/got/mbedtls/include/mbedtls/build_info.h")"
verdict 'nothing else stays in the cache' 'lock mbedtls' "$(ls "$work/got" | xargs)"

rm -r "$work/archive" "$work/got"
if said=$(./fetch-mbedtls.sh "$work/got" 2>&1); then verdict 'no archive has the suite' 'exit code 1' 'exit code 0'; fi
verdict 'where no archive has the suite, the last line says what to do' \
	"fetch-mbedtls: no archive of this machine's apt sources gave mbedTLS 3.6 of the suite trixie; set MBEDTLS_SUITE, or MBEDTLS_DIR to a source tree" \
	"$(tail -n 1 <<<"$said")"

echo "fetch: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
