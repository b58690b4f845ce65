"""A view of result files in MLflow: one experiment per study, one run per cell; the only module that knows mlflow."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from experiments.moved_store import set_aside_moved_store
from experiments.provenance import Provenance, provenance_tags
from experiments.run_contents import RunContents
from experiments.run_metrics import first_columns
from features.errors import BadInput

DEFAULT_FOLDER = Path("artifacts/mlflow")
PREFIX = "psystrata."
VIEW_TAG, VIEW = "mlflow.sharedViewState.", "psystrata"
BATCH = 900  # MLflow takes 1,000 metrics and 100 parameters or tags at once
SMALL_BATCH = 90
SCHEMES_OF_SERVERS = ("http", "https")
# Set before mlflow is imported: nothing is reported or looked up over the network, and a dead server is given up soon.
QUIET: Mapping[str, str] = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
PATIENCE: Mapping[str, str] = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


@dataclass(frozen=True)
class Logged:
    """Counts of one replay: runs added, runs that were there, runs whose card was renewed, runs superseded.

    `page` is the part of the address after the server that lists the experiment's runs.
    """

    added: int = 0
    present: int = 0
    renewed: int = 0
    superseded: int = 0
    page: str = field(default="", compare=False)


def store_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or the study workspace's own SQLite file."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(DEFAULT_FOLDER / 'mlflow.db').as_posix()}"


def quiet_environment() -> dict[str, str]:
    """Return the environment in which MLflow neither reports nor looks up anything over the network."""
    return {**PATIENCE, **os.environ, **QUIET}


def replay(
    contents: Sequence[RunContents],
    *,
    study: str,
    title: str,
    description: str,
    provenance: Mapping[str, Provenance],
    uri: str,
) -> Logged:
    """Log the runs that are missing from the store; a second time adds nothing.

    A run is known by the hash of its cell's results. Where they changed, the new run is added and the old one kept and
    tagged superseded; a changed card alone is renewed in place. A run counts as logged only once its last tag is
    written: what an interrupted replay left is removed and logged again. The project's own store is made anew where the
    project was moved.

    Args:
        contents: one per cell, the primary first.
        study: name of the experiment.
        title: of the study.
        description: Markdown note of the experiment.
        provenance: by outcome.
        uri: the store.

    Raises:
        BadInput: the store cannot be reached or used; result files are not touched.
    """
    shown_uri, place = without_password(uri), _artifact_place(uri, study)
    set_aside_moved_store(uri, DEFAULT_FOLDER, study, place)
    os.environ.update(quiet_environment())
    from mlflow.exceptions import MlflowException

    try:
        client = _client(uri)
        experiment = _experiment(
            client, study, title=title, description=description, place=place, shown_uri=shown_uri
        )
        logged = _replay_into(client, experiment, contents, provenance)
        _set_view(client, experiment, contents)
        return replace(logged, page=_page(experiment))
    except (MlflowException, ImportError, OSError) as problem:
        raise BadInput(
            f"The MLflow store {shown_uri} cannot be used ({_first_line(problem)}). The results are whole; "
            "start the server or unset MLFLOW_TRACKING_URI, then run: psystrata track"
        ) from problem


def server_command(uri: str, port: int) -> list[str]:
    """Return the command that shows a store of this machine on loopback, with one worker process."""
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", uri, "--default-artifact-root", _artifact_folder(uri).resolve().as_uri()),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--no-serve-artifacts", "--uvicorn-opts", "--log-level warning"),
    ]


def without_password(uri: str) -> str:
    """Return a URI that can be printed; raises BadInput where it is none."""
    try:
        parts = urlsplit(uri)
    except ValueError as problem:
        raise BadInput(
            "MLFLOW_TRACKING_URI is not an address. Mend it, or unset it to use the local store."
        ) from problem
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri)


def _experiment(
    client: Any, study: str, *, title: str, description: str, place: str | None, shown_uri: str
) -> str:
    found = client.get_experiment_by_name(study)
    if found is None:
        identifier = str(client.create_experiment(study, artifact_location=place))
    elif found.lifecycle_stage != "active":
        raise BadInput(
            f"The MLflow experiment {study} was deleted in {shown_uri}. Restore it there, or remove the store."
        )
    elif place is not None and found.artifact_location != place:
        raise BadInput(
            f"The MLflow store {shown_uri} was made in another folder and its files lie there. It is only a view: "
            f"remove {DEFAULT_FOLDER} and run: psystrata track"
        )
    else:
        identifier = str(found.experiment_id)
    tags = {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": description,
        f"{PREFIX}title": title,
    }
    known = {} if found is None else found.tags
    for key, value in tags.items():
        if known.get(key) != value:
            client.set_experiment_tag(identifier, key, value)
    return identifier


def _set_view(client: Any, experiment: str, contents: Sequence[RunContents]) -> None:
    """Keep a view of the runs as MLflow's own page keeps shared ones: current runs, the primary first, intervals beside."""
    primary = next((item.cell for item in contents if item.cell.primary), None)
    schemes = list(primary.schemes) if primary else []
    names = first_columns(schemes, primary.primary if primary else None, [item.metrics for item in contents])
    columns = [f"metrics.`{name}`" for name in names]
    view = {
        "searchFilter": f"tags.`{PREFIX}superseded` = 'false'",
        "orderByKey": "tags.`primary`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
        "columnOrder": columns,
    }
    key, value = f"{VIEW_TAG}{VIEW}", json.dumps(view, sort_keys=True)
    if client.get_experiment(experiment).tags.get(key) != value:
        client.set_experiment_tag(experiment, key, value)


