"""Bundles: the same bytes each time, nothing changed, missing or added, and nothing of a patient inside."""

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from experiments.bundle import packing
from experiments.bundle.contents import MANIFEST, Summary, canonical_json
from experiments.bundle.packing import open_bundle, read_files, seal, zipped
from experiments.bundle.scan import disclosures
from experiments.bundle.summaries import drift_of
from features.errors import BadInput
from tests.experiments.small_bundle import HEAD, small_bundle


def folder_of(files: dict[str, bytes], place: Path) -> Path:
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def opened(path: Path) -> packing.Bundle:
    return open_bundle(read_files(path), str(path))


def test_zip_and_folder_hold_the_same_bundle_and_the_zip_the_same_bytes(tmp_path: Path) -> None:
    files = small_bundle()
    archive = tmp_path / "bundle.zip"
    archive.write_bytes(zipped(files))
    assert zipped(dict(reversed(files.items()))) == archive.read_bytes()
    from_folder, from_zip = opened(folder_of(files, tmp_path / "folder")), opened(archive)
    assert from_zip == from_folder
    assert from_zip.manifest.left_out == "DE"
    assert sorted(from_zip.parts) == ["learner.json", "model_0.txt"]
    assert small_bundle(study="other")[MANIFEST] != files[MANIFEST]
    assert len(from_zip.fingerprint) == 64


@pytest.mark.parametrize("name", sorted(small_bundle()))
@pytest.mark.parametrize("place", [0, 0.31, 0.5, 0.77, 1])
def test_a_flipped_byte_is_refused_wherever_it_is(name: str, place: float, tmp_path: Path) -> None:
    files = small_bundle()
    content = bytearray(files[name])
    content[round(place * (len(content) - 1))] ^= 1
    folder = folder_of({**files, name: bytes(content)}, tmp_path / "bundle")
    with pytest.raises(BadInput) as refused:
        opened(folder)
    assert name in str(refused.value)
    assert len(refused.value.problems) == 1


@pytest.mark.parametrize("name", sorted(small_bundle()))
def test_a_missing_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    files = small_bundle()
    del files[name]
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        opened(folder_of(files, tmp_path / "bundle"))


@pytest.mark.parametrize(
    "name", ["rows.parquet", "model/extra.json", "model/deeper/learner.json", "notes.txt"]
)
def test_an_added_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"has besides '{name}'"):
        opened(folder_of({**small_bundle(), name: b"x"}, tmp_path / "bundle"))


@pytest.mark.parametrize(
    "name", ["rows.parquet", "model/rows.csv", "model/learner.pkl", "model/../x.json", "deep/model/x.json"]
)
def test_what_no_bundle_may_hold_is_not_even_sealed(name: str) -> None:
    with pytest.raises(BadInput, match="not a file that a bundle may hold"):
        seal({**small_bundle(), name: b"x"}, HEAD)


def test_a_manifest_of_another_version_or_written_anew_is_refused(tmp_path: Path) -> None:
    files = small_bundle()
    values = json.loads(files[MANIFEST])
    newer = canonical_json({**values, "version": 2})
    with pytest.raises(
        BadInput, match=r"is a bundle of version 2, this psystrata reads version 1\. Use the psystrata"
    ):
        opened(folder_of({**files, MANIFEST: newer}, tmp_path / "newer"))
    with pytest.raises(BadInput, match=r"manifest\.json was changed"):
        opened(
            folder_of({**files, MANIFEST: canonical_json({**values, "left_out": None})}, tmp_path / "other")
        )
    spaced = json.dumps(values).encode()
    with pytest.raises(BadInput, match=r"manifest\.json was changed"):
        opened(folder_of({**files, MANIFEST: spaced}, tmp_path / "spaced"))
    with pytest.raises(BadInput, match="left_in is not as it should be"):
        opened(folder_of({**files, MANIFEST: canonical_json({**values, "left_in": 1})}, tmp_path / "key"))


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made


SLIPS: dict[str, Callable[[zipfile.ZipFile], None]] = {
    "above": lambda archive: archive.writestr(entry("../outside.json"), b"x"),
    "absolute": lambda archive: archive.writestr(entry("/etc/outside.json"), b"x"),
    "windows": lambda archive: archive.writestr(entry("model\\..\\outside.json"), b"x"),
    "drive": lambda archive: archive.writestr(entry("c:outside.json"), b"x"),
    "link": lambda archive: archive.writestr(entry("model/link.json", stat.S_IFLNK | 0o777), b"/etc/passwd"),
    "folder": lambda archive: archive.writestr(entry("model/"), b""),
    "detour": lambda archive: archive.writestr(entry("model/./x.json"), b"x"),
}


