"""Builds each mutant in a copy of the sources and runs the proof that must turn red.

usage: run.py SOURCE BUILD [--full | NAME ...]

Without a name a share of them, another one each day; --full: all; else those named.
BUILD is the dev tree of SOURCE; what is copied lies in BUILD/mutants.

Where the kernel allows it, the copies of sources and tree are mounted over the originals, for us
alone: then only what the mutant changes is compiled. Else all is compiled, in trees of their own.
"""
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

from mutants import MUTANTS

PARTS = ("CMakeLists.txt", "CMakePresets.json", "cmake", "stoa", "tests", "examples",
         "bench", "cli")
COPY_MARK = ".copy-for-mutants"  # a file that no original has
RUN_SECONDS = 240  # a proof that hangs has turned red as well
MOST_A_DAY = 1


def copy_sources(source: pathlib.Path, copy: pathlib.Path) -> None:
    """Only what changed, so that the next run builds little."""
    wanted = set()
    for part in PARTS:
        top = source / part
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_dir() or "__pycache__" in path.parts:
                continue
            target = copy / path.relative_to(source)
            wanted.add(target)
            if not target.exists() or target.read_bytes() != path.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)  # as old as it is: ninja looks
    for path in copy.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()


def run(command, cwd, seconds):
    """Exit status, or None when it hung. It and its children are ended either way."""
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        output, _ = child.communicate(timeout=seconds)
        return child.returncode, output.decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output, _ = child.communicate()
        return None, output.decode(errors="replace")


def go_on_over_the_originals(source, tree, folder):
    """Runs us again where copies of sources and tree lie over both; returns if that is refused."""
    if os.geteuid() != 0 or not (tree / "build.ninja").exists():
        return
    shutil.rmtree(folder / "dev", ignore_errors=True)
    shutil.copytree(tree, folder / "dev",
                    ignore=shutil.ignore_patterns("mutants", "Testing", "cli", "bench"))
    copies = shlex.quote(str(folder / "source")), shlex.quote(str(folder / "dev"))
    below = shlex.quote(str(source)), shlex.quote(str(tree))
    if tree.is_relative_to(source):
        place = folder / "source" / tree.relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        mounts = (f"mount --bind {copies[1]} {shlex.quote(str(place))} && "
                  f"mount --rbind {copies[0]} {below[0]}")
    else:
        mounts = (f"mount --bind {copies[0]} {below[0]} && mount --bind {copies[1]} {below[1]}")
    unshare = ["unshare", "--mount", "sh", "-c"]
    if subprocess.run([*unshare, mounts], capture_output=True).returncode == 0:
        again = [sys.executable, "-B", str(pathlib.Path(__file__).resolve()), *sys.argv[1:]]
        os.execvp("unshare", [*unshare, mounts + ' && exec "$@"', "sh", *again])


def build(copy, tree, preset, target):
    if not (tree / "build.ninja").exists():
        configure = ["cmake", "--preset", preset, "-B", str(tree), "-DSTOA_BUILD_CLI=OFF",
                     "-DSTOA_BUILD_BENCH=OFF", "-DSTOA_WARNINGS_AS_ERRORS=OFF"]
        status, output = run(configure, copy, 300)
        if status != 0:
            return output
    status, output = run(["cmake", "--build", str(tree), "--target", target], copy, 900)
    return None if status == 0 else output


def judge(mutant, copy, tree):
    path = copy / mutant.file
    healthy = path.read_text()
    if healthy.count(mutant.find) != 1:
        return f"its text occurs {healthy.count(mutant.find)} times in {mutant.file}"
    path.write_text(healthy.replace(mutant.find, mutant.replace))
    try:
        problem = build(copy, tree, mutant.preset, mutant.target)
        if problem:
            return "does not build:\n" + problem[-2000:]
        command = [str(tree / mutant.command[0]), *mutant.command[1:]]
        status, output = run(command, tree, RUN_SECONDS)
        if status == 0:
            return "SURVIVED: " + " ".join(mutant.command) + "\n" + output[-1000:]
        mutant_died = "it hung" if status is None else f"status {status}"
        print(f"caught    {mutant.name}: {mutant.command[0]} ({mutant_died})", flush=True)
        return None
    finally:
        path.write_text(healthy)


def choose(arguments):
    """The mutants to run. All have their turn within a few days."""
    if arguments == ["--full"]:
        return list(MUTANTS)
    unknown = set(arguments) - {m.name for m in MUTANTS}
    if unknown:
        sys.exit("no mutant is called " + ", ".join(sorted(unknown)))
    if arguments:
        return [m for m in MUTANTS if m.name in arguments]
    days = -(-len(MUTANTS) // MOST_A_DAY)
    today = int(time.time() // 86400) % days
    left_out = [m.name for i, m in enumerate(MUTANTS) if i % days != today]
    print(f"{len(left_out)} have another day (--full runs all): {', '.join(left_out)}", flush=True)
    return [m for i, m in enumerate(MUTANTS) if i % days == today]


def main():
    source, tree = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    chosen = choose(sys.argv[3:])
    folder = tree / "mutants"
    copy = source if (source / COPY_MARK).exists() else folder / "source"
    if copy != source:
        copy.mkdir(parents=True, exist_ok=True)
        copy_sources(source, copy)
        (copy / COPY_MARK).touch()
        go_on_over_the_originals(source, tree, folder)
    trees = {"dev": tree} if copy == source else {}
    failures = 0
    for mutant in chosen:
        problem = judge(mutant, copy, trees.get(mutant.preset, folder / mutant.preset))
        if problem:
            failures += 1
            print(f"NOT CAUGHT {mutant.name}: {mutant.rule}\n  {problem}", flush=True)
    print(f"{len(chosen) - failures} mutants caught, {failures} not")
    sys.exit(1 if failures or not chosen else 0)


if __name__ == "__main__":
    main()
