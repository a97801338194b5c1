import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from carp_ros.training.loop import LoopConfig, train
from carp_ros.training.run_folder import METRICS, STATE, RunFolder, read_weights

from .small_world import make_trainee

CONFIG = LoopConfig(4, 16, validate_every=2, precision="fp32")


class Killed(Exception):
    pass


def trained(folder: Path, config: LoopConfig = CONFIG, *, kill_at: int = 0):
    def progress(done, total, figures):
        if done == kill_at:
            raise Killed

    trainee = make_trainee()
    run = RunFolder(folder, {"seed": 0})
    train(trainee, config, run, progress)
    return trainee, run


def watched_trainee():
    """Return a trainee, and the list to which each validation adds the weights that it sees."""
    seen: list[dict[str, torch.Tensor]] = []
    trainee = make_trainee()
    validate = trainee.validate

    def looking() -> dict[str, float]:
        seen.append({n: v.clone() for n, v in trainee.network.state_dict().items()})
        return validate()

    trainee.validate = looking
    return trainee, seen


@pytest.mark.parametrize("joint", [False, True])
def test_training_lowers_the_loss_and_logs_every_epoch(tmp_path, joint):
    run = RunFolder(tmp_path, {})
    train(make_trainee(joint=joint), CONFIG, run)
    rows = run.figures()
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {"held_out_token_accuracy_0", "held_out_position_error_m_1"} <= rows[-1].keys()
    assert "held_out_loss" not in rows[0]


def test_compiling_without_a_compiler_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match=r"found no no-such-compiler; .* leave --compile out"):
        train(make_trainee(), dataclasses.replace(CONFIG, compile=True), RunFolder(tmp_path, {}))


def test_a_training_that_was_killed_goes_on_to_the_very_weights_it_would_have_had(tmp_path):
    whole, _ = trained(tmp_path / "whole")
    with pytest.raises(Killed):
        trained(tmp_path / "killed", kill_at=9)  # three steps an epoch: in the last one
    assert (tmp_path / "killed" / STATE).is_file()
    resumed, run = trained(tmp_path / "killed")
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(resumed.network.state_dict()[name], value, rtol=0, atol=0)
    assert [row["epoch"] for row in run.figures()] == [1, 2, 3, 4]


def test_a_folder_refuses_a_training_of_another_configuration(tmp_path):
    RunFolder(tmp_path, {"loop": {"seed": 0}})
    with pytest.raises(ValueError, match=r"loop.seed = 0, asked for is 1; .* --out"):
        RunFolder(tmp_path, {"loop": {"seed": 1}})


def test_validation_is_of_the_averaged_weights_and_training_goes_on_with_its_own(tmp_path):
    trainee, seen = watched_trainee()
    train(trainee, CONFIG, RunFolder(tmp_path, {}))
    _, weights = read_weights(tmp_path)
    assert len(seen) == 2
    for name, value in weights.items():
        torch.testing.assert_close(seen[-1][name], value, rtol=0, atol=0)


def test_without_averaging_the_trained_weights_are_validated_kept_and_returned(tmp_path):
    trainee, seen = watched_trainee()
    train(trainee, dataclasses.replace(CONFIG, average=False), RunFolder(tmp_path / "raw", {}))
    _, averaged = trained(tmp_path / "averaged")
    _, weights = read_weights(tmp_path / "raw")
    state = averaged.load()
    assert state is not None
    for name, value in weights.items():
        # what is kept changes nothing about what is learned
        torch.testing.assert_close(state["network"][name], value, rtol=0, atol=0)
        torch.testing.assert_close(seen[-1][name], value, rtol=0, atol=0)
        torch.testing.assert_close(trainee.network.state_dict()[name], value, rtol=0, atol=0)
    _, means = read_weights(tmp_path / "averaged")
    assert any((means[name] != value).any() for name, value in weights.items())


def test_weights_are_read_back_as_they_were_averaged(tmp_path):
    trainee, _ = trained(tmp_path)
    config, weights = read_weights(tmp_path)
    assert config == {"seed": 0}
    for name, value in trainee.network.state_dict().items():
        torch.testing.assert_close(weights[name], value)


def test_a_step_whose_gradient_is_no_number_is_left_out_and_counted(tmp_path):
    trainee = make_trainee()
    losses, count = trainee.losses, 0

    def once_too_large(inputs):
        nonlocal count
        count += 1
        figures = losses(inputs)
        # a gradient whose numbers are finite, and whose length is not
        return figures | {"loss": figures["loss"] * (1e37 if count == 2 else 1.0)}

    trainee.losses = once_too_large
    run = RunFolder(tmp_path, {})
    train(trainee, dataclasses.replace(CONFIG, epochs=1), run)
    assert run.figures()[0]["steps_skipped"] == pytest.approx(1 / 3)
    assert all(weight.isfinite().all() for weight in trainee.network.parameters())


def test_a_training_with_no_gradient_that_is_a_number_ends_with_the_reason(tmp_path):
    class Overflows(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, *gradients):
            return gradients[0] * float("inf")

    trainee = make_trainee()
    losses = trainee.losses

    def overflowing(inputs):
        figures = losses(inputs)
        return figures | {"loss": Overflows.apply(figures["loss"])}

    trainee.losses = overflowing
    before = {name: value.clone() for name, value in trainee.network.named_parameters()}
    run = RunFolder(tmp_path, {})
    with pytest.raises(ValueError, match=r"learns nothing: the gradient was not finite in 100%"):
        train(trainee, CONFIG, run)
    assert [row["steps_skipped"] for row in run.figures()] == [1.0, 1.0]
    for name, value in trainee.network.named_parameters():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    for line in (tmp_path / METRICS).read_text().splitlines():
        json.loads(line, parse_constant=lambda text: pytest.fail(text))


def test_figures_that_are_no_numbers_are_left_out_and_a_line_cut_off_costs_itself_alone(tmp_path):
    run = RunFolder(tmp_path, {})
    run.log({"step": 1, "epoch": 1, "loss": 2.0, "gradient_norm": float("inf")})
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 2, "epo')
    run.log({"step": 3, "epoch": 3, "loss": 1.0})
    assert [row["epoch"] for row in run.figures()] == [1, 3]
    assert "gradient_norm" not in run.figures()[0]
    assert "Infinity" not in (tmp_path / METRICS).read_text()


def test_nothing_to_train_on_is_refused(tmp_path):
    trainee = make_trainee()
    trainee.windows = trainee.windows[:0]
    with pytest.raises(ValueError, match="a step has 0 windows to train on; expected"):
        train(trainee, CONFIG, RunFolder(tmp_path, {}))


def test_two_ranks_have_the_loss_of_one_at_an_equal_global_batch(tmp_path):
    def losses(count: int) -> list[float]:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        command += ["--master-port", str(29500 + os.getpid() % 1000 + count)]
        script = str(Path(__file__).with_name("two_ranks.py"))
        run = subprocess.run(
            [*command, script, str(tmp_path / str(count))],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout.splitlines()[-1])

    assert losses(2) == pytest.approx(losses(1), rel=1e-5)
