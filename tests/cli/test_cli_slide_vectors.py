"""`metastra slide-vectors` as a person meets it."""

from __future__ import annotations

import json

from features.bags import make_bag, store
from metastra.features.writing import write_own


def test_a_table_is_written_the_bad_file_is_named_and_the_code_is_four(metastra, tmp_path):
    store(tmp_path / "features" / "a.h5", write_own(make_bag(20, 3)))
    (tmp_path / "features" / "b.h5").write_bytes(b"")
    done = metastra("slide-vectors", tmp_path / "features", "--out", tmp_path / "v.csv", "--json")
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)
    assert told["counts"] == {"done": 1, "excluded": 0, "failed": 1}
    assert list(told["failed"]) == ["b"]
    assert "Research use only" in told["research_use"]
    assert (tmp_path / "v.csv").read_text().startswith("SLIDE,n_tiles,mean_f0001,")
