"""The ceiling's command line takes what it reads, and nothing else."""

import pytest

from bench import ceiling


@pytest.mark.parametrize("option", ["--steps=3", "--seeds=2", "--only=base"])
def test_options_of_other_experiments_are_refused(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option that would change nothing is an error, not a promise."""
    with pytest.raises(SystemExit) as ended:
        ceiling.main(["DATA", "MORE", option])
    assert ended.value.code == 2
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err
