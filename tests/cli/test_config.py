"""--config and --print-config: precedence, unknown keys, feeding back."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.conftest import Run


def settings(done: object) -> dict[str, object]:
    loaded = yaml.safe_load(done.stdout)  # type: ignore[attr-defined]
    assert isinstance(loaded, dict)
    return loaded


def test_precedence_is_flag_environment_file_default(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("threads: 3\noutput: from-file\n")
    assert settings(mlkit("demo", "--print-config"))["output"] == "mlkit-demo"
    assert settings(mlkit("demo", "--config", "c.yaml", "--print-config")) == {
        "files-only": False,
        "output": "from-file",
        "threads": 3,
    }
    by_environment = mlkit("demo", "--config=c.yaml", "--print-config", env={"MLKIT_THREADS": "5"})
    assert settings(by_environment)["threads"] == 5
    by_own_name = mlkit("demo", "--config=c.yaml", "--print-config", env={"MLKIT_DEMO_OUTPUT": "named"})
    assert settings(by_own_name)["output"] == "named"
    by_flag = mlkit(
        "demo", "--threads", "7", "--config", "c.yaml", "--print-config", env={"MLKIT_THREADS": "5"}
    )
    assert settings(by_flag)["threads"] == 7


def test_printed_settings_feed_back(mlkit: Run, tmp_path: Path) -> None:
    first = mlkit("demo", "-t", "2", "-o", "x y", "--print-config").stdout
    (tmp_path / "c.yaml").write_bytes(first)
    assert mlkit("demo", "--config", "c.yaml", "--print-config").stdout == first


def test_unknown_keys_get_a_suggestion(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("thread: 3\n")
    done = mlkit("demo", "--config", "c.yaml", check=False)
    assert done.returncode == 2
    assert "c.yaml: mlkit demo has no option 'thread'; did you mean 'threads'?" in done.stderr.decode()


def test_broken_files_are_named_with_the_line(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("threads: 3\n  x: [\n")
    done = mlkit("demo", "--config", "c.yaml", check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("mlkit demo: c.yaml:2: invalid YAML")
    (tmp_path / "c.yaml").write_text("- a\n")
    assert b"mapping" in mlkit("demo", "--config", "c.yaml", check=False).stderr
    done = mlkit("demo", "--config", "missing.yaml", check=False)
    assert done.returncode == 1
    assert done.stderr.decode() == "mlkit demo: missing.yaml: no such file or directory\n"


def test_values_of_the_wrong_type_are_usage_errors(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("threads: many\n")
    done = mlkit("demo", "--config", "c.yaml", check=False)
    assert done.returncode == 2
    assert b"'many' is not a valid" in done.stderr
