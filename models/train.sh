#!/bin/sh
# Makes a bundle of models/ anew: demonstrations, dataset, tokenizer, policy.
#   models/train.sh cup|bowl|both|cup_fr3|tabletop [folder for all that is made on the way; default out/bundles]
# A policy of one task begins as what models/carp_both_sim does for it, with that one's tokenizer; the
# FR3's begins as what models/carp_cup_sim does for the UR5e. `tabletop` is FASTer's, of all tasks by
# instruction.
# Stop it at any time and run it again: stages that are done are kept, a training goes on.
set -eu
task=${1:?"expected cup, bowl, both, cup_fr3 or tabletop"}
out=${2:-out/bundles}
case $task in
cup | bowl | both | cup_fr3 | tabletop) ;;
*) echo "task is $task; expected cup, bowl, both, cup_fr3 or tabletop" >&2; exit 1 ;;
esac
carp=".venv/bin/python -m carp_ros.cli.main"  # a list of words

rig=ur5e_sim
sentences=plain
kind=carp

# dataset NAME TASK...: 200 demonstrations of each task, on $rig, asked for in $sentences
dataset() {
    name=$1
    shift
    if [ ! -f "$out/${name}_dataset/meta/info.json" ]; then
        episodes=
        for one in "$@"; do
            into="$out/${one}_$rig"
            if [ ! -f "$into.recorded" ]; then
                rm -rf "${into:?}"
                $carp record --agent demonstrator --task "$one" --episodes 200 --lockstep \
                    --camera-rate-hz 10 --rig "$rig" --sentences "$sentences" --out "$into"
                touch "$into.recorded"
            fi
            episodes="$episodes $into"
        done
        # shellcheck disable=SC2086 - a list of folders without spaces
        $carp convert $episodes --out "$out/${name}_dataset"
    fi
}

if [ "$task" = both ]; then
    dataset both cup bowl
    $carp train tokenizer "$out/both_dataset" --out "$out/both_tokenizer"
    $carp train policy "$out/both_dataset" --tokenizer "$out/both_tokenizer" \
        --out "$out/both_policy" --compile --epochs 30
elif [ "$task" = tabletop ]; then
    sentences=varied
    kind=faster
    dataset tabletop cup bowl two_cups two_fields cup_or_bowl
    $carp train tokenizer "$out/tabletop_dataset" --kind faster --out "$out/tabletop_tokenizer"
    $carp train policy "$out/tabletop_dataset" --policy faster --tokenizer "$out/tabletop_tokenizer" \
        --out "$out/tabletop_policy" --compile
elif [ "$task" = cup_fr3 ]; then
    rig=fr3_sim
    dataset cup_fr3 cup
    $carp train policy "$out/cup_fr3_dataset" --tokenizer models/carp_cup_sim \
        --out "$out/cup_fr3_policy" --compile --start-from models/carp_cup_sim \
        --epochs 8 --learning-rate 3e-4
else
    dataset "$task" "$task"
    $carp train policy "$out/${task}_dataset" --tokenizer models/carp_both_sim \
        --out "$out/${task}_policy" --compile --start-from models/carp_both_sim \
        --epochs 6 --learning-rate 2e-4
fi
rm -rf "models/${kind:?}_${task}_sim"
cp -r "$out/${task}_policy/bundle" "models/${kind}_${task}_sim"
echo "models/${kind}_${task}_sim"
