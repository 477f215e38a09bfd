"""Addresses with credentials: refused before anything starts, in a line without the secret."""

from pathlib import Path

import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.calibration import calibrate
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.ingest.discovery import discover_dumps
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.run.inspection import inspect_dump
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

pytestmark = pytest.mark.fault

CANARY = "canary-0123456789"
ADDRESSES = [
    f"s3://key:{CANARY}@bucket/w",
    f"simplecache::ftp://user:{CANARY}@host/w",
    f"az://container/w?sig={CANARY}",
    f"https://host/w?X-Amz-Signature={CANARY}",
]
ARGUMENTS = [
    ["run", "{}"],
    ["run", "corpora.toml"],
    ["run", "empty.toml", "--warehouse", "{}"],
    ["run", "empty.toml", "--warehouse={}"],
    ["run", "empty.toml", "--runner", "dask", "--dask-address", "{}"],
    ["nightly", "{}"],
    ["nightly", ".", "--warehouse", "{}"],
    ["matrix", "{}"],
    ["matrix", "{}", "--no-such-option"],
    ["report", ".", "--out", "{}"],
    ["plot", "ratios", ".", "-o{}"],
    ["calibrate", ".", "{}"],
    ["select", "{}", "--target", "a", "--budget", "1", "--out", "b"],
    ["inspect", "{}"],
    ["no-such-command", "{}"],
]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    """Work in a folder with a corpora file without corpora, and with the homes of all programs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("empty.toml").touch()


def write_corpora(address):
    Path("corpora.toml").write_text(
        f'[[corpus]]\nname = "a"\nrole = "train"\nformat = "lines"\npath = "{address}"\n'
    )


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_command_line_refuses_credentials_first(address, capfd):
    write_corpora(address)
    for arguments in ARGUMENTS:
        assert invoke([one.replace("{}", address) for one in arguments]) == 2, arguments
        printed = capfd.readouterr()
        assert printed.out == "", arguments
        assert printed.err.count("\n") == 1, arguments
        assert "may contain credentials; remove them" in printed.err, arguments
        assert CANARY not in printed.err, arguments
    assert {path.name for path in Path().iterdir()} == {"corpora.toml", "empty.toml"}


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "call",
    [
        warehouse_at,
        open_results,
        inspect_dump,
        load_corpora,
        lambda address: load_corpora(Path("corpora.toml")),
        lambda address: discover_dumps([Path(address)], Warehouse(Path("w"))),
        lambda address: calibrate("w", Path(address)),
    ],
)
def test_functions_refuse_credentials(address, call):
    write_corpora(address)
    for place in (address, Path(address)):
        with pytest.raises(ConfigurationError, match=r"://\*\*\* may contain credent") as caught:
            call(place)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize("address", ADDRESSES)
def test_flows_refuse_credentials_before_prefect_records_them(address, monkeypatch):
    from nl2sql_align.flows.align import align
    from nl2sql_align.flows.nightly import nightly
    from nl2sql_align.flows.select import select

    def fail(*_, **__):
        raise AssertionError("Prefect has started")

    monkeypatch.setattr("nl2sql_align.flows.running.protected_flow.serving", fail)
    for call in (
        lambda: align("corpora.toml", address),
        lambda: align(corpora=Path(address)),
        lambda: nightly([Path("dumps"), address], "w"),
        lambda: select(address, "a", 1, out="b"),
    ):
        with pytest.raises(ConfigurationError, match="may contain credentials") as caught:
            call()
        assert CANARY not in str(caught.value)


def test_a_description_in_a_folder_of_dumps_with_credentials_is_a_problem():
    Path("dumps").mkdir()
    Path("dumps", "corpus.toml").write_text(
        f'role = "train"\nformat = "lines"\npath = "{ADDRESSES[1]}"\n'
    )
    [problem] = discover_dumps([Path("dumps")], Warehouse(Path("w"))).problems
    assert "may contain credentials; remove them" in problem
    for file in Path("w").rglob("*"):
        assert not file.is_file() or CANARY not in file.read_text()


def test_queries_with_addresses_are_not_addresses(capsys):
    assert invoke(["template", f"SELECT '{ADDRESSES[0]}'"]) == 0
    assert capsys.readouterr().out == "SELECT\n"
