"""The one place that writes products, so that a finished file is a complete file.

Everything goes through a part file, a reading back, an fsync and a rename; a product counts as
done only when its completion record is there and every digest holds.

A run folder looks like this::

    run/
    ├── cohort.csv …            the files of the products
    ├── .records/<product>.json the completion records
    └── .lock                   held by the process that works here

Importing this package needs neither numpy nor pandas.
"""

from __future__ import annotations

from metastra.storage.append import append_lines, read_lines
from metastra.storage.atomic import Verify, sweep_orphans, write_atomically
from metastra.storage.checking import Completeness, Depth, completeness, is_complete
from metastra.storage.encode import (
    csv_bytes,
    csv_lines,
    csv_rows,
    json_bytes,
    json_listing,
    parse_json,
)
from metastra.storage.fileops import FileOps, file_ops, use_file_ops
from metastra.storage.locks import hold
from metastra.storage.manifest import (
    Manifest,
    Origin,
    Parent,
    Recipe,
    StoredFile,
    differences,
    product_key,
)
from metastra.storage.migrations import Migration, migrate, register_schema, schema_version
from metastra.storage.part import Write
from metastra.storage.product import remove_product, write_product
from metastra.storage.reading import open_product, read_product_bytes, read_product_json
from metastra.storage.records import (
    file_parent,
    half_written,
    owner_of,
    product_names,
    product_parent,
    read_record,
    value_parent,
)
from metastra.storage.whole import write_bytes, write_parts
from metastra.storage.why import Explanation, ParentNow, State, ancestry, explain

__all__ = [
    "Completeness",
    "Depth",
    "Explanation",
    "FileOps",
    "Manifest",
    "Migration",
    "Origin",
    "Parent",
    "ParentNow",
    "Recipe",
    "State",
    "StoredFile",
    "Verify",
    "Write",
    "ancestry",
    "append_lines",
    "completeness",
    "csv_bytes",
    "csv_lines",
    "csv_rows",
    "differences",
    "explain",
    "file_ops",
    "file_parent",
    "half_written",
    "hold",
    "is_complete",
    "json_bytes",
    "json_listing",
    "migrate",
    "open_product",
    "owner_of",
    "parse_json",
    "product_key",
    "product_names",
    "product_parent",
    "read_lines",
    "read_product_bytes",
    "read_product_json",
    "read_record",
    "register_schema",
    "remove_product",
    "schema_version",
    "sweep_orphans",
    "use_file_ops",
    "value_parent",
    "write_atomically",
    "write_bytes",
    "write_parts",
    "write_product",
]
