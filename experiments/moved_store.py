"""The local MLflow store of a project folder that was copied or renamed: set aside, so that the view is made anew."""

import sqlite3
from contextlib import closing
from pathlib import Path

SQLITE = "sqlite:///"


def set_aside_moved_store(uri: str, default_folder: Path, study: str, place: str | None) -> Path | None:
    """Rename the default store where its files lie in another folder, and return its new name; None where it is right.

    A store names the folder of its files for good, so it does not survive a move. It is only a view of the result files:
    the next replay fills a new one. Only the project's own store is touched, never one that MLFLOW_TRACKING_URI names
    elsewhere, and nothing is deleted.

    Args:
        uri: of the store.
        default_folder: the project's own store.
        study: name of the experiment.
        place: where the experiment's files belong; None where a server decides.
    """
    path = Path(uri.removeprefix(SQLITE))
    if place is None or not uri.startswith(SQLITE) or path.parent != default_folder or not path.is_file():
        return None
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as store:
        try:
            found = store.execute(
                "SELECT artifact_location FROM experiments WHERE name = ?", (study,)
            ).fetchall()
        except sqlite3.DatabaseError:  # not made yet, or no store: MLflow itself says what is wrong
            return None
    if all(location == place for (location,) in found):
        return None
    number = 1
    while (aside := default_folder.with_name(f"{default_folder.name}_of_another_folder_{number}")).exists():
        number += 1
    return default_folder.rename(aside)
