#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Gets the mbedTLS 3.6 source package of a Debian suite through this machine's own
# apt sources, with a private apt state: nothing in /etc/apt changes. apt's
# signature chain is the check; version and SHA-256 are printed. The result is
# $1/mbedtls. Safe to run twice at once.
set -eu
cache=${1:?usage: fetch-mbedtls.sh CACHE-DIRECTORY}
suite=${MBEDTLS_SUITE:-trixie}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
exec 9>"$cache/lock"
flock 9
[ -e "$cache/mbedtls/include/mbedtls/build_info.h" ] && exit 0

command -v apt-get >/dev/null || {
	echo "fetch-mbedtls: no apt-get here; unpack mbedTLS 3.6 yourself and set MBEDTLS_DIR" >&2; exit 1; }
command -v bzip2 >/dev/null || { echo "fetch-mbedtls: bzip2 is missing; install the package bzip2" >&2; exit 1; }
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial" "$work/source"

# One deb-src entry like the machine's first one, for the suite that has 3.6.
deb822=/etc/apt/sources.list.d/debian.sources
if [ -r "$deb822" ]; then
	awk 'BEGIN{RS="";ORS="\n\n"} NR==1' "$deb822" |
		sed -E "s/^Types:.*/Types: deb-src/; s/^Suites:.*/Suites: $suite/; s/^Components:.*/Components: main/" >"$work/parts/x.sources"
elif [ -r /etc/apt/sources.list ]; then
	awk -v suite="$suite" '$1=="deb"{for(i=2;i<=NF;i++)if($i~/:\/\//){print "deb-src",$i,suite,"main";exit}}' \
		/etc/apt/sources.list >"$work/parts/x.list"
else
	echo "fetch-mbedtls: no apt sources found; set MBEDTLS_DIR to an mbedTLS 3.6 source tree" >&2; exit 1
fi

apt() {
	apt-get -qq -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts" \
		-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Update::Post-Invoke-Success::= \
		-o APT::Sandbox::User= "$@"
}
apt update
(cd "$work/source" && apt source --download-only "mbedtls/$suite")
tarball=$(find "$work/source" -name 'mbedtls_3.6.*.orig.tar.*' ! -name '*.asc' | head -n 1)
[ -n "$tarball" ] || { echo "fetch-mbedtls: suite $suite has no mbedTLS 3.6; set MBEDTLS_SUITE or MBEDTLS_DIR" >&2; exit 1; }
mkdir "$work/tree"
tar -xf "$tarball" -C "$work/tree" --strip-components=1
echo "mbedTLS $(basename "$tarball") sha256 $(sha256sum "$tarball" | cut -d' ' -f1)"
mv "$work/tree" "$cache/mbedtls"
