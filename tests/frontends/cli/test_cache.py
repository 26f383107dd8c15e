"""`sardonyx cache`: what is prepared, prepared now, and taken away."""

from sardonyx import runtime


def test_models_are_prepared_listed_and_taken_away(sardonyx, net, tmp_path):
    folder = tmp_path / "prepared"
    said = sardonyx.json("cache", net, "--folder", folder)
    (entry,) = said["entries"]
    assert said["prepared"][str(net)].startswith("prepared now: ")
    assert entry["source"] == str(net)
    assert runtime.load(net, cache=folder).prepared.what == "from the cache"
    assert sardonyx("cache", "--folder", folder) == 0
    assert str(net) in sardonyx.out
    said = sardonyx.json("cache", "--folder", folder, "--clear")
    assert (said["removed"], said["entries"]) == (1, [])
    assert sardonyx("cache", net, "--folder", folder, "--clear") == 0
    assert "prepared now" in sardonyx.out


def test_the_environment_names_the_folder(sardonyx, net, tmp_path, monkeypatch):
    monkeypatch.setenv("SARDONYX_CACHE", str(tmp_path / "a"))
    assert sardonyx.json("cache", net)["folder"] == str(tmp_path / "a" / "sardonyx-prepared")
    monkeypatch.setenv("SARDONYX_CACHE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert sardonyx.json("cache")["folder"] == str(tmp_path / "b" / "sardonyx" / "prepared")


def test_bad_models_and_folders_are_refused(sardonyx, net, tmp_path):
    assert sardonyx("cache", tmp_path / "absent.onnx", "--folder", tmp_path / "c") == 2
    assert "does not exist" in sardonyx.err
    (tmp_path / "file").write_text("")
    assert sardonyx("cache", net, "--folder", tmp_path / "file") == 2
    assert "the cache cannot be used" in sardonyx.err


def test_clearing_leaves_the_callers_files(sardonyx, net, tmp_path):
    blob = tmp_path / ("d" * 64)
    for file in (tmp_path / "uv.lock", blob):
        file.write_text("mine")
    assert sardonyx("cache", net, "--folder", tmp_path) == 0
    assert sardonyx.json("cache", "--folder", tmp_path, "--clear")["removed"] == 1
    assert [file.read_text() for file in (tmp_path / "uv.lock", blob)] == ["mine", "mine"]


def test_a_user_without_a_home_is_told(sardonyx, tmp_path, monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert sardonyx("cache") == 2
    assert "the cache cannot be used" in sardonyx.err
    assert "name a folder" in sardonyx.err
    assert sardonyx("cache", "--folder", "~nosuch/x") == 2
    assert "cache is not valid" in sardonyx.err
