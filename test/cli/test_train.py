"""`carp train`: what is asked for is checked before it, and what it leaves goes on."""

import json

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.cli import train as verb
from carp_ros.cli.main import EXIT_INTERRUPTED
from carp_ros.cli.train import PolicyCommand, TokenizerCommand
from carp_ros.inference.bundle import load_bundle
from carp_ros.policies.load import load_policy
from carp_ros.training import run_folder
from carp_ros.training.build import load_tokenizer

from ..small_dataset import write_small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_small_dataset(tmp_path_factory.mktemp("data") / "small")


def test_a_tokenizer_learns_and_every_line_of_its_figures_is_json(dataset, tmp_path, capsys):
    assert verb.main(TokenizerCommand(dataset, tmp_path / "run", epochs=6)) == 0
    assert f"tokenizer: {tmp_path / 'run'}" in capsys.readouterr().out
    lines = (tmp_path / "run" / run_folder.METRICS).read_text().splitlines()
    rows = [json.loads(line, parse_constant=lambda text: pytest.fail(text)) for line in lines]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert "steps_skipped" not in rows[-1]


def test_so_does_one_of_another_kind_and_only_that_kind_takes_it(dataset, tmp_path):
    command = TokenizerCommand(dataset, tmp_path / "run", kind="faster", preset="tiny", epochs=6)
    assert verb.main(command) == 0
    lines = (tmp_path / "run" / run_folder.METRICS).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {"held_out_error", "held_out_position_error_m", "changes_kept"} <= rows[-1].keys()
    loaded = load_tokenizer(tmp_path / "run", "faster")
    assert loaded.config.gripper == "rule"
    with pytest.raises(ValueError, match=r"run holds a tokenizer of kind 'faster'; .* 'carp'"):
        load_tokenizer(tmp_path / "run")
    policy = PolicyCommand(dataset, tmp_path / "policy", tokenizer=tmp_path / "run")
    with pytest.raises(ValueError, match=r"of kind 'faster'; expected 'carp'"):
        verb.main(policy)


def test_a_policy_that_follows_instructions_learns_those_of_the_episodes(tmp_path):
    asked = ("Move the cup.", "Move the bowl.")
    dataset = write_small_dataset(tmp_path / "data", asked)
    command = TokenizerCommand(dataset, tmp_path / "vq", kind="faster", preset="tiny", epochs=1)
    assert verb.main(command) == 0
    command = PolicyCommand(
        dataset, tmp_path / "run", "faster", tokenizer=tmp_path / "vq", epochs=1, batch=32
    )
    assert verb.main(command) == 0
    bundle = load_bundle(tmp_path / "run" / "bundle")
    assert bundle.manifest.tasks == asked
    assert bundle.spec.takes_instruction
    policy = load_policy(bundle.folder, "wash up", lambda: 0)
    assert policy.spec.kind == "faster"


@pytest.mark.parametrize(
    ("kind", "options"), [("fast", {"most_tokens": 21}), ("fast", {}), ("binning", {})]
)
def test_a_kind_without_weights_is_fitted_in_no_epoch(dataset, tmp_path, kind, options):
    if kind == "fast":
        pytest.importorskip("tokenizers", reason="FAST needs it: pip install 'carp_ros[train]'")
    for _ in range(2):  # again, nothing changes
        assert verb.main(TokenizerCommand(dataset, tmp_path / "run", kind=kind, **options)) == 0
    (row,) = map(json.loads, (tmp_path / "run" / run_folder.METRICS).read_text().splitlines()[:1])
    assert (row["step"], row["epoch"]) == (0, 0)
    assert {"loss", "held_out_error", "held_out_position_error_m", "codes_used"} <= row.keys()
    loaded = load_tokenizer(tmp_path / "run", kind)
    assert loaded.config.tool
    if kind == "fast":
        assert loaded.config.most_tokens == options.get("most_tokens", 0)
        assert loaded.config.merges


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("fast", {"epochs": 3}, "--epochs is 3; leave it out: --kind fast is fitted"),
        ("fast", {"scales": (1, 4)}, "--scales and --lookup are options of --kind carp"),
        ("binning", {"most_tokens": 3}, "--most-tokens is an option of --kind fast"),
        ("carp", {"most_tokens": 3}, "--most-tokens is an option of --kind fast"),
    ],
)
def test_options_that_a_kind_does_not_have_are_refused(dataset, tmp_path, kind, options, reason):
    with pytest.raises(ValueError, match=reason):
        verb.main(TokenizerCommand(dataset, tmp_path / "run", kind=kind, **options))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"preset": "paper-image"}, r"--preset is paper-image; .* faster: paper, cpu-small, tiny"),
        ({"scales": (1, 4)}, r"--scales and --lookup are options of --kind carp"),
        ({"lookup": "cosine"}, r"--scales and --lookup are options of --kind carp"),
    ],
)
def test_options_of_the_other_kind_are_refused(dataset, tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        verb.main(TokenizerCommand(dataset, tmp_path / "run", kind="faster", **options))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"epochs": -3}, r"loop: epochs is -3; expected 1 to"),
        ({"seed": -1}, r"loop: seed is -1; expected 0 to"),
        ({"seed": 10**30}, r"loop: seed is a whole number of 100 bits"),
        ({"scales": (1, 0, 4)}, r"scales"),
    ],
)
def test_numbers_that_can_not_be_are_refused(dataset, tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        verb.main(TokenizerCommand(dataset, tmp_path / "run", **options))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"batch": -1}, r"loop: batch is -1; expected 1 to"),
        ({"learning_rate": float("nan")}, r"learning_rate is nan; expected a finite"),
        ({"demonstrations": -2}, r"--demonstrations is -2; expected 0 or more"),
        ({"rollouts": -1}, r"--rollouts is -1; expected 0 or more"),
    ],
)
def test_so_are_those_of_a_policy(dataset, tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        verb.main(PolicyCommand(dataset, tmp_path / "run", tokenizer=tmp_path / "none", **options))


def test_ctrl_c_says_that_the_same_command_goes_on(dataset, tmp_path, capsys, monkeypatch):
    def interrupted(self, figures):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder.RunFolder, "log", interrupted)
    command = TokenizerCommand(dataset, tmp_path / "run", epochs=2)
    assert verb.main(command) == EXIT_INTERRUPTED
    assert f"{tmp_path / 'run'} is kept, the same command resumes" in capsys.readouterr().out
    monkeypatch.undo()
    assert verb.main(command) == 0


def test_a_place_that_can_not_be_written_is_refused_by_name(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/run: Not a directory"):
        verb.main(TokenizerCommand(dataset, tmp_path / "file" / "run"))
