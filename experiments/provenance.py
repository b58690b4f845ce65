"""Where results come from: commit, lock file and data, as hashes."""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """Where results come from, taken when a run is first logged; empty where not known."""

    commit: str = ""
    lock: str = ""
    data: str = ""


def provenance_of(workspace: Path, outcome: str | None) -> Provenance:
    """Return commit, lock and data hashes as far as they are known now; without an outcome the data are features alone."""
    data = [
        workspace / "assembled" / "matrix.parquet",
        workspace / "assembled" / "rows.parquet",
        *([] if outcome is None else [workspace / "outcomes" / outcome / "outcomes.parquet"]),
    ]
    hashes = [_file_hash(path) for path in data]
    joined = hashlib.sha256(" ".join(hashes).encode()).hexdigest() if all(hashes) else ""
    return Provenance(commit=_commit(), lock=_file_hash(Path("dvc.lock")), data=joined)


def provenance_tags(provenance: Provenance) -> dict[str, str]:
    """Return the known ones as tags; MLflow shows the commit as the run's version."""
    tags = {
        "data_sha256": provenance.data,
        "dvc_lock_sha256": provenance.lock,
        "git_commit": provenance.commit,
        "mlflow.source.git.commit": provenance.commit,
    }
    return {key: value for key, value in tags.items() if value}


def _commit() -> str:
    """Return the commit checked out, or nothing where there is no git or no history."""
    git = shutil.which("git")
    if git is None:
        return ""
    answer = subprocess.run(
        [git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=20
    )
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
