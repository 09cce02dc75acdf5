"""`metastra slide-vectors` as a person meets it."""

from __future__ import annotations

import json

from features.bags import make_bag, store
from metastra.digest import digest_file
from metastra.features.writing import write_own
from pipeline.test_network_vectors import D, onnx_file


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


def test_rows_of_a_network_say_by_which_file_they_were_made(metastra, tmp_path):
    store(tmp_path / "features" / "a.h5", write_own(make_bag(20, D)))
    file, out = onnx_file(tmp_path / "net"), tmp_path / "v.csv"
    asked = ("--out", out, "--pool", "network", "--weights", file)
    done = metastra("slide-vectors", tmp_path / "features", *asked, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["network"]["sha256"] == digest_file(file)
    assert out.read_text().startswith("SLIDE,n_tiles,v0001,")
    (tmp_path / "net/network.toml").unlink()
    done = metastra("slide-vectors", tmp_path / "features", *asked)
    assert done.returncode == 2
    assert "has 0 cards beside it" in done.stderr
