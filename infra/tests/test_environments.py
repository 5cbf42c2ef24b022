"""The environments of the repository: good as they are but for their deployer's values, and made of the same parts."""

import json
from collections.abc import Callable
from typing import cast

import pytest

from stackproof_infra.config import Given, InvalidConfiguration, Settings, read
from stackproof_infra.config.foundation import read as read_foundation
from stackproof_infra.stack_file import read_stack_file
from tests.cloud import GIVEN, INFRA, PROJECT, PROJECT_ID, SECRET_KEYS, Graph, Recorder, run

ENVIRONMENTS = ("dev", "staging", "prod")

# What the files leave to whoever deploys, as their comments say.
LEFT_OUT = ["scaleway:projectId", "databasePassword", "databaseAdminPassword", "deployers", "container.image"]


def given(stack: str) -> Given:
    return read_stack_file(INFRA / f"Pulumi.{stack}.yaml", None, {})


def values(stack: str) -> dict[str, str]:
    """Returns an environment's configuration with what whoever deploys adds to it."""
    deployers = {key: value if isinstance(value, str) else json.dumps(value) for key, value in GIVEN.items()}
    file = dict(given(stack).values)
    container = {**json.loads(file[f"{PROJECT}:container"]), **json.loads(deployers[f"{PROJECT}:container"])}
    return {**deployers, **file, f"{PROJECT}:container": json.dumps(container)}


def settings(stack: str) -> Settings:
    whole = Given(
        project=PROJECT, stack=stack, values=values(stack), secret_keys=frozenset(SECRET_KEYS), environment={}
    )
    return read(whole)


def deployed(stack: str) -> Graph:
    return run(INFRA / "__main__.py", PROJECT, stack, values(stack), SECRET_KEYS, Recorder())


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_an_environment_lacks_what_belongs_to_its_deployer_and_nothing_else(stack: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        read(given(stack))
    assert [fault.key for fault in refused.value.faults] == LEFT_OUT
    assert {fault.value for fault in refused.value.faults} == {None}


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_the_foundation_has_the_same_environments(stack: str) -> None:
    file = read_stack_file(INFRA / "state" / f"Pulumi.{stack}.yaml", None, {"SCW_DEFAULT_PROJECT_ID": PROJECT_ID})
    assert read_foundation(file).place.prefix == settings(stack).place.prefix


def test_there_are_no_other_environments() -> None:
    for folder in (INFRA, INFRA / "state"):
        assert {path.name for path in folder.glob("Pulumi.*.yaml")} == {
            f"Pulumi.{stack}.yaml" for stack in ENVIRONMENTS
        }


def test_production_survives_a_node_and_keeps_what_it_encrypted() -> None:
    prod = settings("prod")
    assert prod.database.high_availability
    assert prod.encryption.protected
    assert prod.container.min_scale >= 1
    assert prod.database.backup_retention_days >= 30
    assert prod.database.backup_frequency_hours <= 12


def test_nothing_runs_in_development_and_staging_while_nobody_works() -> None:
    for stack in ("dev", "staging"):
        small = settings(stack)
        assert not small.database.high_availability
        assert (small.container.min_scale, small.serverless_database.min_cpu) == (0, 0)
        assert not small.encryption.protected


def test_every_environment_costs_more_than_the_one_before() -> None:
    sizes = [
        (made.container.max_scale * made.container.memory_mb, made.serverless_database.max_cpu, made.database.volume_gb)
        for made in map(settings, ENVIRONMENTS)
    ]
    assert sizes == sorted(sizes)


def test_95_percent_of_the_components_are_shared_by_all_environments(
    capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    """SC-008: a component or resource, by type and logical name, is shared when every environment has it."""
    graphs = [deployed(stack) for stack in ENVIRONMENTS]
    counted: dict[str, tuple[int, int]] = {}
    for what, is_component in (("components", True), ("resources", False)):
        parts = [{(made.type, made.name) for made in graph.made if made.component is is_component} for graph in graphs]
        every = parts[0].union(*parts)
        counted[what] = (len(parts[0].intersection(*parts)), len(every))
    files = [flat(stack) for stack in ENVIRONMENTS]
    keys = {key for file in files for key in file}
    differing = [key for key in keys if any(file.get(key) != files[0].get(key) for file in files)]
    with capsys.disabled():
        for what, (shared, every) in counted.items():
            print(f"\nSC-008: {shared} of {every} {what} are shared by {', '.join(ENVIRONMENTS)}", end="")
        print(f"; the environments differ in {len(differing)} settings")
    for what, (shared, every) in counted.items():
        record_property(f"SC-008 shared {what}", f"{shared}/{every}")
        # Not by counting little.
        assert every >= 10
        assert shared / every >= 0.95


def flat(stack: str) -> dict[str, object]:
    """Returns the file's settings, each under its whole path."""
    sections = {key: value for key, value in given(stack).values.items() if value.startswith("{")}
    return {
        f"{section}.{key}": value
        for section, text in sections.items()
        for key, value in cast("dict[str, object]", json.loads(text)).items()
    }
