from bench.performance import text_of


def row(policy, kind="bundle", threads=1, parameters=None):
    total = {"p50": 4.0, "p99": 5.5, "max": 9.0}
    return {
        "policy": policy,
        "kind": kind,
        "threads": threads,
        "parameters": parameters,
        "stages_ms": {"total": total},
    }


def test_the_table_has_ours_with_one_thread_and_all_peers():
    content = {
        "command": ["carp", "bench"],
        "date": "2026-11-27",
        "load": 1.04,
        "machine": {"processor": "a CPU", "cores": 2},
        "policies": [
            row("carp_cup_sim"),
            row("carp_cup_sim", threads=2),
            row("my_own"),
            row("ACT, state", "peer", parameters=51_562_378),
        ],
    }
    lines = text_of(content).splitlines()
    shown = [line for line in lines if line.startswith("|")][2:]
    assert shown == [
        "| **ours**: `carp_cup_sim`, 2 cameras |  | 4.0 ms | 5.5 ms | 250 |",
        "| ACT, state | 51.6 M | 4.0 ms | 5.5 ms | 250 |",
    ]
    assert "a CPU, 2 cores, 2026-11-27, load 1.0" in lines[-1]
    assert lines[-1].endswith("`carp bench`")
