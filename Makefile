# The lines people and CI run. Each target does its own set-up; see scripts/setup.sh.
#
#   make demo    the switch at work between two namespaces, in half a minute
#   make test    the whole suite
#   make check   formatting, lint, types
#   make build   the compiled modules, in place
#   make asan    unit and model tests with the address and undefined behaviour sanitizers
#   make fuzz    arbitrary frames, rings and messages under the sanitizers (FRAMES=10000000
#                EXECUTIONS=10000000 MESSAGES=300000 EXAMPLES=20)
#   make bench   comparison with other switches, and the datapath alone (about an hour)

PY = .venv/bin/python
SETUP = scripts/setup.sh
DEMO_PACKAGES = iproute2 iputils-ping iperf3
TEST_PACKAGES = $(DEMO_PACKAGES) busybox dnsmasq-base libseccomp2 ethtool qemu-system-x86 tcpdump \
	libvirt0 libxml2-utils systemd zsh fish dpdk-dev librte-net-virtio23 librte-mempool-ring23 \
	openvswitch-switch
BENCH_PACKAGES = $(TEST_PACKAGES) openvswitch-switch-dpdk vde2 librte-net-vhost23 \
	librte-net-af-packet23
FUZZ_PACKAGES = clang libclang-rt-dev
FRAMES = 10000000
EXECUTIONS = 10000000
MESSAGES = 300000
EXAMPLES = 20
# Tests wait more than they compute; each worker that is done takes from the other's.
WORKERS = -n 2 --dist worksteal
SANITIZED = LD_PRELOAD="$$(cc -print-file-name=libasan.so)" PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# What is Python alone the sanitizers need not see, which make it three times as slow.
NO_C = $(patsubst %,--ignore-glob='tests/*/test_%*.py',api bench cli config control doctor recipe)

.PHONY: demo test check build debug asan fuzz bench pins clean

demo:
	@$(SETUP) $(DEMO_PACKAGES)
	@$(PY) scripts/demo.py

test:
	@$(SETUP) $(TEST_PACKAGES)
	@tests/vms/image.sh || echo "the tests with virtual machines are left out" >&2
	@$(PY) -m pytest $(WORKERS) $(PYTEST)

check:
	@$(SETUP)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/cython-lint vswitch
	$(PY) -m mypy
	$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist tests/stubtest-allowlist.txt vswitch._memory vswitch._fastpath vswitch._guarding vswitch._guest vswitch._inject vswitch._mirror vswitch._neigh vswitch._ports vswitch._rules vswitch._tables
	$(PY) scripts/check_build.py

build:
	@$(SETUP)

debug:
	@VSWITCH_BUILD=debug $(SETUP)

asan:
	@VSWITCH_BUILD=asan $(SETUP)
	$(SANITIZED) $(PY) -m pytest -q tests/unit tests/model -m "not netns" $(NO_C) $(WORKERS) $(PYTEST); \
		status=$$?; $(SETUP); exit $$status

fuzz:
	@VSWITCH_BUILD=asan $(SETUP) $(FUZZ_PACKAGES)
	$(PY) tests/fuzz/fuzz_vhost.py --executions $(EXECUTIONS) && \
	$(SANITIZED) $(PY) tests/fuzz/fuzz_vhost_session.py --messages $(MESSAGES) && \
	$(SANITIZED) $(PY) tests/fuzz/fuzz_poll.py --frames $(FRAMES) && \
	VSWITCH_EXAMPLES=$(EXAMPLES) $(SANITIZED) $(PY) -m pytest -q -m "not netns" tests/model \
		tests/fuzz/test_fuzz_captures.py $(WORKERS) $(PYTEST); \
		status=$$?; $(SETUP); exit $$status

bench:
	@$(SETUP) $(BENCH_PACKAGES)
	$(PY) benchmarks/core.py --json build/core.json --png build/core.png
	$(PY) benchmarks/compare.py --json build/compare.json --png build/compare.png
	$(PY) benchmarks/compare.py --figures tcp,fps60,fps1514,rtt \
		--contestants vswitch-veth,bare-mmsg,bare-ring,bare-ring-v3,bare-ring-tx,bare-xdp,bare-xdp-drv,bridge,ovs-veth \
		--json build/compare-veth.json --png build/compare-veth.png
	$(PY) benchmarks/streams.py --json build/streams.json
	$(PY) benchmarks/guests.py --json build/guests.json
	$(PY) benchmarks/idle_ports.py --json build/idle-ports.json --svg build/idle-ports.svg

# Renew requirements.txt from the ranges in pyproject.toml.
pins:
	rm -rf build/pins
	python3 -m venv build/pins
	build/pins/bin/python -m pip install -q '.[dev,seccomp]'
	{ sed -n '/^#/p' requirements.txt; \
	  build/pins/bin/python -m pip freeze --all --exclude vswitch --exclude pip; } >build/pins.txt
	mv build/pins.txt requirements.txt

clean:
	rm -rf build .venv vswitch/*.so *.egg-info
