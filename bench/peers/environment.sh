#!/bin/sh
# Makes an environment with the policies that ours are measured against. About 2 GB; some minutes.
#   environment.sh FOLDER [PYTHON]
set -eu
folder=$1
python=${2:-python3.11}

"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "lerobot 0.4.4 needs Python 3.11; $python is another" >&2; exit 1; }
[ -e "$folder/complete" ] && exit 0
"$python" -m venv "$folder"
pip="$folder/bin/pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0
# without dependencies: lerobot 0.4.4 pins torch below 2.11 and asks for drivers of arms
$pip --no-deps lerobot==0.4.4 torchvision==0.28.0
# matplotlib and OpenCV are what the published CARP imports
$pip 'numpy<2.3' 'av>=15,<16' 'datasets>=4,<5' 'huggingface-hub<0.36' 'draccus==0.10.0' \
    'diffusers<0.36' 'accelerate<2' 'einops<0.9' 'gymnasium<2' 'deepdiff<9' 'jsonlines<5' \
    'imageio<3' 'termcolor<4' 'packaging<26' 'setuptools<81' \
    opencv-python-headless pandas pillow pynput pyserial matplotlib
touch "$folder/complete"
