# `make` prints the targets. Every target runs on a bare Debian 12 as root.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
PYTHON ?= python3
# If set, every process that a test starts compiles all sources again, which takes a second each time.
unexport PYTHONDONTWRITEBYTECODE

# The lab's boot media, the tests' peers, and every program that they start. One package per line, sorted.
LAB_PACKAGES := \
	busybox-static \
	cpio \
	curl \
	dnsmasq-base \
	dosfstools \
	efibootmgr \
	fdisk \
	ignition \
	iproute2 \
	ipxe \
	ipxe-qemu \
	kmod \
	ostree \
	ovmf \
	qemu-system-x86 \
	qemu-utils \
	seabios \
	squashfs-tools \
	systemd-boot-efi \
	xfsprogs \
	xz-utils \
	zstd
TEST_PACKAGES := \
	atftp \
	bubblewrap \
	chromium \
	chromium-common \
	containerd \
	dbus-daemon \
	debootstrap \
	e2fsprogs \
	fonts-dejavu-core \
	genisoimage \
	grub-common \
	grub-efi-amd64-bin \
	iptables \
	isc-dhcp-client \
	isc-dhcp-server \
	isomd5sum \
	kea-dhcp4-server \
	libatomic1 \
	mtools \
	network-manager \
	nftables \
	nginx \
	openssl \
	podman \
	postgresql-15 \
	postgresql-client-15 \
	prometheus \
	qemu-efi-aarch64 \
	qemu-system-arm \
	rclone \
	rsync \
	rsyslog \
	skopeo \
	strace \
	systemd \
	systemd-container \
	tftp-hpa \
	tftpd-hpa \
	tshark \
	umoci \
	vagrant \
	wget \
	wireshark-common \
	xorriso
BENCH_PACKAGES := \
	dnsmasq-base \
	docker-registry \
	kea-admin \
	tftpd-hpa \
	wrk
BARE_PACKAGES := \
	debootstrap \
	strace
PYTHON_PACKAGES := \
	python3 \
	python3-minimal \
	python3-venv \
	python3.11-minimal
APT := apt-get -qq

.PHONY: help demo soak run check types structure style contracts test test-bare unit integration e2e mutations coverage proof bench golden clean packages

help: ## print this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {gsub(/\$$\$$/, "$$", $$2); printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMPS)/lab ## install two virtual machines over the network, live, in about three minutes
	$(BIN)/netboot lab demo

run: $(STAMPS)/python ## run the daemon in the foreground, with /etc/netboot/netboot.yaml or $$NETBOOT_CONFIG
	$(BIN)/netboot serve

check: $(STAMPS)/python ## style, types, import contracts, sizes and names, two at once
	$(MAKE) --jobs=2 --output-sync=target --no-print-directory types structure style contracts

types: $(STAMPS)/python ## only the types: mypy
	$(BIN)/mypy

structure: $(STAMPS)/python ## only sizes, names, words and documentation
	$(BIN)/pytest -q tests/test_structure.py tests/test_architecture.py

style: $(STAMPS)/python ## only the style: ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

contracts: $(STAMPS)/python ## only the import contracts
	$(BIN)/lint-imports

# A test that takes 900 s is ended with its stacks and fails the run, and the others run; a second one ends the run.
ONE_HANG := --max-worker-restart=1 -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true

test: $(STAMPS)/test ## check, unit tests, integration, real firmware; what CI runs
	$(MAKE) check
	$(BIN)/netboot lab media
	PYTHONPATH=tests $(BIN)/python -m e2e.foreign_programs
	.ci/pytest -m "not mutation and not proof" $(ONE_HANG)

test-bare: $(STAMPS)/bare ## make demo and make test on a fresh Debian 12 that has only git and make; half an hour
	.ci/test-bare

unit: $(STAMPS)/test ## the packages' own tests, without network
	.ci/pytest -m "not integration and not e2e and not mutation"

integration: $(STAMPS)/test ## the daemon on loopback and in namespaces, with independent clients
	.ci/pytest -m integration

e2e: $(STAMPS)/test ## real firmware in QEMU
	$(BIN)/netboot lab media
	PYTHONPATH=tests $(BIN)/python -m e2e.foreign_programs
	.ci/isolated $(BIN)/pytest -m e2e

coverage: $(STAMPS)/test ## each package measured by its own tests; fails below the floors in pyproject.toml
	$(BIN)/python .ci/coverage

proof: $(STAMPS)/test $(if $(BENCH),$(STAMPS)/bench) ## every check and test, and with BENCH=1 the benches; writes docs/proof.md; two to three hours; PARTS="'long tests' demo" runs these alone
	$(BIN)/netboot lab media
	PYTHONPATH=tests $(BIN)/python -m e2e.foreign_programs
	PYTHONPATH=tests $(BIN)/python -m nspawn.debian_root
	$(BIN)/python .ci/proof $(PARTS)

bench: $(STAMPS)/bench ## speed and memory beside dnsmasq, tftpd-hpa and nginx
	@for bench in tests/bench/bench_*.py; do echo "== $$bench"; .ci/isolated $(BIN)/python $$bench; done

soak: $(STAMPS)/test ## ten minutes of mixed load on one daemon, then of each fuzz target, two at once; SOAK_S and FUZZ_S set the seconds
	SOAK_S=$(or $(SOAK_S),600) .ci/isolated $(BIN)/pytest -q -s tests/soak
	.ci/isolated $(BIN)/python tests/fuzz/soak.py $(or $(FUZZ_S),600)

golden: $(STAMPS)/test ## write the golden files of documents, packets and replies again; read the diff
	$(BIN)/pytest tests/render tests/safety/test_recorded.py --golden

mutations: $(STAMPS)/test ## insert each fault of tests/safety/mutations.py; the model must find all
	.ci/isolated $(BIN)/pytest tests/safety -m mutation

clean: ## remove the virtual environment, caches, screenshots and the lab's media
	rm -rf $(VENV) $(STAMPS) build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis /var/cache/netboot-lab
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp means that the list was installed; it is older than the Makefile if the list may have changed.
$(STAMPS)/python: pyproject.toml | $(STAMPS)
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(APT) update && .ci/install-packages $(PYTHON_PACKAGES); }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[bmc,dev,postgres,lint]'
	@touch $@

$(STAMPS)/lab: Makefile $(STAMPS)/python
	$(APT) update
	.ci/install-packages $(LAB_PACKAGES)
	@touch $@

$(STAMPS)/test: Makefile $(STAMPS)/lab
	.ci/install-packages $(TEST_PACKAGES)
	@touch $@

$(STAMPS)/bench: Makefile $(STAMPS)/test
	.ci/install-packages $(BENCH_PACKAGES)
	@touch $@

$(STAMPS)/bare: Makefile | $(STAMPS)
	$(APT) update
	.ci/install-packages $(BARE_PACKAGES)
	@touch $@

packages: # every package of the lists
	@printf '%s\n' $(sort $(PYTHON_PACKAGES) $(LAB_PACKAGES) $(TEST_PACKAGES) $(BENCH_PACKAGES) $(BARE_PACKAGES))

$(STAMPS):
	@mkdir -p $@
