"""YAML as psystrata reads and writes it: safe, strict, without anchors or tags."""

from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import BadSettings

LARGEST_FILE = 5_000_000  # bytes; a study file is written by hand


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without duplicate keys, anchors or tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", self.get_mark())
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a word, not a list or a mapping", key_node.start_mark
                )
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _PlainDumper(yaml.SafeDumper):
    """Writes every value where it stands, without anchors, and long texts line by line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_lines(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_PlainDumper.add_representer(str, _as_lines)


def dump_yaml(value: Any) -> str:
    """Return a value as YAML text, keys in their order."""
    return yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=120)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; anything unusual is refused with its line."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadSettings(f"{path} is larger than {LARGEST_FILE:,} bytes: that is not a study file.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadSettings(f"{path} is not there. Write it, or name another study.") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{path} is not UTF-8 text. Save it as UTF-8.") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, path: str) -> dict[str, Any]:
    """Read a YAML mapping from text; `path` names it in messages."""
    try:
        loaded = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        what = getattr(problem, "problem", None) or "not YAML"
        raise BadSettings(f"{path}{line}: {what}. Mend the line.") from None
    except RecursionError:
        raise BadSettings(f"{path} is nested too deeply: that is not a study file.") from None
    if not isinstance(loaded, dict):
        raise BadSettings(f"{path} must hold keys and values, found {type(loaded).__name__}.")
    return loaded
