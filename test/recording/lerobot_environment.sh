#!/bin/sh
# Lets the environment of the peers, which has the public lerobot library, read videos, too: to check
# our datasets with. lerobot pins versions that the package cannot have.
#   lerobot_environment.sh FOLDER [PYTHON]
set -eu
folder=$1
python=${2:-python3.11}

"$(dirname "$0")/../../bench/peers/environment.sh" "$folder" "$python"
[ -e "$folder/reads_videos" ] && exit 0
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps torchcodec==0.13.0
# torchcodec decodes with the FFmpeg of the system
"$folder/bin/python" -c 'import torchcodec' || {
    echo 'torchcodec does not load: install FFmpeg (Debian, Ubuntu: apt-get install ffmpeg)' >&2
    exit 1; }
touch "$folder/reads_videos"
