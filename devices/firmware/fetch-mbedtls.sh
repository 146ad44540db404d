#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Gets the mbedTLS 3.6 source package of a Debian suite through this machine's own
# apt sources, with a private apt state: nothing in /etc/apt changes. apt's
# signature chain is the check; version and SHA-256 are printed. The result is
# $1/mbedtls. Safe to run twice at once. With --sources the script only prints the
# entries that it would try, in their order.
set -eu
usage='usage: fetch-mbedtls.sh CACHE-DIRECTORY | --sources'
suite=${MBEDTLS_SUITE:-trixie}

command -v apt-get >/dev/null || {
	echo "fetch-mbedtls: no apt-get here; unpack mbedTLS 3.6 yourself and set MBEDTLS_DIR" >&2; exit 1; }

# Prints "URI|FILE:NUMBER" for each Debian archive of this machine, as apt itself reads its sources; the second part
# is the entry that names the archive. Security, updates and backports are left out: none of them has the suite.
# Without the two options apt lists only what an earlier `apt-get update` fetched.
archives() {
	apt-get -o APT::Get::IndexTargets::Filtered=false -o APT::Get::IndexTargets::ReleaseInfo=false \
		indextargets --format '$(CREATED_BY)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)|$(SOURCESENTRY)' |
		awk -F'|' '($1 == "Packages" || $1 == "Sources") && $2 == "main" && $3 !~ /[-\/]/ && $4 !~ /^cdrom:/ && !seen[$4]++ { print $4 "|" $5 }'
}

# Prints what the entry FILE:NUMBER says about trust, as deb822 fields: apt lists everything about an entry but this.
# apt numbers the paragraphs of a .sources file without those that are comments, and the lines of a .list file.
trust() {
	fields='signed-by|trusted|check-valid-until|check-date|by-hash|allow-insecure|allow-weak|allow-downgrade-to-insecure'
	case $1 in
	*.sources:*) grep -v '^#' "${1%:*}" | awk -v RS= -v number="${1##*:}" 'NR == number' |
		awk -v fields="^($fields):" '/^[^ \t]/ { kept = tolower($0) ~ fields } kept' ;;
	*) sed -n "${1##*:}s/^[^[]*\[\([^]]*\)\].*/\1/p" "${1%:*}" | tr ' \t' '\n\n' |
		awk -v fields="^($fields)=" 'tolower($0) ~ fields { sub("=", ": "); gsub(",", " "); print }' ;;
	esac
}

# Prints a deb-src entry for the suite: source URI FILE:NUMBER.
source_entry() {
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\n' "${1%/}" "$suite"
	trust "$2"
}

if [ "${1:?$usage}" = --sources ]; then
	archives | while IFS='|' read -r uri entry; do source_entry "$uri" "$entry"; echo; done
	exit 0
fi

cache=$1
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
exec 9>"$cache/lock"
flock 9
[ -e "$cache/mbedtls/include/mbedtls/build_info.h" ] && exit 0

command -v bzip2 >/dev/null || { echo "fetch-mbedtls: bzip2 is missing; install the package bzip2" >&2; exit 1; }
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial" "$work/source"

apt() {
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" \
		-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Update::Post-Invoke-Success::= \
		-o APT::Sandbox::User= "$@"
}

# Downloads the source package from one archive: download URI FILE:NUMBER. Fails where the archive has no such suite.
download() {
	source_entry "$1" "$2" >"$work/parts/x.sources"
	apt update && (cd "$work/source" && apt source --download-only "mbedtls/$suite")
}

: >"$work/log"
archives >"$work/archives"
while IFS='|' read -r uri entry; do
	echo "fetch-mbedtls: asking $uri for mbedTLS of $suite"
	! download "$uri" "$entry" >>"$work/log" 2>&1 || break
done <"$work/archives"
tarball=$(find "$work/source" -name 'mbedtls_3.6.*.orig.tar.*' ! -name '*.asc' | head -n 1)
if [ -z "$tarball" ]; then
	cat "$work/log" >&2
	echo "fetch-mbedtls: no archive of this machine's apt sources gave mbedTLS 3.6 of the suite $suite; set MBEDTLS_SUITE, or MBEDTLS_DIR to a source tree" >&2
	exit 1
fi
mkdir "$work/tree"
tar -xf "$tarball" -C "$work/tree" --strip-components=1
echo "mbedTLS $(basename "$tarball") sha256 $(sha256sum "$tarball" | cut -d' ' -f1)"
mv "$work/tree" "$cache/mbedtls"
