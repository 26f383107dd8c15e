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
    assert sardonyx.json("cache", net)["folder"] == str(tmp_path / "a")
    monkeypatch.setenv("SARDONYX_CACHE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert sardonyx.json("cache")["folder"] == str(tmp_path / "b" / "sardonyx" / "prepared")


def test_bad_models_and_folders_are_refused(sardonyx, net, tmp_path):
    assert sardonyx("cache", tmp_path / "absent.onnx", "--folder", tmp_path / "c") == 2
    assert "does not exist" in sardonyx.err
    (tmp_path / "file").write_text("")
    assert sardonyx("cache", net, "--folder", tmp_path / "file") == 2
    assert "the cache cannot be used" in sardonyx.err
