#!/usr/bin/env python3
"""The real worker, and what is done to it: tests/daemon/run.py BUILD_DIR [--only WORD] [--jobs N]

Each case has a miniature cloud of its own, which fails it where a consumer was ever refused without an excuse. After each
one everything that was printed or written is searched for the secrets that the cloud gave out. Prints a line per case.
"""
import argparse
import concurrent.futures
import pathlib
import sys
import time
import traceback

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parent.parent / "support")]
import cases  # noqa: E402
from world import World  # noqa: E402


def play(build, case):
    began = time.monotonic()
    wrong = ""
    try:
        with World(build) as world:
            case(world)
            for worker in world.workers:
                worker.kill()
            if leaks := world.leaks():
                raise AssertionError(f"{leaks} of the cloud's secrets were printed or written")
    except cases.Skipped as why:
        return case.__name__, "", f"skipped: {why}"
    except Exception:  # the report is the point
        wrong = traceback.format_exc()
    return case.__name__, wrong, time.monotonic() - began


def wrong_in_a_line(trace):
    """What was raised, without where, and without what it quotes."""
    return next(line for line in trace.splitlines() if line and not line.startswith((" ", "Traceback")))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default="build/debug")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=4)
    asked = parser.parse_args()
    failed = []
    chosen = [case for case in cases.CASES if asked.only in case.__name__]
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(play, asked.build, case) for case in chosen]):
            name, wrong, took = done.result()
            how = took if isinstance(took, str) else f"{took:.0f} s"
            print(f"{'FAILED ' if wrong else 'ok     '} {name.replace('_', ' ')} ({how})", flush=True)
            if wrong:
                failed.append(f"{name}: {wrong_in_a_line(wrong)}")
                print("        " + wrong.replace("\n", "\n        "), flush=True)
    for line in failed:  # once more: whoever keeps only the end of it knows what to run again
        print("FAILED  " + line)
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not chosen else 0


sys.exit(main())
