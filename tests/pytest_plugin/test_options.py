"""Options: flags override ini options, and every invalid one is reported."""

from __future__ import annotations

import pytest


def chosen(pytester: pytest.Pytester, expression: str, *options: str) -> str:
    """Return the value of a session option."""
    pytester.makeconftest(
        f"""
        from localrun.pytest_plugin.options import SESSION_OPTIONS

        def pytest_report_header(config):
            chosen = config.stash[SESSION_OPTIONS]
            return f"chosen: {{{expression}!r}}"
        """
    )
    result = pytester.runpytest(*options)
    return next(line for line in result.outlines if line.startswith("chosen: ")).removeprefix("chosen: ")


INI = """
[pytest]
localrun_timeout = 10m
localrun_keep = always
localrun_limits =
    memory=2Gi
    cpus=1.5
localrun_build_args =
    BASE=a
    OTHER=b
localrun_folder = kept
localrun_context = ..
localrun_target = last
localrun_build_contexts =
    base=docker-image://a
"""


@pytest.mark.parametrize(
    ("expression", "options", "found"),
    [
        ("chosen.timeout", (), "600.0"),
        ("chosen.timeout", ("--localrun-timeout", "90s"), "90.0"),
        ("chosen.keep", (), "'always'"),
        ("chosen.keep", ("--localrun-keep=never",), "'never'"),
        ("dict(chosen.limits)", (), "{'memory': 2147483648, 'cpus': 1.5}"),
        ("dict(chosen.limits)", ("--localrun-limit=memory=1Gi",), "{'memory': 1073741824, 'cpus': 1.5}"),
        ("dict(chosen.build_args)", ("--localrun-build-arg=BASE=c",), "{'BASE': 'c', 'OTHER': 'b'}"),
        ("chosen.folder.name", (), "'kept'"),
        ("sorted(chosen.build)", (), "['build_contexts', 'context', 'target']"),
        ("chosen.build['target']", ("--localrun-target=first",), "'first'"),
        ("chosen.build['platform']", ("--localrun-platform=aarch64",), "'linux/arm64'"),
        ("chosen.build['dockerfile'][-8:]", ("--localrun-dockerfile=a/Docker",), "'a/Docker'"),
        (
            "chosen.build['build_contexts']",
            ("--localrun-build-context=base=docker-image://b",),
            "{'base': 'docker-image://b'}",
        ),
        (
            "[secret.id for secret in chosen.build['build_secrets']]",
            ("--localrun-build-secret=id=a,src=/etc/hostname",),
            "['a']",
        ),
        ("chosen.engine", (), "'docker'"),
        ("chosen.engine", ("--localrun-engine=tcp://host:2375",), "'tcp://host:2375'"),
        ("chosen.required", (), "False"),
        ("chosen.required", ("--localrun-required=yes",), "True"),
    ],
)
def test_a_flag_comes_before_the_ini_file(
    pytester: pytest.Pytester, expression: str, options: tuple[str, ...], found: str
) -> None:
    pytester.makeini(INI)
    assert chosen(pytester, expression, *options) == found


def test_a_path_of_the_ini_file_is_relative_to_it_and_one_of_a_flag_to_where_pytest_is_called(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nlocalrun_bundle = task\n")
    assert chosen(pytester, "str(chosen.bundle)") == repr(str(pytester.path / "task"))
    (pytester.path / "inner").mkdir()
    pytester.chdir()
    found = chosen(pytester, "str(chosen.bundle)", "--localrun-bundle=inner/../task")
    assert found == repr(str(pytester.path / "inner" / ".." / "task"))


@pytest.mark.parametrize(
    ("value", "found"),
    [("1", "True"), ("true", "True"), ("false", "False"), ("", "False")],
)
def test_an_engine_is_required_where_ci_is_set(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str, found: str
) -> None:
    monkeypatch.setenv("CI", value)
    assert chosen(pytester, "chosen.required") == found
    assert chosen(pytester, "chosen.required", "--localrun-required=no") == "False"


def test_every_invalid_option_is_reported(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest(
        "--localrun-timeout=soon",
        "--localrun-keep=sometimes",
        "--localrun-limit=memry=1Gi",
        "--localrun-limit=cpus=0",
        "--localrun-build-arg=BASE",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines_random(
        [
            "*--localrun-timeout 'soon': invalid duration 'soon'*",
            "*--localrun-keep 'sometimes': expected one of: never, failed, always",
            "*--localrun-limit 'memry': expected one of: cpus, memory, gpus",
            "*--localrun-limit '0': expected a number above 0*",
            "*--localrun-build-arg 'BASE': expected NAME=VALUE",
        ]
    )


def test_the_options_are_in_the_help_of_pytest(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--help")
    for name in ("bundle", "engine", "timeout", "limit", "build-arg", "keep", "folder", "leaks", "update"):
        result.stdout.fnmatch_lines([f"*--localrun-{name}*"])
    pytester.runpytest("--markers").stdout.fnmatch_lines(["@pytest.mark.localrun(cases=None, ?*options)*"])
