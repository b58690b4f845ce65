"""Files are written whole or not at all, and equal values give equal bytes."""

import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from features.schema import Events
from pipeline.errors import BadInput
from pipeline.files import read_json, read_table, replaced, replaced_folder, write_json, write_table

EVENTS = pl.DataFrame({"patient_id": ["a", "b"], "time": [1.0, 2.0], "kind": ["relapse", "death"]})


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    write_table(EVENTS, tmp_path / "events.parquet", Events)
    assert read_table(tmp_path / "events.parquet", Events).equals(EVENTS)


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    write_json({"b": 1, "a": [2]}, tmp_path / "one.json")
    write_json({"a": [2], "b": 1}, tmp_path / "two.json")
    write_table(EVENTS, tmp_path / "one.parquet", Events)
    write_table(EVENTS.clone(), tmp_path / "two.parquet", Events)
    for kind in ("json", "parquet"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_json([1], tmp_path / "kept.json")
    with pytest.raises(RuntimeError), replaced(tmp_path / "kept.json") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(tmp_path / "kept.json") == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    with replaced_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("first")
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "out") as folder:  # noqa: PT012
        (folder / "a").write_text("half")
        raise RuntimeError
    assert (tmp_path / "out" / "a").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from pipeline.files import replaced\n"
        "with replaced(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    )
    final = tmp_path / "final.txt"
    with subprocess.Popen([sys.executable, "-c", program, str(final)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert not final.exists()


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1"])
def test_a_damaged_table_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"events\.parquet cannot be read.*dvc repro"):
        read_table(path, Events)


def test_a_missing_table_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"events\.parquet is not there.*dvc repro"):
        read_table(tmp_path / "events.parquet", Events)


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    program = (
        "import sys, errno, random; import polars as pl; from pathlib import Path\n"
        "from pipeline.files import write_frame, write_json\n"
        "path = Path(sys.argv[1]) / 'numbers.parquet'\n"
        "write_frame(pl.DataFrame({'a': [1.0]}), path); before = path.read_bytes()\n"
        "for write in (lambda: write_frame(pl.DataFrame({'a': [random.random() for _ in range(100_000)]}), path),\n"
        "              lambda: write_json([random.random() for _ in range(100_000)], path)):\n"
        "    try: write(); sys.exit('the disk took it')\n"
        "    except OSError as problem: assert problem.errno == errno.ENOSPC, problem\n"
        "    assert path.read_bytes() == before and [f.name for f in path.parent.iterdir()] == [path.name]\n"
    )
    mount = f'mount -t tmpfs -o size=100k tmpfs {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    ran = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, program],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in ran.stderr or "mount" in ran.stderr:
        pytest.skip("this system lets no one mount a small disk")
    assert (ran.returncode, ran.stderr) == (0, "")


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.files import replaced, replaced_folder
with (replaced if sys.argv[2] == "file" else replaced_folder)(Path(sys.argv[1])) as temporary:
    (temporary if sys.argv[2] == "file" else temporary / "rows").write_text("a patient's row")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "result"
    subprocess.run([sys.executable, "-c", KILLED, str(path), kind], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with replaced(tmp_path / "result.json") as other:  # another file's writer, which runs
        if kind == "file":
            write_json(1, path)
        else:
            with replaced_folder(path) as folder:
                (folder / "rows").touch()
        assert {item.name for item in tmp_path.iterdir()} == {"result", other.name}
        other.touch()
