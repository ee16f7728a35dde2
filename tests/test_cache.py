import json
import os
import subprocess
import sys

import pytest

from gammajax.cache import _folder, enable_compilation_cache
from gammajax.errors import InputError

SCRIPT = """
import json, sys
import jax
from gammajax import Likelihood, Fit, enable_compilation_cache
from tests.problems import small, crab_model
loaded = []
jax.monitoring.register_event_listener(lambda event, **_: loaded.append(event) if "cache_hits" in event else None)
enable_compilation_cache(sys.argv[1])
d = small(); d.models = crab_model()
fit = Fit([d], backend="newton")
fit.run()
print(json.dumps({"hits": len(loaded)}))
"""


def test_a_second_process_loads_what_the_first_compiled(tmp_path):
    folder = tmp_path / "cache"
    hits = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        hits.append(json.loads(done.stdout)["hits"])
    assert hits[0] == 0
    assert hits[1] > 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(InputError, match="others can write to"):
        enable_compilation_cache(tmp_path)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path):
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(InputError, match="belongs to another user"):
        enable_compilation_cache(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        enable_compilation_cache(tmp_path / "file" / "cache")


def test_which_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _folder(None) == tmp_path / "gammajax" / "jax"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "named"))
    assert _folder(None) == tmp_path / "named"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert _folder(None).parts[-3:] == (".cache", "gammajax", "jax")
