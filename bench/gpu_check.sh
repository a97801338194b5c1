#!/bin/sh
# One command on a machine with an NVIDIA GPU: installs what that GPU runs bundles with into an
# environment of its own, replays the golden case of every bundle there, and measures.
#   bench/gpu_check.sh [ENVIRONMENT] [PYTHON]
# Ends with 0 if every bundle was right on the GPU; figures: out/gpu_check.json.
set -eu
CDPATH= cd -- "$(dirname -- "$0")/.."
environment=${1:-$HOME/.cache/carp_ros/gpu_check}
python=${2:-python3}

command -v nvidia-smi > /dev/null || { echo "no nvidia-smi here: install NVIDIA's driver" >&2; exit 1; }
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1)
nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total --format=csv

[ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
install() { "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
install --constraint constraints.txt --editable '.[rtx]'
case $capability in
    9.*|10.0)  # the data centre's GPUs, which TensorRT-RTX has no engines for: CUDA graphs of torch
        install --constraint constraints.txt --editable '.[train]' ;;
esac

mkdir -p out
"$environment/bin/python" -m carp_ros.cli.main bench --what policy --report out/gpu_check.json
"$environment/bin/python" - <<'END'
import json, sys

rows = json.load(open("out/gpu_check.json"))["policies"]
on_gpu = sorted({row["policy"] for row in rows if row["runtime"] != "cpu"})
if not on_gpu or set(on_gpu) != {row["policy"] for row in rows}:
    sys.exit(f"on the GPU ran {on_gpu or 'nothing'}; the table says what was not measured, and why")
print(f"right on the GPU: {', '.join(on_gpu)}")
END
