"""Programs that are watched while they run: wall time, processor time, and the most memory they ever held."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

FINE = {"apply": 0, "validate": 0}


def peak_of(pid):
    """In MiB; nothing once it has ended. Of the program itself: what the parent held before it began is not counted."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return None


def run_measured(world, verb, *arguments):
    """One command of postern, to its end; anything but success is an error, with what it said last."""
    with tempfile.TemporaryFile("w+") as said:
        began = time.monotonic()
        process = subprocess.Popen([world.build / "postern", verb, *map(str, arguments)], cwd=world.folder,
                                   env=world.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        peak = 0.0
        while True:
            peak = max(peak, peak_of(process.pid) or 0.0)
            pid, code, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.002 if time.monotonic() - began < 1 else 0.02)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(code)
        if process.returncode != FINE[verb]:
            said.seek(0)
            raise AssertionError(f"{verb} ended with {process.returncode}:\n" + "".join(said.readlines()[-15:]))
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak}


def core(build, *tokens):
    """What core_bench says of each number of tokens."""
    done = subprocess.run([build / "tests" / "bench" / "core_bench", *map(str, tokens)], capture_output=True, text=True,
                          check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
