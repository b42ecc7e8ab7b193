"""What a mutant is; mutants.py tells what for."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    name: str
    rule: str
    file: str
    find: str
    replace: str
    target: str
    command: tuple[str, ...]
    preset: str = "dev"


def crash(scenario: str) -> tuple[str, ...]:
    return ("tests/crash/crash_run", "--scenario", scenario, "--budget", "20")
