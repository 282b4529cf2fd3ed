"""A real PostgreSQL server in a folder, on loopback, for one test. It refuses to run as root: it runs as the package's
own user there."""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile


def programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else pathlib.Path(shutil.which("initdb") or "/nowhere/initdb").parent


class Postgres:
    def __init__(self, _):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-pg-"))
        self.data = self.folder / "data"
        self.user = ("postgres",) if os.getuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, "postgres", "postgres")
        self.as_user(programs() / "initdb", "-D", self.data, "-U", "postern", "--auth=trust", "--no-sync")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgres://postern@127.0.0.1:{self.port}/postgres"
        self.start()

    def as_user(self, *command):
        command = [str(word) for word in command]
        if self.user:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, cwd=self.folder)

    def control(self, *words):
        self.as_user(programs() / "pg_ctl", "-D", self.data, "-w", "-t", "60", *words)

    def start(self):
        self.control("-l", self.folder / "log", "-o",
                     f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off", "start")

    def stop(self):
        self.control("-m", "immediate", "stop")

    def restart(self):
        self.stop()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        except subprocess.CalledProcessError:
            pass  # it was stopped already
        shutil.rmtree(self.folder, ignore_errors=True)
