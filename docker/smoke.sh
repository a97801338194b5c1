#!/bin/sh
# Tells in two minutes whether an installation works: in a container, on the workstation, anywhere.
#   docker compose --file docker/compose.yaml run --rm robot /carp/src/carp_ros/docker/smoke.sh
set -eu
step() { printf '\n== %s\n' "$*"; "$@"; }

step carp check
if command -v ros2 >/dev/null; then
    step ros2 launch carp_ros cup_task.launch.py --show-args
fi
step carp eval --bundle carp_cup_sim --task cup --trials 1 --seed-start 10000
step carp demo --trials 1 --report "$(mktemp -d)/demo.json"
printf '\nall of it works\n'
