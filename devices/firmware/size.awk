# SPDX-License-Identifier: Apache-2.0
# Prints how many octets of an image's flash and RAM belong to core, mbedTLS and the
# rest, from the linker's map. core: names of core/*.c without .c, separated by blanks.
# Flash: code, constants and initial values. RAM: variables and zeroed memory.

function hex(text,   n, i) {
	n = 0
	for (i = 3; i <= length(text); i++)
		n = n * 16 + index("0123456789abcdef", tolower(substr(text, i, 1))) - 1
	return n
}

function object(path) {
	sub(/\)$/, "", path)
	sub(/.*[\/(]/, "", path)
	sub(/(\.c)?\.o(bj)?$/, "", path)
	return path
}

function owner(path, section,   name) {
	name = object(path)
	if (section ~ /^\.bss\.heap/ && name == "prov")
		return "mbedTLS heap"
	if (path ~ /\/core[^\/]*\/[a-z]+\.o$/ || (path ~ /libhallmark\.a/ && index(" " core " ", " " name " ")))
		return name == "smp" || name == "frame" ? "own SMP server" : "core"
	if (path ~ /\/port[^\/]*\/|libhallmark/)
		return section ~ /^\.bss\.memory/ ? "struct prov" : "port"
	return path ~ /mbedtls|tfpsacrypto/ ? "mbedTLS" : "system"
}

function count(section, size, path,   who) {
	if (size == 0 || path == "")
		return
	who = owner(path, section)
	if (section ~ /^\.(text|rodata|data)/)
		flash[who] += size
	if (section ~ /^\.(data|bss|noinit)/ && section !~ /^\.data\.rel\.ro/)
		ram[who] += size
}

/^Linker script and memory map/ { linked = 1 }
!linked { next }
/^ [.][^ ]+$/ { waiting = $1; next }
/^ [.][^ ]+ +0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]/ { count($1, hex($3), $4); waiting = ""; next }
waiting != "" && /^ +0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]/ { count(waiting, hex($2), $3) }
{ waiting = "" }

END {
	split("core,struct prov,own SMP server,port,mbedTLS,mbedTLS heap,system", all, ",")
	printf "%-28s %8s %8s\n", image, "flash", "RAM"
	for (i = 1; i in all; i++)
		if (flash[all[i]] + ram[all[i]] > 0)
			printf "  %-26s %8d %8d\n", all[i], flash[all[i]], ram[all[i]]
}
