# Hallmark. `make demo` shows it, `make test` proves it, `make bench` measures it.

PACKAGES = gcc libc6-dev make bzip2 dpkg-dev qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi \
           softhsm2 opensc p11-kit p11-kit-modules openssl tmux ca-certificates
FIRMWARE = devices/firmware
FUZZTIME ?= 3s
# Pages and sources that lint reads; reference texts may spell as RFCs do.
PROSE = '*.go' '*.c' '*.h' '*.md' '*.yaml'
export CGO_ENABLED = 1

.PHONY: demo test suite zephyr zephyr-suite bench firmware firmware-size build lint fuzz packages clean

# A station in a new directory, four QEMU boards, each certificate checked by openssl.
demo: packages firmware build
	@.ci/demo build qemu:4

# Everything that can be proven on this machine. With CI=true a skipped test is a failure.
test: firmware build lint
	$(MAKE) --silent -j$$(nproc) -C $(FIRMWARE) test
	.ci/gotest -race -timeout 15m ./...
	$(MAKE) fuzz

# What any board must pass, on one board: make suite BOARD=port:/dev/ttyUSB0 (devices/firmware/README.md).
suite: firmware
	@test -n '$(BOARD)' || { echo 'name a board: make suite BOARD=posix | qemu:an385 | qemu:an521 | zephyr:an521:IMAGE | port:TTY'; exit 1; }
	go test -count=1 -timeout 30m -run '^TestABoardConforms$$' ./devices/conformance/ -board '$(BOARD)' $(SUITEFLAGS)

# The Zephyr application for QEMU's machines, with the Zephyr that ZEPHYR_BASE names.
ZEPHYR_BOARDS ?= mps2_an521 mps2_an385
zephyr:
	@.ci/zephyr $(ZEPHYR_BOARDS)

# The suite on a Zephyr image: make zephyr-suite ZEPHYR_ELF=FILE [ZEPHYR_MACHINE=an385].
ZEPHYR_MACHINE ?= an521
zephyr-suite:
	@test -f '$(ZEPHYR_ELF)' || { echo 'name an image: make zephyr-suite ZEPHYR_ELF=FILE; make zephyr builds them'; exit 1; }
	go test -count=1 -timeout 30m -run '^TestABoardConforms$$' ./devices/conformance/ -board 'zephyr:$(ZEPHYR_MACHINE):$(abspath $(ZEPHYR_ELF))' $(SUITEFLAGS)

# Every figure beside its goal.
bench: firmware build
	go run ./fixtures/benchmark -out bench.json

firmware:
	@echo 'building the firmware'
	@$(MAKE) --silent -j$$(nproc) -C $(FIRMWARE)

# Flash and RAM of each image, and whose they are; ZEPHYR_ELF=.../zephyr.elf adds one.
firmware-size: firmware
	@$(MAKE) --silent -C $(FIRMWARE) size ZEPHYR_ELF='$(abspath $(ZEPHYR_ELF))'

build:
	@command -v go >/dev/null || { echo 'Go is missing: install the version in go.mod or newer from https://go.dev/dl/'; exit 1; }
	go build -trimpath -o build/ ./station/cmd/...

# gofmt, vet, and the glossary of DESIGN.md: enrolment, and errors as gerund chains.
lint:
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "gofmt -w $$files"; exit 1; }
	go vet ./...
	@! git grep -nIiE 'enroll(ment|s?\>)|onboarding' -- $(PROSE) || { echo 'write: enrol, enrolment'; exit 1; }
	@! git grep -nIE '"[^"]*[Ff]ailed to ' -- '*.go' ':!*_test.go' || { echo 'write errors as gerund chains: "reading x: reason"'; exit 1; }

# Each law (fuzz target) for a few seconds.
fuzz:
	.ci/fuzz $(FUZZTIME)

# Installs what is missing, by Debian package name. Go itself is not among it: see go.mod for the version.
packages:
	@.ci/packages $(PACKAGES)

clean:
	rm -rf build bench.json
	$(MAKE) -C $(FIRMWARE) clean
