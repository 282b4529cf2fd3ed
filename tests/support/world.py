"""One miniature cloud and the real programs around it, for tests that start them: specs that point at the cloud,
one-shot commands, workers whose log is read as it comes, and the cloud's books."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STATE = "/MooseQuest/postern"
CREDENTIALS = "/MooseQuest/cloudflare"
KEY = "CF_ACCESS_SVC_CONSOLE"
PROBE = "console-self-probe"


def end_of_cloud(cloud, said):
    """Lets it end by itself; what it had to say of refusals that nobody excused, which it does by its exit code."""
    cloud.terminate()
    try:
        code = cloud.wait(20)
    except subprocess.TimeoutExpired:
        cloud.kill()
        code = f"{cloud.wait()}, for it did not end by itself"
    cloud.stdout.close()
    said.seek(0)
    text = said.read()
    said.close()
    return "" if code == 0 else f"the miniature cloud ended with {code}:\n{text}"


class World:
    """Everything of it lies in one folder and ends with close(), which tells of refusals; as a context it raises."""

    def __init__(self, build, cloud_arguments=()):
        self.build = pathlib.Path(build).resolve()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-"))
        self.said = []  # everything that any program printed
        self.workers = []
        self.cloud_said = tempfile.TemporaryFile(mode="w+")
        self.cloud = subprocess.Popen([self.build / "postern-cloud", "--port", "0", "--exit-with-parent",
                                       *cloud_arguments], stdout=subprocess.PIPE, stderr=self.cloud_said, text=True)
        self.at = json.loads(self.cloud.stdout.readline())
        self.specs = self.folder / "specs"
        self.copy_specs(self.specs)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CLOUDFLARE_ACCOUNT_ID": self.at["accountId"],
            "INFISICAL_CLIENT_ID": self.at["infisicalClientId"],
            "INFISICAL_CLIENT_SECRET": self.at["infisicalClientSecret"],
            "HEROKU_API_KEY": self.at["herokuApiKey"],
            "POSTERN_CONNECT_TO": self.at["edge"],
            "POSTERN_REQUEST_TIMEOUT": "2s",
            "POSTERN_LOG_LEVEL": "debug",
            "POSTERN_LOG_FORMAT": "json",
        }
        for name in ("LD_LIBRARY_PATH", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def copy_specs(self, to):
        """The shipped specs, pointing at this cloud, with proofs that wait for milliseconds instead of seconds."""
        shutil.copytree(ROOT / "specs", to)
        for file in to.rglob("*.yaml"):
            text = file.read_text()
            for real, here in (("https://api.cloudflare.com/client/v4", "cloudflare"),
                               ("https://app.infisical.com", "infisical"), ("https://api.heroku.com", "heroku")):
                text = text.replace(real, self.at[here])
            text = re.sub(r"projectId: .*", "projectId: " + self.at["projectId"], text)
            file.write_text(text.replace("interval: 5s", "interval: 100ms"))

    def close(self):
        for worker in self.workers:
            worker.kill()
        wrong = end_of_cloud(self.cloud, self.cloud_said)
        shutil.rmtree(self.folder, ignore_errors=True)
        return wrong

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        wrong = self.close()
        if wrong and not failed:
            raise AssertionError(wrong)

    # ---- the cloud's control origin

    def control(self, method, path, body=None):
        origin = urllib.parse.urlsplit(self.at["control"])
        link = http.client.HTTPConnection(origin.hostname, origin.port, timeout=30)
        try:
            link.request(method, path, None if body is None else json.dumps(body))
            answer = link.getresponse()
            text = answer.read()
            if answer.status >= 400:
                raise AssertionError(f"control {method} {path}: {text.decode()}")
            return json.loads(text)
        finally:
            link.close()

    def requests(self):
        return [r for r in self.control("GET", "/books/requests") if not r["operator"]]

    def writes(self):
        return [r for r in self.requests() if r["kind"] == "write"]

    def refusals(self):
        return self.control("GET", "/books/refusals")

    def tokens(self, name=PROBE):
        return [t for t in self.control("GET", "/state/cloudflare")["tokens"] if t["name"] == name]

    # ---- programs

    def run(self, *arguments, **environment):
        """A one-shot command: its exit code, stdout, stderr."""
        done = subprocess.run([self.build / "postern", *map(str, arguments)], cwd=self.folder,
                              env=self.environment | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=180)
        self.said += [done.stdout, done.stderr]
        return done

    def worker(self, *arguments, program=(), folder=None, **environment):
        """`postern run` with these arguments; `program` goes before it, as a wrapper."""
        started = Worker(self, [*program, self.build / "postern", "run", *map(str, arguments)],
                         folder or self.folder, self.environment | environment)
        self.workers.append(started)
        return started

    def secret_values(self):
        """Every secret that the cloud ever gave out; never to be printed."""
        def values(node):
            if isinstance(node, dict):
                return [v for key, child in node.items()
                        for v in ([child] if key == "value" and isinstance(child, str) else values(child))]
            return [v for child in node for v in values(child)] if isinstance(node, list) else []
        return set(values(self.control("GET", "/books/secrets"))) | {
            self.at["apiToken"], self.at["infisicalClientSecret"], self.at["herokuApiKey"]}

    def leaks(self):
        """How many of the cloud's secrets stand in anything that was printed, or in a file that a program wrote."""
        files = [f.read_bytes().decode(errors="replace") for f in self.folder.rglob("*") if f.is_file()]
        everything = "\n".join(self.said + files + [line for w in self.workers for line in w.lines])
        return sum(value in everything for value in self.secret_values())


class Worker:
    """A `postern run` process. Its log is read by a thread; wait_for() sleeps until a line is there."""

    def __init__(self, world, command, folder, environment):
        self.world = world
        self.lines = []
        self.events = []
        self.arrived = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.started = time.monotonic()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            with self.arrived:
                self.lines.append(line)
                try:
                    self.events.append(json.loads(line) | {"at": time.monotonic()})
                except json.JSONDecodeError:
                    pass
                self.arrived.notify_all()
        with self.arrived:
            self.ended = True
            self.arrived.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def mark(self):
        """A place in the log, for `since`."""
        with self.arrived:
            return len(self.events)

    def wait_for(self, event, since=0, timeout=60, **fields):
        """The first line of this event with these fields from `since` on; a value may be a function that judges."""
        def fits(e):
            return e.get("event") == event and all(
                wanted(e.get(key)) if callable(wanted) else e.get(key) == wanted for key, wanted in fields.items())
        until = time.monotonic() + timeout
        with self.arrived:
            at = since
            while True:
                while at < len(self.events):
                    if fits(self.events[at]):
                        return self.events[at]
                    at += 1
                left = until - time.monotonic()
                if left <= 0 or self.ended:
                    raise AssertionError(f"no line {event} {fields} from worker {self.pid}"
                                         f"{', which ended' if self.ended else ''}; its last lines:\n"
                                         + "".join(self.lines[-12:]))
                self.arrived.wait(left)

    def seen(self, event, since=0, **fields):
        with self.arrived:
            return [e for e in self.events[since:]
                    if e.get("event") == event and all(e.get(k) == v for k, v in fields.items())]

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=12):
        """SIGTERM; the exit code and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.reader.join(5)
        return code, time.monotonic() - began

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.reader.join(5)


def eventually(what, holds, timeout=60):
    """Waits until holds() is true; for states of the world that no log line announces."""
    until = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > until:
            raise AssertionError("not within " + str(timeout) + " s: " + what)
        time.sleep(0.05)
