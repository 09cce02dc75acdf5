"""Print the pages that come from the code; a test fails when one of them is stale.

Run it as `python docs/print_pages.py` (or `make docs`); `--check` only compares.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from typer.main import get_command

from metastra.catalogue import all_checks
from metastra.cli.app import app
from metastra.encoders.known import known_encoders
from metastra.encoders.morphology import FEATURES, Morphology
from metastra.study import sections
from metastra.study.endpoints import ENDPOINTS
from metastra.study.study import Study
from metastra.study.vocabulary import EventType, Site
from metastra.testing.architecture import FLOORS

DOCS = Path(__file__).parent
NOTE = "<!-- printed by docs/print_pages.py from {source}; do not edit -->\n\n"
FAMILIES = {
    "ST": "The study file",
    "CO": "Tables, ids and values",
    "EP": "Endpoints",
    "LK": "Leakage",
    "SP": "Splits",
    "EV": "Evaluation",
    "SL": "Slides and feature files",
    "QC": "Quality of slides",
    "BU": "Bundles",
    "PR": "Prospective studies",
}

SOURCES = {
    "Bigun and Granlund 1987": "Optimal orientation detection of linear symmetry. ICCV 1987:433.",
    "Burt and Adelson 1983": "The Laplacian pyramid as a compact image code. IEEE Trans Commun "
    "31:532.",
    "Clark and Evans 1954": "Distance to nearest neighbor as a measure of spatial relationships in "
    "populations. Ecology 35:445.",
    "Haralick et al. 1973": "Textural features for image classification. IEEE Trans Syst Man "
    "Cybern 3:610.",
    "Lindeberg 1998": "Feature detection with automatic scale selection. Int J Comput Vis 30:79.",
    "Mardia and Jupp 2000": "Directional statistics. Wiley.",
    "Ojala et al. 2002": "Multiresolution gray-scale and rotation invariant texture classification "
    "with local binary patterns. IEEE Trans Pattern Anal Mach Intell 24:971.",
    "Otsu 1979": "A threshold selection method from gray-level histograms. IEEE Trans Syst Man "
    "Cybern 9:62.",
    "Ruifrok and Johnston 2001": "Quantification of histochemical staining by color deconvolution. "
    "Anal Quant Cytol Histol 23:291.",
}
"""What the short names of the sources of features stand for."""


def architecture() -> str:
    """The floors, from the roof down, as the test holds them."""
    source = DOCS.parent / "src" / "metastra"
    lines = [
        NOTE.format(source="metastra.testing.architecture"),
        "# Architecture\n\n",
        "A package imports only packages on *lower* floors, or itself; neighbours on a floor are ",
        "strangers. The judging side (east) never reaches torch, not even through what it ",
        "imports. `tests/architecture/test_floors.py` holds both, imports inside functions too. ",
        "Packages in *italics* are not built yet and keep their place.\n\n",
        "| floor | west: pixels, learning | shared | east: judgement |\n|---|---|---|---|\n",
    ]

    def cell(names: tuple[str, ...]) -> str:
        built = {p.stem for p in source.iterdir()}
        return " · ".join(f"`{n}`" if n in built else f"*{n}*" for n in names)

    for floor in reversed(FLOORS):
        row = f"| {floor.name} | {cell(floor.west)} | {cell(floor.shared)} | {cell(floor.east)} |"
        lines.append(row + "\n")
    lines.append("\n## What each room is for\n\n| room | purpose |\n|---|---|\n")
    for floor in FLOORS:
        for name in floor.packages:
            path = source / name / "__init__.py"
            path = path if path.exists() else source / f"{name}.py"
            if path.exists():
                text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
                lines.append(f"| `{name}` | {text.splitlines()[0]} |\n")
    return "".join(lines)


def checks() -> str:
    """One section for each coded check."""
    parts = [
        NOTE.format(source="src/metastra/catalogue.toml"),
        "# Checks\n\n",
        "Every problem that metastra reports has a code. *Refuse* means that the data are not ",
        "used until it is mended, excluded or resolved in the study file; a *warning* reaches ",
        "the report; a *note* is a fact.\n",
    ]
    family = ""
    for check in all_checks().values():
        if check.code[:2] != family:
            family = check.code[:2]
            parts.append(f"\n## {FAMILIES[family]}\n")
        parts.append(
            f"\n### {check.code}\n\n**{check.title}** ({check.severity.value})\n\n"
            f"- *How it is found.* {check.found}\n"
            f"- *Why it matters.* {check.why}\n"
            f"- *What to do.* {check.remedy}\n"
        )
    return "".join(parts)


def endpoints() -> str:
    """The dictionary of endpoints in words."""
    parts = [
        NOTE.format(source="metastra.study.endpoints"),
        "# Endpoints\n\n",
        "Name one of these under `[endpoint]`; its events, competing events and censoring are ",
        "then built as written here. Two events on one day: the event of interest counts.\n",
    ]
    for item in ENDPOINTS.values():
        short = f" ({item.abbreviation})" if item.abbreviation else ""
        parts.append(f"\n## {item.name}\n\n**{item.title}{short}.** {item.text}\n")
    parts.append("\n## Words for events\n\n| TYPE | meaning |\n|---|---|\n")
    docs = _member_docs(EventType)
    parts += [f"| `{kind.value}` | {docs.get(kind.name, '')} |\n" for kind in EventType]
    parts.append("\n## Words for sites\n\n| SITE | distant | meaning |\n|---|---|---|\n")
    docs = _member_docs(Site)
    words = {True: "yes", False: "no", None: "not known"}
    parts += [
        f"| `{site.value}` | {words[site.distant]} | {docs.get(site.name, '')} |\n" for site in Site
    ]
    return "".join(parts)


def study_file() -> str:
    """Every key of the study file with its type, default and meaning."""
    tables = {
        "study": "StudySection",
        "endpoint": "EndpointSection",
        "clock": "Clock",
        "[recorded]": "RecordedEvent",
        "[status]": "StatusColumn",
        "events": "EventWords",
        "[cohort]": "CohortSection",
        "cohort.…_format": "TableFormatSection",
        "staging": "Staging",
        "clinical.…": "ClinicalColumn",
        "metadata": "MetadataColumns",
        "slides": "SlideSection",
        "model": "ModelSection",
        "validation": "ValidationSection",
        "[exclude]": "Exclusion",
        "[resolve]": "Resolution",
        "[reference]": "ReferenceScore",
        "synthetic": "SyntheticSection",
    }
    parts = [
        NOTE.format(source="metastra.study.sections"),
        "# The study file\n\n",
        "`study.toml` says what was promised before anybody looked. Unknown keys are refused with ",
        "the nearest known one. Paths are relative to the file; `${NAME}` is taken from the ",
        "environment. `overlap` (top level) says which cohort keeps a patient who occurs in ",
        'several: `"refuse"` (default), `"keep-in-development"` or `"keep-in-external"`.\n',
    ]
    for table, name in tables.items():
        model = getattr(sections, name)
        purpose = inspect.getdoc(model) or ""
        parts.append(f"\n## `[{table}]`\n\n{purpose.split(': ', 1)[-1].capitalize()}\n\n")
        parts.append("| key | type | default | meaning |\n|---|---|---|---|\n")
        docs = _member_docs(model)
        for key, field in model.model_fields.items():
            default = "required" if field.is_required() else _default(field)
            kind = _type_text(name, key)
            parts.append(f"| `{key}` | {kind} | {default} | {docs.get(key, '')} |\n")
    known = set(Study.model_fields) - {"overlap"}
    printed = {key.strip("[]").split(".")[0] for key in tables}
    if known != printed:
        raise SystemExit(f"sections without a table in the docs: {known ^ printed}")
    return "".join(parts)


def morphology() -> str:
    """Every feature of the embedded encoder, in the order of the columns."""
    card = Morphology().card
    parts = [
        NOTE.format(source="metastra.encoders.morphology"),
        "# Features of `morphology`\n\n",
        f"Revision {card.revision}: {card.dimension} features of a tile of {card.tile_px} px at ",
        f"{card.mpp} µm per pixel ({card.side_um:g} µm), float32. The order is that of the ",
        "columns. What they can and cannot: ",
        "[named features](../explanation/named-features.md).\n\n",
        "- *Haematoxylin*, *eosin*: optical density (base 10) after colour deconvolution with ",
        "fixed vectors, not below 0. *Darkness*: their mean. *Strength* of a map: its 95th ",
        "percentile over the tissue, at least 0.15.\n",
        "- The unit ends the name: `_od` optical density, `_um` µm, `_um2` µm², `_per_mm2` per ",
        "mm², `_share` 0 to 1; `_ratio`, `_index` and `_correlation` have none; `_bits`.\n",
        "- Where a tile does not hold what a feature is about, the feature is 0.\n",
        "- Scales are µm; at another mpp they stay µm, as far as pixels allow.\n",
        "- Of one revision all versions give the same float32 to the bit but for a few numbers in ",
        "ten thousand, most of them rounding errors themselves (0 or nearly), which differ by at ",
        "most 1.3e-7 absolute. Counts of nuclei do not differ: ",
        "[measured](../benchmarks.md#tile-features-and-nuclei).\n",
    ]
    group = ""
    for number, feature in enumerate(FEATURES):
        if feature.group != group:
            group = feature.group
            parts.append(
                f"\n## {group}\n\n| # | feature | definition | source |\n|--:|---|---|---|\n"
            )
        text = feature.definition.replace("|", "\\|")
        parts.append(f"| {number} | `{feature.name}` | {text} | {feature.source} |\n")
    sources = sorted({feature.source for feature in FEATURES if feature.source})
    if set(sources) != set(SOURCES):
        raise SystemExit(f"sources without a reference: {set(sources) ^ set(SOURCES)}")
    parts.append("\n## Sources\n\n" + "".join(f"- {name}: {SOURCES[name]}\n" for name in sources))
    return "".join(parts)


_ENCODERS_HEAD = (
    "Names as in TRIDENT; facts as their authors publish them. Weights and licences belong to the "
    "authors: read the page. Every one takes tiles of 224 px at 0.5 µm per pixel. How they are "
    "used stands in [use an encoder with weights](../how-to/encoders.md).\n"
)


def encoders() -> str:
    """Print the encoders of the field from the list of recipes."""
    lines = [
        NOTE.format(source="encoders/known.toml").rstrip() + "\n",
        "# Encoders of the field\n",
        _ENCODERS_HEAD,
        "| name | model | features | pooling | network | mean, std | licence | gated |",
        "|---|---|--:|---|---|---|---|---|",
    ]
    rest = []
    for name, known in known_encoders().items():
        recipe = known.recipe
        if recipe is None:
            rest.append(f"| `{name}` | {known.unsupported} |")
            continue
        network, shape = recipe.network, recipe.network.family
        if network.family == "vit":
            shape = f"ViT {network.width} × {network.depth}, {network.token_px} px"
            if network.registers:
                shape += f", {network.registers} registers"
        told = [", ".join(f"{one:g}" for one in values) for values in (recipe.mean, recipe.std)]
        lines.append(
            f"| `{name}` | [{recipe.title}]({known.page}) | {recipe.dimension} "
            f"| {recipe.pooling} | {shape} | {'; '.join(told)} | {recipe.licence} "
            f"| {'yes' if known.gated else ''} |"
        )
    lines += ["\n## Named, but not built here\n", "| name | why |", "|---|---|", *rest]
    lines.append(
        "\nTheir features are extracted with TRIDENT and given as "
        "[feature files](feature-files.md), or their image tower as ONNX."
    )
    return "\n".join(lines) + "\n"


def command_line() -> str:
    """The help of every verb, as it is printed."""
    parts = [
        NOTE.format(source="metastra --help"),
        "# The command line\n\n",
        "Every command takes `--json` (one JSON object on stdout, talk on stderr). Exit codes: ",
        "0 ok · 1 internal error · 2 usage or configuration · 3 data refused · 4 finished, some ",
        "items failed · 5 integrity · 6 busy · 7 out of disk or memory · 130 interrupted.\n",
    ]
    environment = {"COLUMNS": "90", "NO_COLOR": "1", "TERM": "dumb", "PATH": ""}
    for words in ([], *_verbs(get_command(app))):
        command = ["metastra", *words, "--help"]
        text = subprocess.run(
            [sys.executable, "-m", *command],
            capture_output=True,
            text=True,
            check=True,
            env={**environment, "PYTHONPATH": str(DOCS.parent / "src")},
        ).stdout.replace("python -m metastra", "metastra")
        cleaned = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"\n## `{' '.join(command[:-1])}`\n\n```text\n{cleaned}\n```\n")
    return "".join(parts)


def _verbs(group: object, above: tuple[str, ...] = ()) -> list[list[str]]:
    """Every command and group by its words, a group before its commands."""
    found: list[list[str]] = []
    for name, command in getattr(group, "commands", {}).items():
        found += [[*above, name], *_verbs(command, (*above, name))]
    return found


def _member_docs(cls: type) -> dict[str, str]:
    """The strings that stand under attributes, which Python itself does not keep."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    docs: dict[str, str] = {}
    name = ""
    for node in tree.body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            docs[name] = " ".join(str(node.value.value).split()).replace("``", "`")
            name = ""
    return docs