def _page(experiment: str) -> str:
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def _artifact_place(uri: str, study: str) -> str | None:
    """Return where a new experiment's files go; None where a server decides."""
    if urlsplit(uri).scheme in SCHEMES_OF_SERVERS:
        return None
    return (_artifact_folder(uri) / study).resolve().as_uri()


def _artifact_folder(uri: str) -> Path:
    path = uri.removeprefix("sqlite:///")
    return (Path(path).parent if path != uri else DEFAULT_FOLDER) / "artifacts"


def _replay_into(
    client: Any, experiment: str, contents: Sequence[RunContents], provenance: Mapping[str, Provenance]
) -> Logged:
    known: dict[tuple[str, str], Any] = {}
    for run in _runs(client, experiment):
        tags = run.data.tags
        if f"{PREFIX}cell" in tags and f"{PREFIX}results" not in tags:
            client.delete_run(run.info.run_id)
        elif f"{PREFIX}cell" in tags:
            known[tags[f"{PREFIX}cell"], tags[f"{PREFIX}results"]] = run
    added = present = renewed = 0
    for item in reversed(contents):  # the primary last: MLflow lists the newest run first
        run = known.get((item.cell.name, item.results))
        if run is None:
            _log_run(client, experiment, item, provenance[item.cell.outcome])
            added += 1
            continue
        present += 1
        if run.data.tags.get(f"{PREFIX}card") != item.card:
            _log_files(client, run.info.run_id, item)
            client.set_tag(run.info.run_id, f"{PREFIX}card", item.card)
            renewed += 1
    current = {(item.cell.name, item.results) for item in contents}
    superseded = sum(_mark(client, run, superseded=key not in current) for key, run in known.items())
    return Logged(added=added, present=present, renewed=renewed, superseded=superseded)


def _runs(client: Any, experiment: str) -> list[Any]:
    runs, token = [], None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def _log_run(client: Any, experiment: str, item: RunContents, provenance: Provenance) -> None:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.time import get_current_time_millis

    tags = {
        "mlflow.user": "psystrata",  # MLflow would write the name of the computer's user
        "mlflow.source.name": "psystrata track",
        "mlflow.source.type": "LOCAL",
        f"{PREFIX}cell": item.cell.name,
    }
    run = client.create_run(experiment, tags=tags, run_name=run_name(item))
    identifier, now = run.info.run_id, get_current_time_millis()
    metrics = [Metric(key, value, now, 0) for key, value in item.metrics.items()]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(identifier, metrics=metrics[start : start + BATCH])
    parameters = [Param(key, value) for key, value in sorted(item.parameters.items())]
    for start in range(0, len(parameters), SMALL_BATCH):
        client.log_batch(identifier, params=parameters[start : start + SMALL_BATCH])
    _log_dataset(client, identifier, item, provenance)
    _log_files(client, identifier, item)
    last = {
        **item.tags,
        **provenance_tags(provenance),
        "mlflow.note.content": item.note,
        f"{PREFIX}superseded": "false",
        f"{PREFIX}card": item.card,
        f"{PREFIX}results": item.results,
    }
    client.log_batch(identifier, tags=[RunTag(key, value) for key, value in last.items()])
    client.set_terminated(identifier)


def run_name(item: RunContents) -> str:
    """Return the run's name as the lists show it."""
    return f"{item.cell.outcome} · {item.cell.learner}{' (primary)' if item.cell.primary else ''}"


def _log_dataset(client: Any, run: str, item: RunContents, provenance: Provenance) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if not provenance.data:
        return
    dataset = Dataset(
        name=f"{item.tags['study']} {item.cell.outcome}",
        digest=provenance.data[:16],
        source_type="local",
        source="assembled matrix, rows and outcomes; not logged",
    )
    context = "nested validation" if item.cell.schemes else "stratification"
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])


def _log_files(client: Any, run: str, item: RunContents) -> None:
    with tempfile.TemporaryDirectory(prefix="psystrata-") as folder:
        for name, content in item.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        client.log_artifacts(run, folder)


def _mark(client: Any, run: Any, *, superseded: bool) -> bool:
    """Tag a run as superseded or current; returns whether it became superseded now."""
    was = run.data.tags.get(f"{PREFIX}superseded") == "true"
    if was == superseded:
        return False
    client.set_tag(run.info.run_id, f"{PREFIX}superseded", str(superseded).lower())
    name = run.info.run_name.removesuffix(" (superseded)")
    client.set_tag(run.info.run_id, "mlflow.runName", f"{name} (superseded)" if superseded else name)
    return superseded


def _first_line(problem: Exception) -> str:
    text = re.sub(r"//[^/@\s]*@", "//", str(problem)).strip().splitlines()
    return text[0][:160] if text else type(problem).__name__
