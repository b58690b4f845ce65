"""Learners and clusterers by name. To add one: a factory in a module of its own and a line here."""

from models.contract import LearnerKind

LEARNERS: dict[str, LearnerKind] = {}
CLUSTERERS: dict[str, object] = {}