def _type_text(model: str, key: str) -> str:
    tree = ast.parse(inspect.getsource(getattr(sections, model)))
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == key:
            return _plain_type(ast.unparse(node.annotation)).replace("|", "\\|")
    return ""


def _plain_type(text: str) -> str:
    """Say a type in the words of the file, not of Python."""
    text = re.sub(r" \| None$", "", text)
    text = re.sub(r"Annotated\[(\w+), [^\]]*\]", r"\1", text)
    text = re.sub(
        r"Literal\[([^\]]*)\]", lambda m: m[1].replace("'", '"').replace(", ", " | "), text
    )
    text = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", text)
    text = re.sub(r"dict\[str, (.*)\]", r"table of \1", text)
    words = {
        "TimeUnit": '"days" | "months" | "years"',
        "TableFormatSection": "table format",
        "Name": "name",
        "Text": "text",
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "true | false",
        "date": "date",
    }
    return re.sub(r"\b(" + "|".join(words) + r")\b", lambda m: words[m[1]], text)


def _default(field: object) -> str:
    value = getattr(field, "default", None)
    if getattr(field, "default_factory", None) is not None:
        value = {}
    if isinstance(value, sections.TableFormatSection):
        return "see below"
    if value is None:
        return ""
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


PAGES: dict[str, Callable[[], str]] = {
    "architecture.md": architecture,
    "checks.md": checks,
    "reference/endpoints.md": endpoints,
    "reference/study-file.md": study_file,
    "reference/command-line.md": command_line,
    "reference/morphology.md": morphology,
    "reference/encoders.md": encoders,
}


def main() -> None:
    """Write the pages, or compare them."""
    stale = []
    for name, make in PAGES.items():
        path = DOCS / name
        text = make()
        if "--check" in sys.argv:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        raise SystemExit(f"stale: {', '.join(stale)}; run: make docs")


if __name__ == "__main__":
    main()