@pytest.mark.parametrize("slip", sorted(SLIPS))
def test_entries_that_lead_elsewhere_are_refused_and_nothing_is_unpacked(slip: str, tmp_path: Path) -> None:
    path = tmp_path / "in" / "bundle.zip"
    path.parent.mkdir()
    path.write_bytes(zipped(small_bundle()))
    with zipfile.ZipFile(path, "a") as archive:
        SLIPS[slip](archive)
    with pytest.raises(BadInput, match="no plain file of a bundle"):
        read_files(path)
    assert [item.name for item in tmp_path.rglob("*") if item.is_file()] == ["bundle.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_a_bomb_and_a_crowd_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(zipped(small_bundle()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry("README.md"), b"again")
    with pytest.raises(BadInput, match=r"'README\.md' twice"):
        read_files(path)

    monkeypatch.setattr(packing, "LARGEST", 1024 * 1024)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/learner.json", b" " * 3_000_000)
    path.write_bytes(buffer.getvalue())
    assert len(buffer.getvalue()) < 10_000
    with pytest.raises(BadInput, match="more than 1 MB unpacked"):
        read_files(path)

    path.write_bytes(zipped({f"model/m{number}.json": b"{}" for number in range(packing.MOST_FILES + 1)}))
    with pytest.raises(BadInput, match="more than 200 files"):
        read_files(path)


def test_a_damaged_zip_a_link_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    whole = zipped(small_bundle())
    path = tmp_path / "bundle.zip"
    for spoilt in (
        whole[: len(whole) // 2],
        b"not a zip",
        whole[:200] + bytes([whole[200] ^ 255]) + whole[201:],
    ):
        path.write_bytes(spoilt)
        with pytest.raises(BadInput, match=r"damaged|changed|size"):
            opened(path)
    folder = folder_of(small_bundle(), tmp_path / "folder")
    (folder / "model" / "extra.json").symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="is a link or a device"):
        read_files(folder)
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    with pytest.raises(BadInput, match="is a link"):
        read_files(linked)
    with pytest.raises(BadInput, match="is not there"):
        read_files(tmp_path / "nowhere.zip")


PSEUDONYM = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("the risk of baseline-17-1 is", "an identifier"),
        (f'"patient": "{PSEUDONYM}"', "a pseudonym"),
        ("seen on 2019-03-05 at", "a date"),
        ("vu le 05/03/2019,", "a date"),
        ("am 05.03.2019.", "a date"),
    ],
)
def test_what_must_not_leave_is_found_also_inside_figures(text: str, kind: str) -> None:
    import base64

    hidden = f'<img src="data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}">'
    for content in (text, hidden):
        (problem,) = disclosures({"card.html": content.encode(), "README.md": b"fine"}, {"baseline-17-1"})
        assert problem.startswith("card.html holds")
        assert kind in problem
        assert "17" not in problem
        assert "2019" not in problem


def test_what_is_no_disclosure_passes_and_what_is_no_text_does_not() -> None:
    files = {
        "a": b"17 baseline 2019 " + b"ab" * 32,
        "b": b'xmlns="http://www.w3.org/1999/02/22-rdf-syntax-ns#"',
    }
    assert disclosures(files, {"baseline-17-1"}) == []
    assert disclosures({"a": b"from 2019-03-05"}, (), {"2019-03-05"}) == []
    assert disclosures({"a": b"\xff\xfe"}, ()) == [
        "a is not text, so it cannot be read for what must not leave."
    ]


def resealed(
    name: str, change: Callable[[Any], None], head: dict[str, Any] | None = None
) -> dict[str, bytes]:
    """Return the bundle as somebody would send it who changed a file and wrote a manifest to it."""
    files = {key: content for key, content in small_bundle().items() if key != MANIFEST}
    if name:
        content = json.loads(files[name])
        change(content)
        files[name] = json.dumps(content).encode()
    values = {**json.loads(small_bundle()[MANIFEST]), **(head or {})}
    values["files"] = {key: hashlib.sha256(content).hexdigest() for key, content in files.items()}
    del values["seal"]
    values["seal"] = hashlib.sha256(canonical_json(values)).hexdigest()
    return {**files, MANIFEST: canonical_json(values)}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("study", "../../elsewhere"), ("learner", "/tmp/x"), ("learner", ""), ("learner", "<script>"),
        ("outcome", "a b"), ("kind", "\x1b[2J"), ("left_out", "DE\x1b]0;title\x07"), ("psystrata", "1\n2"),
    ],
)  # fmt: skip
def test_a_manifest_names_things_as_settings_do_and_steers_no_terminal(key: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"manifest.json of the bundle cannot be used: {key}"):
        open_bundle(resealed("", lambda content: None, {key: value}), "bundle")


@pytest.mark.parametrize(
    "estimand", [[1, 2], None, {"eligible": 3}, {"eligible": "\x1b[2J"}, {"\x9b1m": "x"}, {"eligible": "x" * 30_000}]
)  # fmt: skip
def test_an_estimand_is_printable_texts_by_name(estimand: Any) -> None:
    spoilt = resealed("definition.json", lambda content: content["outcome"].update(estimand=estimand))
    with pytest.raises(BadInput, match=r"definition\.json of the bundle cannot be used: outcome"):
        open_bundle(spoilt, "bundle")


def test_settings_nested_without_end_and_horizons_without_number_are_refused() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    for key, value in (
        ("feature_sets", {"blood": {"x": deep}}),
        ("horizons", [float(day) for day in range(1, 500)]),
    ):
        spoilt = resealed("definition.json", partial(dict.update, **{key: value}))
        with pytest.raises(BadInput, match=r"definition\.json of the bundle cannot be used"):
            open_bundle(spoilt, "bundle")
    assert open_bundle(resealed("", lambda content: None), "bundle").manifest.study == "mine"


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("summaries", {"column": "a", "mean": None, "spread": None, "missing": None, "shares": None}),
        ("base_rates", {"cause": 1, "horizon": 365.0, "risk": 0.2}),
    ],
)
def test_nothing_of_the_reference_is_told_twice(key: str, row: dict[str, Any]) -> None:
    once, twice = (partial(dict.update, **{key: [row] * times}) for times in (1, 2))
    assert open_bundle(resealed("reference.json", once), "bundle")
    with pytest.raises(BadInput, match=r"reference\.json of the bundle cannot be used"):
        open_bundle(resealed("reference.json", twice), "bundle")


def test_a_spread_next_to_nothing_gives_no_difference_instead_of_an_infinite_one() -> None:
    def summary(mean: float, spread: float) -> Summary:
        return Summary(column="a", mean=mean, spread=spread, missing=0.0, shares=None)

    drift = drift_of([summary(0.0, 5e-324)], [summary(1.0, 2.0)])
    assert drift["difference"].to_list() == [None, None, 0.0]
