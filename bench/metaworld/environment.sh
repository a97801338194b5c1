#!/bin/sh
# Makes an environment that has the package, to train and to run policies, and Meta-World, which
# pins another MuJoCo than the package's simulated cell. About 1 GB with a CPU build of torch; some
# minutes.
#   environment.sh FOLDER [PYTHON]
set -eu
folder=$1
python=${2:-python3}

[ -e "$folder/complete-2" ] && exit 0
"$python" -m venv "$folder"
grep -v '^mujoco' constraints.txt >"$folder/constraints.txt"
"$folder/bin/pip" install --quiet --disable-pip-version-check -c "$folder/constraints.txt" \
    metaworld==3.1.1 mujoco==3.3.0 gymnasium==1.4.0 -e '.[train]'
touch "$folder/complete-2"
