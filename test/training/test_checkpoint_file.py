"""What a training left on disk, changed or cut off: refused by name, in one line, or as it was."""

import json
import random
import shutil

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from carp_ros.training.build import load_network, load_tokenizer  # noqa: E402
from carp_ros.training.checkpoint_file import (  # noqa: E402
    read_safetensors,
    read_torch,
    write_safetensors,
)
from carp_ros.training.loop import LoopConfig, train  # noqa: E402
from carp_ros.training.run_folder import CONFIG, STATE, WEIGHTS, RunFolder  # noqa: E402

from .small_world import make_run_config, make_trainee  # noqa: E402

ONE = torch.tensor(1.0)
LOOP = LoopConfig(1, 16, precision="fp32")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a short training of a policy."""
    folder = tmp_path_factory.mktemp("run")
    trainee = make_trainee()
    train(trainee, LOOP, RunFolder(folder, make_run_config(trainee.network)))
    return folder


def changed(run, folder, name, content):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run, folder)
    (folder / name).write_bytes(content)
    return folder


def refuses(call, folder):
    """Tell whether a call refuses a folder; anything but a one-line ValueError fails."""
    try:
        call()
    except ValueError as error:
        said = str(error)
    else:
        return False
    assert str(folder) in said
    assert "\n" not in said
    assert len(said) < 700
    return True


def test_a_training_that_is_whole_is_read(run):
    network, _, config = load_network(run)
    assert config["tasks"] == ["cup"]
    assert load_tokenizer(run).config == network.tokenizer.config


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from([CONFIG, WEIGHTS, STATE]),
    seed=st.integers(0, 10**6),
    cut=st.booleans(),
)
def test_a_file_that_was_changed_or_cut_off_is_refused_by_name(
    run, tmp_path_factory, name, seed, cut
):
    rng = random.Random(seed)
    content = bytearray((run / name).read_bytes())
    if cut:
        del content[rng.randrange(len(content)) :]
    else:
        content[rng.randrange(min(len(content), 2000))] ^= 1 << rng.randrange(8)
    folder = changed(run, tmp_path_factory.getbasetemp() / "changed", name, bytes(content))
    if name != STATE:
        is_refused = refuses(lambda: load_network(folder), folder)
        assert is_refused or not cut
        return
    state = read_torch(run / STATE)
    trainee = make_trainee()
    config = json.loads((folder / CONFIG).read_text())
    if not refuses(lambda: train(trainee, LOOP, RunFolder(folder, config)), folder):
        for key, value in state["network"].items():
            torch.testing.assert_close(trainee.network.state_dict()[key].shape, value.shape)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.pop("fusion.0.bias"), r"lacks fusion\.0\.bias; expected the \d+ weights"),
        (lambda w: w.update(more=torch.zeros(1)), r"has more; expected the"),
        (
            lambda w: w.update({"fusion.0.bias": torch.zeros(3)}),
            r"fusion\.0\.bias is float32 of shape \(3,\); expected float32 of shape \(12,\)",
        ),
        (lambda w: w["fusion.0.bias"].fill_(float("nan")), r"12 of 12 numbers that are not finite"),
        (lambda w: w["fusion.0.bias"][1:2].fill_(-1e30), r"a number as large as 1e\+30; expected"),
        (
            lambda w: w.update({"fusion.0.bias": torch.zeros(12, dtype=torch.float16)}),
            r"is float16 of shape",
        ),
    ],
)
def test_weights_of_another_network_are_refused_by_name(run, tmp_path, change, said):
    weights = load_file(run / WEIGHTS)
    change(weights)
    folder = changed(run, tmp_path / "changed", WEIGHTS, b"")
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(ValueError, match=said):
        load_network(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 10**9),
        ("width", 99_968),  # allowed, but far more than the weights are of
        ("depth", 10**9),
        ("heads", 0),
        ("fusion", -1),
        ("sharpness", "much"),
    ],
)
def test_sizes_that_the_weights_are_not_of_are_refused_before_they_cost_memory(
    run, tmp_path, key, value
):
    config = json.loads((run / CONFIG).read_text())
    config["recipe"][key] = value
    folder = changed(run, tmp_path / "changed", CONFIG, json.dumps(config).encode())
    assert refuses(lambda: load_network(folder), folder)


@pytest.mark.parametrize("name", ["../../etc/camera", "wrist cam", "", "\0"])
def test_a_camera_that_would_become_another_path_is_refused(run, tmp_path, name):
    config = json.loads((run / CONFIG).read_text())
    config["cameras"] = [name]
    folder = changed(run, tmp_path / "changed", CONFIG, json.dumps(config).encode())
    assert refuses(lambda: load_network(folder), folder)


def test_what_torch_unpickles_is_tensors_and_plain_values_alone(tmp_path):
    torch.save({"network": print}, tmp_path / "state.pt")
    with pytest.raises(ValueError, match=r"state\.pt: UnpicklingError"):
        read_torch(tmp_path / "state.pt")
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds a list"):
        read_torch(tmp_path / "list.pt")


def test_one_bit_of_a_weight_that_changed_is_noticed(tmp_path):
    torch.save({"weights": torch.ones(1000)}, tmp_path / "state.pt")
    content = bytearray((tmp_path / "state.pt").read_bytes())
    place = content.index(torch.ones(100).numpy().tobytes())
    content[place + 40] ^= 1
    (tmp_path / "state.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"state\.pt: .*data/0 was changed; expected a whole file"):
        read_torch(tmp_path / "state.pt")


@pytest.mark.parametrize("place", [3, 4 * 999 + 1])
def test_one_bit_of_a_saved_weight_that_changed_is_noticed(tmp_path, place):
    path = tmp_path / "weights.safetensors"
    write_safetensors({"weights": torch.ones(1000), "none": torch.ones(0), "one": ONE}, path)
    assert read_safetensors(path)["one"] == ONE
    content = bytearray(path.read_bytes())
    content[content.index(torch.ones(1000).numpy().tobytes()) + place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path}: its weights are not those that were saved"):
        read_safetensors(path)


def test_two_weights_that_were_exchanged_are_noticed(tmp_path):
    path = tmp_path / "weights.safetensors"
    write_safetensors({"a": torch.zeros(4), "b": torch.ones(4)}, path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file({"a": torch.ones(4), "b": torch.zeros(4)}, path, metadata)
    with pytest.raises(ValueError, match="not those that were saved"):
        read_safetensors(path)


def test_weights_of_a_program_that_says_no_digest_are_read(tmp_path):
    save_file({"a": torch.ones(4)}, tmp_path / "a.safetensors", {"format": "pt"})
    assert read_safetensors(tmp_path / "a.safetensors")["a"].tolist() == [1.0] * 4


@pytest.mark.parametrize("read", [read_torch, read_safetensors])
def test_what_is_no_file_of_weights_is_refused(tmp_path, read):
    (tmp_path / "text").write_text("weights")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "text"):
        with pytest.raises(ValueError, match=str(path)):
            read(path)


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path):
    path = tmp_path / "huge.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="huge"):
        read_safetensors(path)


def test_a_run_goes_on_only_from_a_state_of_its_own(run, tmp_path):
    state = read_torch(run / STATE)
    config = json.loads((run / CONFIG).read_text())
    number = next(iter(state["optimizer"]["state"]))
    for change in (
        lambda s: s.pop("average"),
        lambda s: s.update(epoch=-1),
        lambda s: s.update(epoch=99),
        lambda s: s["optimizer"]["state"][number].update(exp_avg=torch.zeros(2, 3, 4, 5)),
        lambda s: s["network"]["fusion.0.bias"].fill_(float("inf")),
        lambda s: s["network"]["fusion.0.bias"].fill_(1e30),
    ):
        wrong = {**state, "network": {n: v.clone() for n, v in state["network"].items()}}
        wrong["optimizer"] = {**state["optimizer"], "state": dict(state["optimizer"]["state"])}
        wrong["optimizer"]["state"][number] = dict(state["optimizer"]["state"][number])
        change(wrong)
        folder = changed(run, tmp_path / "changed", STATE, b"")
        torch.save(wrong, folder / STATE)
        with pytest.raises(ValueError, match=r"state\.pt can't be resumed from; start again"):
            train(make_trainee(), LOOP, RunFolder(folder, config))
