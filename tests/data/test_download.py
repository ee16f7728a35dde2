"""Fetching data sets from a server on the loopback address."""

import hashlib
import http.server
import socket
import threading

import pytest

import gammajax.progress as progress
from gammajax.cli import main
from gammajax.data import download as module
from gammajax.data.download import GROUPS, download, registry, select
from gammajax.errors import DownloadError, InputError

CONTENT = {"ebl/a.fits": b"a" * 5000, "ebl/b.fits": b"b" * 10, "hawc/c.fits": b"c" * 70_000}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server with three files, and a registry of them; what is asked for is written down."""
    folder = tmp_path / "public"
    for path, data in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            asked.append(self.path.lstrip("/"))
            super().do_GET()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        sums = {p: hashlib.sha256(d).hexdigest() for p, d in CONTENT.items()}
        monkeypatch.setattr(module, "registry", lambda: sums)
        monkeypatch.delenv("GAMMAJAX_DATA_URL", raising=False)
        # no proxy stands between the loopback address and itself
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield folder, f"http://127.0.0.1:{http_server.server_port}", asked
        http_server.shutdown()
        thread.join()


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_everything_is_fetched_once(server, tmp_path):
    _, url, asked = server
    there = tmp_path / "data"
    assert set(download(folder=there, base_url=url).values()) == {"fetched"}
    assert tree(there) == CONTENT
    assert sorted(asked) == sorted(CONTENT)
    assert set(download(folder=there, base_url=url + "/").values()) == {"there"}
    assert len(asked) == len(CONTENT)


def test_a_download_that_was_cut_off_goes_on(server, tmp_path):
    folder, url, asked = server
    (folder / "ebl/b.fits").rename(folder / "away")
    with pytest.raises(DownloadError, match=r"ebl/b\.fits from http://127.* cannot be fetched \(HTTPError: 404"):
        download(folder=tmp_path / "data", base_url=url)
    assert set(tree(tmp_path / "data")) == {"ebl/a.fits"}
    (folder / "away").rename(folder / "ebl/b.fits")
    assert download(folder=tmp_path / "data", base_url=url) == {
        "ebl/a.fits": "there", "ebl/b.fits": "fetched", "hawc/c.fits": "fetched",
    }  # fmt: skip
    assert asked.count("ebl/a.fits") == 1


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    folder, url, _ = server
    (folder / "ebl/a.fits").write_bytes(b"other")
    expected, got = (hashlib.sha256(d).hexdigest() for d in (CONTENT["ebl/a.fits"], b"other"))
    with pytest.raises(DownloadError, match=f"ebl/a.fits from .*expected {expected} but got {got}"):
        download(["ebl/a.fits"], tmp_path / "data", url)
    assert tree(tmp_path / "data") == {}


def test_another_file_that_is_there_is_not_touched_unasked(server, tmp_path):
    _, url, _ = server
    mine = tmp_path / "data" / "ebl" / "b.fits"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    expected, got = (hashlib.sha256(d).hexdigest() for d in (CONTENT["ebl/b.fits"], b"mine"))
    with pytest.raises(
        DownloadError, match=rf"b\.fits is there with another checksum: expected SHA-256 {expected}, got {got}"
    ):
        download(["ebl/b.fits"], tmp_path / "data", url)
    assert mine.read_bytes() == b"mine"
    assert download(["ebl/b.fits"], tmp_path / "data", url, overwrite=True) == {"ebl/b.fits": "fetched"}
    assert mine.read_bytes() == CONTENT["ebl/b.fits"]


def test_a_file_that_takes_long_shows_a_bar(server, tmp_path, monkeypatch, capsys):
    _, url, _ = server
    monkeypatch.setattr(progress, "interactive", lambda: True)
    download(["ebl/b.fits"], tmp_path / "data", url)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "AFTER", 0.0)
    download(["hawc/c.fits"], tmp_path / "data", url)
    err = capsys.readouterr().err
    assert "hawc/c.fits: 100%" in err
    assert "70.0k/70.0k" in err
    assert tree(tmp_path / "data")["hawc/c.fits"] == CONTENT["hawc/c.fits"]


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as taken:
        # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DownloadError, match=r"cannot be fetched \(ConnectionError.*check the connection"):
            download(["crab"], tmp_path / "data", url)
    assert tree(tmp_path / "data") == {}


def test_the_command(server, tmp_path, monkeypatch, capsys):
    _, url, _ = server
    monkeypatch.setenv("GAMMAPY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GAMMAJAX_DATA_URL", url)
    assert main(["download", "ebl"]) == 0
    out = capsys.readouterr().out
    assert "[1/2] ebl/a.fits\n[2/2] ebl/b.fits\n" in out
    assert "2 files fetched, 0 were there." in out
    assert set(tree(tmp_path / "data")) == {"ebl/a.fits", "ebl/b.fits"}
    assert main(["download", "EBL"]) == 2
    assert "got 'EBL', expected one of the groups crab, ebl" in capsys.readouterr().err
    assert main(["download", "--list"]) == 0
    assert "    hawc/c.fits" in capsys.readouterr().out


def test_where_to(monkeypatch, tmp_path):
    monkeypatch.delenv("GAMMAPY_DATA", raising=False)
    with pytest.raises(InputError, match="set GAMMAPY_DATA, or give one"):
        download(["crab"])
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is no folder"):
        download(["crab"], tmp_path / "file")


def test_the_registry_is_that_of_the_files(gammapy_data):
    """Every file that the tests read is in it, with its checksum."""
    sums = registry()
    assert set().union(*(select([g]) for g in GROUPS)) == set(sums)
    for path, sha256 in sums.items():
        file = gammapy_data / path
        if file.exists():
            assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256, path
    assert (gammapy_data / "joint-crab/spectra/hess/pha_obs23523.fits").exists()
