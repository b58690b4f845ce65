"""Reference files: what the study file names is read as text inside the source folder, and nothing else."""

import gzip
from pathlib import Path

import pytest

from features.errors import BadInput
from features.reference_table import read_reference


def test_a_file_of_the_source_folder_is_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "norms.csv").write_bytes(b"\xef\xbb\xbftest,mean\ndigit_symbol,050\n")
    assert read_reference(tmp_path, "tables/norms.csv", "norms").rows() == [("digit_symbol", "050")]


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "/etc/hostname",
        "a/../../secret.csv",
        "..\\secret.csv",
        "C:\\x",
        "",
        "\0",
        {"file": "x"},
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: object) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (tmp_path / "source").mkdir()
    with pytest.raises(BadInput, match="inside the study's source folder"):
        read_reference(tmp_path / "source", name, "norms")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "norms.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(BadInput, match="a link out of"):
        read_reference(tmp_path / "source", "norms.csv", "norms")


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b"a,b\n1,2\n", mtime=0), b"a,b\n1,2,3\n", b"\xff\xfea", b'a,b\n"1,2\n']
)
def test_what_is_no_table_of_text_is_refused_and_never_unpacked(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "norms.csv").write_bytes(content)
    with pytest.raises(BadInput, match="not comma-separated text"):
        read_reference(tmp_path, "norms.csv", "norms")
