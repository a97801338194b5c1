# Each target sets up what it needs in .venv first. `make help` lists them.
#   PYTHON=python3.12   the interpreter to make .venv with (3.11 or 3.12)
#   ARGS="..."          options for the command behind the target

IS_SUPPORTED := import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))
ifndef PYTHON
PYTHON := $(firstword $(foreach python,python3 python3.12 python3.11,\
    $(shell $(python) -I -c '$(IS_SUPPORTED)' 2>/dev/null && echo $(python))) python3)
endif
VERSION := $(shell "$(PYTHON)" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# Commands start as `python -m`, never by their scripts: these name .venv by its absolute path, which
# no shell reads rightly if it holds a `$`.
VENV_PYTHON := .venv/bin/python
CARP := $(VENV_PYTHON) -m carp_ros.cli.main
PIP := $(VENV_PYTHON) -m pip
RUN := .venv/installed-$(VERSION)-run
DEV := .venv/installed-$(VERSION)-dev
SOURCES := setup.py setup.cfg package.xml constraints.txt $(wildcard launch/* config/*)

# .venv is for this place and this Python: it holds absolute paths. pyvenv.cfg says where it was made.
FITS := import sys; made = [line for line in open(sys.prefix + "/pyvenv.cfg", encoding="utf-8") \
    if line.startswith("command = ")]; sys.exit("%d.%d" % sys.version_info[:2] != "$(VERSION)" or \
    not made or not made[0].rstrip("\n").endswith(" " + sys.prefix))
ifneq ($(shell [ -e .venv/python-$(VERSION) ] && $(VENV_PYTHON) -I -c '$(FITS)' 2>/dev/null && echo yes),yes)
$(RUN) $(DEV): anew
endif

# Rendering without a screen (EGL on the GPU or Mesa's software renderer), Pinocchio's OpenMP, the
# SpaceMouse and RealSense cameras.
DEBIAN_PACKAGES := libegl1 libegl-mesa0 libgl1-mesa-dri libgbm1 libopengl0 libgomp1 \
    libhidapi-hidraw0 libusb-1.0-0

# .venv has a ROS 2 of its own: that of a sourced setup.bash must not mix with it.
unexport LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH ROS_DISTRO \
    ROS_VERSION ROS_PYTHON_VERSION VIRTUAL_ENV CONDA_PREFIX CDPATH
# What a user set for Python and pip elsewhere must not change how things are run and installed here
# (PYTHONPATH, PYTHONOPTIMIZE, PIP_USER, PIP_TARGET, PIP_NO_DEPS ...); where packages come from may.
PYTHON_KEPT := PYTHON PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONHASHSEED \
    PYTHONFAULTHANDLER
PIP_KEPT := PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX PIP_TRUSTED_HOST PIP_CERT \
    PIP_CLIENT_CERT PIP_PROXY PIP_CONFIG_FILE PIP_CACHE_DIR PIP_NO_CACHE_DIR PIP_DEFAULT_TIMEOUT \
    PIP_TIMEOUT PIP_RETRIES PIP_KEYRING_PROVIDER PIP_USE_FEATURE PIP_DISABLE_PIP_VERSION_CHECK
unexport $(filter-out $(PYTHON_KEPT) $(PIP_KEPT),$(filter PYTHON% PIP_%,$(.VARIABLES)))
# Files are UTF-8 whatever the locale says.
export PYTHONUTF8 := 1

.PHONY: help demo test lint bench bundle metaworld lerobot-check clean system anew
.DEFAULT_GOAL := help

help:
	@echo 'make demo    a CARP policy picks up cups in the simulated cell, over ROS 2 (2 minutes)'
	@echo 'make test    run the tests'
	@echo 'make lint    check format, style and types'
	@echo 'make bench   measure the servo and the cameras'
	@echo 'make metaworld   train CARP and a regression on Meta-World, and compare (hours; JOBS=2)'
	@echo 'make bundle  train the policy of TASK=cup, bowl, both or cup_fr3 in models/ anew (hours)'
	@echo 'make lerobot-check   read our datasets with the public lerobot library (installs it apart)'
	@echo 'make clean   remove .venv and what was built'

demo: $(RUN)
	$(CARP) demo $(ARGS)

bench: $(RUN)
	$(CARP) bench $(ARGS)
	$(CARP) bench --what recorder $(ARGS)

# In an environment of its own, for Meta-World pins another MuJoCo than ours. Each step says what is
# done already, and goes on from there.
METAWORLD := $(HOME)/.cache/carp_ros/metaworld-3.1.1
JOBS := 1
metaworld:
	bench/metaworld/environment.sh "$(METAWORLD)" "$(PYTHON)"
	"$(METAWORLD)/bin/python" -m bench.metaworld demonstrate
	"$(METAWORLD)/bin/python" -m bench.metaworld train --jobs $(JOBS)
	"$(METAWORLD)/bin/python" -m bench.metaworld evaluate --jobs $(JOBS)
	"$(METAWORLD)/bin/python" -m bench.metaworld latency
	"$(METAWORLD)/bin/python" -m bench.metaworld report

# The second run has the machine to itself: drivers and whole workstations, in real time. pytest's
# exit code 5 says that ARGS selected none of its tests.
test: $(DEV)
	OMP_NUM_THREADS=1 $(VENV_PYTHON) -m pytest --numprocesses auto -m 'not realtime' $(ARGS) || [ $$? = 5 ]
	$(VENV_PYTHON) -m pytest -m realtime $(ARGS) || [ $$? = 5 ]

# In an environment of its own, for lerobot pins other versions than ours.
LEROBOT := $(HOME)/.cache/carp_ros/lerobot-0.4.4
lerobot-check: $(DEV)
	test/recording/lerobot_environment.sh "$(LEROBOT)" $(VENV_PYTHON)
	CARP_LEROBOT="$(LEROBOT)" $(VENV_PYTHON) -m pytest test/recording/test_lerobot.py $(ARGS)

# Hours on two cores; what is done is kept, so that it can be stopped and started again.
TASK := cup
bundle: $(DEV)
	models/train.sh $(TASK) $(ARGS)

lint: $(DEV)
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m basedpyright
	.venv/bin/hadolint docker/Dockerfile

clean:
	rm -rf .venv build install log dist carp_ros.egg-info .pytest_cache .ruff_cache .hypothesis

IS_INSTALLED := import sys; from importlib.util import find_spec; \
    sys.exit(not all(map(find_spec, ("carp_ros", "rclpy"))))
$(RUN): EXTRAS := ros,sim,fr3
$(DEV): EXTRAS := ros,sim,fr3,train,vlm,realsense,gamepad,rtx,test,lint
$(RUN) $(DEV): $(SOURCES) | system
	@if [ -e .venv ] || [ -L .venv ]; then \
	    [ -e .venv/python-$(VERSION) ] && $(VENV_PYTHON) -I -c '$(FITS)' 2>/dev/null || { \
	    echo 'setup: .venv is of another place or Python, or not whole: making it anew'; \
	    rm -rf .venv; }; fi
	@[ -e .venv ] || { "$(PYTHON)" -m venv .venv && touch .venv/python-$(VERSION); }
	@echo 'setup: installing [$(EXTRAS)] into .venv, a minute or two the first time'
	@$(PIP) install -qq --no-user --prefer-binary -c constraints.txt -e '.[$(EXTRAS)]'
	@$(VENV_PYTHON) -I -c '$(IS_INSTALLED)' || { \
	    echo 'setup: pip put the packages elsewhere: remove from its configuration what says so' >&2; \
	    $(PIP) config list >&2; exit 1; }
	@$(VENV_PYTHON) -W ignore setup.py --quiet install_data --install-dir "$$(pwd -P)/.venv"
	@touch $@

# Never made, so that what needs it is made again.
anew:

# Debian and Ubuntu: install what is missing as root or with sudo that asks no password, or say
# what to type. Elsewhere `carp check` names what does not load.
system:
	@"$(PYTHON)" -I -c '$(IS_SUPPORTED)' 2>/dev/null || { \
	    echo 'setup: $(PYTHON): $(if $(VERSION),Python $(VERSION),not found); expected 3.11 or 3.12.' >&2; \
	    echo '       Install one and name it: make demo PYTHON=python3.12' >&2; exit 1; }
	@command -v dpkg-query >/dev/null || exit 0; \
	missing=; \
	for package in $(DEBIAN_PACKAGES); do \
	    dpkg-query --show --showformat '$${db:Status-Status}' $$package 2>/dev/null \
	        | grep -qx installed || missing="$$missing $$package"; \
	done; \
	"$(PYTHON)" -I -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing $(notdir $(PYTHON))-venv"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo='sudo -n'; \
	else echo 'setup: system packages are missing. Type this, then the same make again:' >&2; \
	    echo "       sudo apt-get install$$missing" >&2; exit 1; fi; \
	echo "setup: installing system packages:$$missing"; \
	$$sudo apt-get update -qq && \
	    $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	        $$missing >/dev/null
