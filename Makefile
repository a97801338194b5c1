# Each target sets up what it needs in .venv first. `make help` lists them.
#   PYTHON=python3.12   the interpreter to make .venv with (3.11 or 3.12)
#   ARGS="..."          options for the command behind the target

IS_SUPPORTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
ifndef PYTHON
PYTHON := $(firstword $(foreach python,python3 python3.12 python3.11,\
    $(shell $(python) -c '$(IS_SUPPORTED)' 2>/dev/null && echo $(python))) python3)
endif
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

BIN := .venv/bin
RUN := .venv/installed-$(VERSION)-run
DEV := .venv/installed-$(VERSION)-dev
SOURCES := setup.py setup.cfg package.xml constraints.txt $(wildcard launch/* config/*)

# Rendering without a screen (EGL on the GPU or Mesa's software renderer), Pinocchio's OpenMP and
# the SpaceMouse.
DEBIAN_PACKAGES := libegl1 libegl-mesa0 libgl1-mesa-dri libgbm1 libopengl0 libgomp1 \
    libhidapi-hidraw0

# .venv has a ROS 2 of its own: that of a sourced setup.bash must not mix with it.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH AMENT_PREFIX_PATH COLCON_PREFIX_PATH ROS_DISTRO

.PHONY: help demo test lint bench bundle metaworld lerobot-check clean system
.DEFAULT_GOAL := help

help:
	@echo 'make demo    a CARP policy picks up cups in the simulated cell, over ROS 2 (2 minutes)'
	@echo 'make test    run the tests'
	@echo 'make lint    check format, style and types'
	@echo 'make bench   measure the servo and the cameras'
	@echo 'make metaworld   train CARP and a regression on Meta-World, and compare (hours; JOBS=2)'
	@echo 'make bundle  train the policy of TASK=cup, bowl or both in models/ anew (hours)'
	@echo 'make lerobot-check   read our datasets with the public lerobot library (installs it apart)'
	@echo 'make clean   remove .venv and what was built'

demo: $(RUN)
	$(BIN)/carp demo $(ARGS)

bench: $(RUN)
	$(BIN)/carp bench $(ARGS)
	$(BIN)/carp bench --what recorder $(ARGS)

# In an environment of its own, for Meta-World pins another MuJoCo than ours. Each step says what is
# done already, and goes on from there.
METAWORLD := $(HOME)/.cache/carp_ros/metaworld-3.1.1
JOBS := 1
metaworld:
	bench/metaworld/environment.sh $(METAWORLD) $(PYTHON)
	$(METAWORLD)/bin/python -m bench.metaworld demonstrate
	$(METAWORLD)/bin/python -m bench.metaworld train --jobs $(JOBS)
	$(METAWORLD)/bin/python -m bench.metaworld evaluate --jobs $(JOBS)
	$(METAWORLD)/bin/python -m bench.metaworld latency
	$(METAWORLD)/bin/python -m bench.metaworld report

# The second run has the machine to itself: drivers and whole workstations, in real time. pytest's
# exit code 5 says that ARGS selected none of its tests.
test: $(DEV)
	$(BIN)/python -m pytest --numprocesses auto -m 'not realtime' $(ARGS) || [ $$? = 5 ]
	$(BIN)/python -m pytest -m realtime $(ARGS) || [ $$? = 5 ]

# In an environment of its own, for lerobot pins other versions than ours.
LEROBOT := $(HOME)/.cache/carp_ros/lerobot-0.4.4
lerobot-check: $(DEV)
	test/recording/lerobot_environment.sh $(LEROBOT) $(BIN)/python
	CARP_LEROBOT=$(LEROBOT) $(BIN)/python -m pytest test/recording/test_lerobot.py $(ARGS)

# Hours on two cores; what is done is kept, so that it can be stopped and started again.
TASK := cup
bundle: $(DEV)
	models/train.sh $(TASK) $(ARGS)

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright

clean:
	rm -rf .venv build install log dist carp_ros.egg-info .pytest_cache .ruff_cache .hypothesis

$(RUN): EXTRAS := ros,sim
$(DEV): EXTRAS := ros,sim,train,rtx,test,lint
$(RUN) $(DEV): $(SOURCES) | system
	@if [ -x $(BIN)/python ] && [ ! -e .venv/python-$(VERSION) ]; then \
	    echo 'setup: .venv is not of Python $(VERSION): making it anew'; rm -rf .venv; fi
	@[ -e .venv/python-$(VERSION) ] || { $(PYTHON) -m venv .venv && touch .venv/python-$(VERSION); }
	@echo 'setup: installing [$(EXTRAS)] into .venv, a minute or two the first time'
	@$(BIN)/pip install -qq --prefer-binary -c constraints.txt -e '.[$(EXTRAS)]'
	@$(BIN)/python -W ignore setup.py --quiet install_data --install-dir $(CURDIR)/.venv
	@touch $@

# Debian and Ubuntu: install what is missing as root or with sudo that asks no password, or say
# what to type. Elsewhere `carp check` names what does not load.
system:
	@$(PYTHON) -c '$(IS_SUPPORTED)' 2>/dev/null || { \
	    echo 'setup: $(PYTHON): $(if $(VERSION),Python $(VERSION),not found); expected 3.11 or 3.12.' >&2; \
	    echo '       Install one and name it: make demo PYTHON=python3.12' >&2; exit 1; }
	@command -v dpkg-query >/dev/null || exit 0; \
	missing=; \
	for package in $(DEBIAN_PACKAGES); do \
	    dpkg-query --show --showformat '$${db:Status-Status}' $$package 2>/dev/null \
	        | grep -qx installed || missing="$$missing $$package"; \
	done; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing $(notdir $(PYTHON))-venv"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo='sudo -n'; \
	else echo 'setup: system packages are missing. Type this, then the same make again:' >&2; \
	    echo "       sudo apt-get install$$missing" >&2; exit 1; fi; \
	echo "setup: installing system packages:$$missing"; \
	$$sudo apt-get update -qq && \
	    $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	        $$missing >/dev/null
