#!/bin/sh
# Makes a bundle of models/ anew: demonstrations, dataset, tokenizer, policy.
#   models/train.sh cup|bowl|both [folder for all that is made on the way; default out/bundles]
# Stop it at any time and run it again: stages that are done are kept, a training goes on.
set -eu
task=${1:?"expected cup, bowl or both"}
out=${2:-out/bundles}
case $task in
cup) tasks=cup ;;
bowl) tasks=bowl ;;
both) tasks='cup bowl' ;;
*) echo "task is $task; expected cup, bowl or both" >&2; exit 1 ;;
esac
carp=.venv/bin/carp
dataset=$out/${task}_dataset

if [ ! -f "$dataset/meta/info.json" ]; then
    episodes=
    for one in $tasks; do
        if [ ! -f "$out/$one.recorded" ]; then
            rm -rf "${out:?}/$one"
            $carp record --agent demonstrator --task "$one" --episodes 200 --lockstep \
                --camera-rate-hz 10 --out "$out/$one"
            touch "$out/$one.recorded"
        fi
        episodes="$episodes $out/$one"
    done
    # shellcheck disable=SC2086 - a list of folders without spaces
    $carp convert $episodes --out "$dataset"
fi
$carp train tokenizer "$dataset" --out "$out/${task}_tokenizer"
$carp train policy "$dataset" --tokenizer "$out/${task}_tokenizer" --out "$out/${task}_policy" --compile
rm -rf "models/carp_${task}_sim"
cp -r "$out/${task}_policy/bundle" "models/carp_${task}_sim"
echo "models/carp_${task}_sim"
