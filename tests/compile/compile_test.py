"""What must not compile says why; what must, does; two compilers give types the same texts.

usage: compile_test.py ROOT COMPILER     (and g++ and clang++-19, where they are installed)
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PRELUDE = """
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "stoa/stoa.hpp"
"""
ELSEWHERE = "pointers and iterators mean nothing elsewhere"
VIEW = "a view or span owns nothing"
FIELDS = "more than 32 fields"


def of(what, before=""):
    return f"{before}\nvoid use() {{ (void)stoa::Mailbox<{what}>::create(\"box\"); }}\n"


def fields(count, kind):
    return "struct Many {" + "".join(f"{kind} f{i};" for i in range(count)) + "};"


# (name, code, what the compiler must say; None: it compiles)
CASES = [
    ("a number", of("int"), None),
    ("a vector of strings", of("std::vector<std::string>"), None),
    ("32 fields", of("Many", fields(32, "std::string")), None),
    ("a pointer", of("int*"), ELSEWHERE),
    ("a pointer in a struct", of("S", "struct S { int* p; };"), ELSEWHERE),
    ("a pointer in a struct in a vector",
     of("std::vector<S>", "struct S { std::string s; int* p; };"), ELSEWHERE),
    ("an iterator", of("std::vector<std::string>::iterator"), ELSEWHERE),
    ("a pointer to a function in a map", of("std::map<int, void (*)()>"), ELSEWHERE),
    ("a string_view", of("std::string_view"), VIEW),
    ("a string_view in a struct", of("S", "struct S { std::string_view v; };"), VIEW),
    ("a span in an optional", of("std::optional<std::span<int>>"), VIEW),
    ("a reference in a struct", of("S", "struct S { std::string s; int& r; };"), "no references"),
    ("a const field", of("S", "struct S { std::string s; const int c = 1; };"), "moves"),
    ("33 strings", of("Many", fields(33, "std::string")), FIELDS),
    ("33 numbers", of("Many", fields(33, "int")), FIELDS),
    ("33 fields within a list", of("std::vector<Many>", fields(33, "int")), FIELDS),
    ("a base class", of("S", "struct B { std::string s; }; struct S : B { int i; };"),
     "base class"),
    ("an enum that any number may break", of("std::vector<E>", "enum E { one, two };"),
     "an enum needs its type"),
    ("a list of nothing", of("std::vector<N>", "struct N {};"), "take no bytes"),
    ("a smart pointer", of("std::unique_ptr<int>"), "write stoa::Codec<T>"),
    ("private members", of("P", "class P { int i = 0; };"), "write stoa::Codec<T>"),
    ("half a codec", of("P", "struct P { int* p; }; template <> struct stoa::Codec<P> {"
                        " static constexpr std::string_view name = \"p\"; };"),
     "lacks name, size, encode or decode"),
    ("a C array of strings", of("std::string[2]"), "arrays travel inside"),
    ("pointers sent as bytes", "void use(stoa::Mailbox<stoa::Bytes>& box, std::vector<int*>& v)"
     " { (void)box.send(v); }", ("cannot convert", "no viable conversion")),
    ("a pointer decoded by hand", "auto use(stoa::Bytes b) { return stoa::decode<int*>(b); }",
     ("Codable",)),
]


def compilers(mine):
    found = {}
    for name in (mine, "g++", "clang++-19"):
        path = shutil.which(name)
        if path:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def compile_case(root, compiler, code, words):
    command = [compiler, "-std=c++23", "-fsyntax-only", "-I", str(root), "-x", "c++", "-"]
    ended = subprocess.run(command, input=PRELUDE + code, text=True, timeout=120,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if words is None:
        return None if ended.returncode == 0 else "does not compile:\n" + ended.stdout[:2000]
    if ended.returncode == 0:
        return "compiles"
    wanted = (words,) if isinstance(words, str) else words
    if any(word in ended.stdout for word in wanted):
        return None
    return f"does not say '{wanted[0]}':\n" + ended.stdout[:2000]


def texts(root, compiler, folder):
    program = pathlib.Path(folder) / "texts"
    source = root / "tests/compile/texts.cpp"
    subprocess.run([compiler, "-std=c++23", "-I", str(root), str(source),
                    str(root / "stoa/base/check.cpp"), "-o", str(program)], check=True, timeout=200)
    return subprocess.run([str(program)], check=True, timeout=60, text=True,
                          stdout=subprocess.PIPE).stdout


def main():
    root = pathlib.Path(sys.argv[1])
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(compiler, name, pool.submit(compile_case, root, compiler, code, words))
                for compiler in compilers(sys.argv[2]) for name, code, words in CASES]
        for compiler, name, job in jobs:
            problem = job.result()
            passed, failed = passed + (problem is None), failed + (problem is not None)
            if problem:
                print(f"FAILED {os.path.basename(compiler)}: {name}: {problem}")
    seen = {}
    for compiler in compilers(sys.argv[2]):
        with tempfile.TemporaryDirectory() as folder:
            seen[compiler] = texts(root, compiler, folder)
    same = len(set(seen.values())) == 1
    passed, failed = passed + same, failed + (not same)
    if not same:
        print("FAILED the texts of types differ:")
        for compiler, text in seen.items():
            print(compiler, text, sep="\n")
    print(f"{len(seen)} compilers agree on {len(next(iter(seen.values())).splitlines())} types"
          if same else "")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
