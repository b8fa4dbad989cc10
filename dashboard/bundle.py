"""One script and one style sheet for each page: Streamlit serves every file anew for every page, and forty modules took a third of its time.

The modules in `components/` stay as they are and work unbundled. Each becomes a function here, so that its names stay its own: it takes
what it imports from those before it and gives back what it exports.
"""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from pathlib import Path

_IMPORT = re.compile(r'^import (?:\{(?P<names>[^}]*)\}|(?P<default>\w+)) from "\./(?P<module>\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(
    r"^export (?P<default>default )?(?P<kind>(?:async )?function\*?|class|const) ?(?P<name>\w*)", re.MULTILINE
)
_NAMED = re.compile(r"^export \{(?P<names>[^}]*)\};$", re.MULTILINE)
_STYLES = re.compile(r'^@import url\("(?:\./)?(?P<name>\w+\.css)"\);$', re.MULTILINE)


def served(components: Path, pages: list[str], folder: Path) -> Path:
    """A folder in `folder` with `<page>.js` and `<page>.css` of each page, written where it is not there yet. Raises OSError."""
    files = {f"{page}.js": script(components, page) for page in pages} | {
        f"{page}.css": styles(components, f"{page}.css") for page in pages
    }
    digest = blake2b("\0".join(f"{name}\0{text}" for name, text in sorted(files.items())).encode(), digest_size=8)
    place = folder / digest.hexdigest()
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if not (place / name).is_file() or (place / name).read_text(encoding="utf-8") != text:
            # Another dashboard of this home may be doing the same.
            half = place / f".{name}.{os.getpid()}"
            half.write_text(text, encoding="utf-8")
            half.replace(place / name)
    return place


def script(components: Path, entry: str) -> str:
    """The module with all that it imports as one module; its default export is the entry's."""
    parts = "\n".join(
        f"// {name}.js\n$modules.{name} = (() => {{\n{_wrapped(components, name)}}})();"
        for name in _order(components, entry)
    )
    return f"const $modules = {{}};\n{parts}\nexport default $modules.{entry}.default;\n"


def styles(components: Path, name: str) -> str:
    """The style sheet with those that it imports put in their place."""
    text = (components / name).read_text(encoding="utf-8")
    return _STYLES.sub(lambda found: styles(components, found["name"]), text)


def _order(components: Path, entry: str) -> list[str]:
    """The modules that the entry needs, each after those it imports. Raises ValueError where they import one another in a ring."""
    order: list[str] = []
    open_: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        if name in open_:
            raise ValueError(f"modules import one another in a ring: {' > '.join([*open_, name])}")
        open_.append(name)
        for found in _IMPORT.finditer(_source(components, name)):
            visit(found["module"])
        open_.remove(name)
        order.append(name)

    visit(entry)
    return order


def _wrapped(components: Path, name: str) -> str:
    """The body of a module's function."""
    exported: list[str] = []

    def taken(found: re.Match[str]) -> str:
        names = "default: " + found["default"] if found["default"] else found["names"].replace(" as ", ": ")
        return f"const {{ {names.strip()} }} = $modules.{found['module']};"

    def given(found: re.Match[str]) -> str:
        own = found["name"] or "$default"
        exported.append(f"default: {own}" if found["default"] else own)
        return f"{found['kind']} {own}"

    body = _EXPORT.sub(given, _IMPORT.sub(taken, _source(components, name)))
    for found in _NAMED.finditer(body):
        pairs = (name.split(" as ") for name in found["names"].split(","))
        exported += [f"{pair[-1].strip()}: {pair[0].strip()}" for pair in pairs]
    return f"{_NAMED.sub('', body)}return {{ {', '.join(exported)} }};\n"


def _source(components: Path, name: str) -> str:
    return (components / f"{name}.js").read_text(encoding="utf-8")
