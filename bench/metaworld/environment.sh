#!/bin/sh
# Makes an environment that has Meta-World, whose MuJoCo the package cannot have, and all that our
# networks and trainings import. About 1 GB with a CPU build of torch; some minutes.
#   environment.sh FOLDER [PYTHON]
set -eu
folder=$1
python=${2:-python3}

[ -e "$folder/complete" ] && exit 0
"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 metaworld==3.1.1 mujoco==3.3.0 gymnasium==1.4.0 packaging==26.3 \
    numpy==2.4.6 scipy==1.17.1 pyyaml==6.0.3 safetensors==0.8.0 tyro==1.0.17
touch "$folder/complete"
