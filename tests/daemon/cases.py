"""What a worker has to live through, one function a case. Each gets a World of its own and raises where a promise does
not hold; a World fails the case in which a consumer was refused, and run.py looks whether a secret was printed."""
import datetime
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import time

from postgres import Postgres
from world import CREDENTIALS, KEY, PROBE, STATE, Worker, World, eventually

FAST = ("--interval", "3s", "--lease", "6s")
BOTH = ("console-self-probe", "status-probe")


class Skipped(Exception):
    """The case cannot be played here; why."""


def expect(what, holds):
    if not holds:
        raise AssertionError(what)


def whole(world):
    """Both tokens of the shipped specs are provisioned: one credential each, in the vault and at every app."""
    state = world.control("GET", "/state")
    names = sorted(t["name"] for t in state["cloudflare"]["tokens"])
    vars_ = {a["name"]: a["config"].get(KEY) for a in state["heroku"]["apps"]} if isinstance(
        state["heroku"], dict) else {a["name"]: a["config"].get(KEY) for a in state["heroku"]}
    held = {vars_.get("raxx-console-prod"), vars_.get("raxx-console-staging")}
    return set(BOTH) <= set(names) and len(held) == 1 and None not in held


def spoil_config_var(world):
    world.control("POST", "/state/heroku-apps", {"name": "raxx-console-prod", "config": {KEY: "garbage"},
                                                 "onPurpose": "drift, which is to be repaired"})


def store_of(world):
    return "sqlite:" + str(world.folder / "store.db")


def led(worker, since=0, timeout=60):
    return worker.wait_for("leading", since=since, timeout=timeout)


def settled(worker, since=0, timeout=90):
    """A pass of whoever leads that came to its end: all that can be done is done."""
    return worker.wait_for("pass", since=since, timeout=timeout, failures=0, interrupted=False, wrote=True)


def no_doubles(world, name=PROBE, most=1):
    tokens = world.tokens(name)
    expect(f"{len(tokens)} tokens {name}", len(tokens) <= most)


def edit(path, old, new):
    text = path.read_text()
    expect("the test finds what it edits", old in text)
    path.write_text(text.replace(old, new))


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def journal(world, store):
    done = world.run("journal", "--store", store, "-o", "json")
    expect("journal: 0\n" + done.stderr, done.returncode == 0)
    return json.loads(done.stdout)["entries"]


# ---- documents

def provisions_and_stays_quiet(world):
    worker = world.worker(world.specs, *FAST, "--store", store_of(world))
    settled(worker)
    expect("everything is provisioned", whole(world))
    before = len(world.writes())
    settled(worker, since=worker.mark())
    expect("a second pass writes nothing", len(world.writes()) == before)
    code, took = worker.stop()
    expect(f"SIGTERM: exit {code} after {took:.1f} s", code == 0 and took < 10)
    entries = journal(world, store_of(world))
    actions = [e["action"] for e in entries]
    for action in ("mint", "hold", "bind", "promote", "deliver", "confirm"):
        expect("the journal tells of " + action, action in actions)
    mint = next(e for e in entries if e["action"] == "mint")
    expect("with the remote's request id", mint["requests"])


def saved_broken_and_repaired_specs(world):
    worker = world.worker(world.specs, "--interval", "1h", "--store", store_of(world))
    settled(worker)
    token = world.specs / "console-self-probe" / "token.yaml"
    good = token.read_text()
    since = worker.mark()
    token.write_text(good.replace("duration: 8760h", "duration: 8760q"))
    refused = worker.wait_for("documents refused", since=since)
    expect("it says where: " + refused["what"], "token.yaml:" in refused["what"])
    expect("the worker lives", worker.process.poll() is None)
    before = len(world.writes())
    spoil_config_var(world)
    since = worker.mark()
    worker.signal(signal.SIGHUP)
    settled(worker, since=since)
    expect("the last good documents stay in force: drift is repaired", whole(world))
    expect("by a write", len(world.writes()) > before)
    since = worker.mark()
    token.write_text(good.replace("cadenceKey: cf_access_service_token", "cadenceKey: another_name"))
    worker.wait_for("documents", since=since)
    settled(worker, since=since)
    since = worker.mark()
    shutil.move(world.specs, world.folder / "elsewhere")
    worker.wait_for("documents refused", since=since)
    expect("nothing left git with the folder", whole(world))
    since = worker.mark()
    shutil.move(world.folder / "elsewhere", world.specs)
    worker.wait_for("documents are good again", since=since)


def what_left_git_ends_as_its_document_said(world):
    token = world.specs / "status-probe" / "token.yaml"
    token.write_text(token.read_text().rstrip() + "\n  deletionPolicy: Delete\n")
    worker = world.worker(world.specs, *FAST, "--store", store_of(world))
    settled(worker)
    expect("the token is there", len(world.tokens("status-probe")) == 1)
    shutil.rmtree(token.parent)
    eventually("without being asked it is deleted", lambda: not world.tokens("status-probe"), timeout=60)
    expect("and nothing else", len(world.tokens()) == 1)


def a_rehearsal_beside_the_leader_is_its_own(world):
    """To the leader, the rehearsal's token is not one that left its documents, however often it looks."""
    store = store_of(world)
    worker = world.worker(world.specs, "--interval", "300ms", "--store", store)
    settled(worker)
    done = world.run("rotate", PROBE, world.specs, "--rehearse", "--store", store)
    expect("rehearse: 0\n" + done.stdout + done.stderr, done.returncode == 0)
    touched = [e for e in worker.events if "rehearsal" in json.dumps(e)]
    expect(f"the leader left it alone: {touched[:2]}", not touched)


def a_burst_of_saves_is_one_pass(world):
    worker = world.worker(world.specs, "--interval", "1h", "--store", store_of(world))
    settled(worker)
    token = world.specs / "console-self-probe" / "token.yaml"
    good = token.read_text()
    since = worker.mark()
    for i in range(20):
        token.write_text(good + f"# {i}\n")
    settled(worker, since=since)
    expect("one change of documents, maybe two", len(worker.seen("documents", since=since)) <= 2)


def git(folder, *arguments):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def git_pushes_and_forced_pushes(world):
    origin = world.folder / "origin.git"
    clone = world.folder / "clone"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", origin], check=True)
    subprocess.run(["git", "clone", "-q", origin, clone], check=True, stderr=subprocess.DEVNULL)
    world.copy_specs(clone / "gates")
    git(clone, "checkout", "-q", "-B", "main")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "specs")
    git(clone, "push", "-q", "origin", "main")
    worker = world.worker("--git", origin, "--branch", "main", "--path", "gates", "--git-poll", "500ms", "--interval",
                          "1h", "--store", store_of(world))
    settled(worker)
    expect("everything is provisioned", whole(world))
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()
    expect("the revision is the commit", worker.seen("documents")[0]["new"] == head)

    edit(clone / "gates/console-self-probe/token.yaml", "cadenceKey: cf_access", "cadenceKey: other")
    git(clone, "commit", "-qam", "other")
    since = worker.mark()
    git(clone, "push", "-q", "origin", "main")
    worker.wait_for("documents", since=since)

    git(clone, "reset", "-q", "--hard", head)
    since = worker.mark()
    git(clone, "push", "-qf", "origin", "main")
    worker.wait_for("documents", since=since, new=head)

    git(clone, "rm", "-rq", "gates")
    git(clone, "commit", "-qm", "empty", "--allow-empty")
    since = worker.mark()
    git(clone, "push", "-q", "origin", "main")
    worker.wait_for("documents refused", since=since)
    expect("an empty checkout is no desired state", whole(world))
    expect("nothing was deleted", len(world.tokens()) == 1)


# ---- signals

def sigterm_in_the_middle_of_a_rotation(world):
    store = store_of(world)
    worker = world.worker(world.specs, *FAST, "--store", store)
    settled(worker)
    token = world.tokens()[0]
    since = worker.mark()
    world.control("POST", "/state/tokens", {"id": token["id"], "expiresInSeconds": 86400})
    for action in ("intend", "mint", "hold", "promote", "deliver"):
        led(worker)
        worker.signal(signal.SIGHUP)
        try:
            worker.wait_for("step begins", since=since, timeout=10, action=action,
                            resource=lambda r: r == "ServiceToken/" + PROBE or r == "HerokuBinding/" + PROBE)
        except AssertionError:
            settled(worker, since=since)  # this step was done before the stop
            continue
        code, took = worker.stop()
        expect(f"SIGTERM at {action}: exit {code} after {took:.1f} s", code == 0 and took < 10)
        worker = world.worker(world.specs, *FAST, "--store", store)
        since = 0
    settled(worker)
    no_doubles(world, most=2)  # the second one is in its overlap
    expect("everything is whole", whole(world))


def slow_down(world, service):
    """From now on it asks to be left alone for longer than anybody waits who was asked to stop."""
    world.control("POST", "/faults", {"service": service, "action": "answer", "status": 429, "times": 1000,
                                      "headers": {"Retry-After": "50"}, "body": {"message": "slow down"}})


def sigterm_ends_a_wait_for_the_budget(world):
    store = store_of(world)
    for service in ("cloudflare", "infisical", "heroku"):
        worker = world.worker(world.specs, "--interval", "1s", "--lease", "2m", "--store", store)
        led(worker, timeout=10)  # so the one before has given its lease back
        settled(worker)
        since = worker.mark()
        slow_down(world, service)
        worker.wait_for("http", since=since, status=429, timeout=30)
        since = worker.mark()
        code, took = worker.stop()
        expect(f"SIGTERM while {service} is waited for: exit {code} after {took:.1f} s", code == 0 and took < 5)
        told = worker.seen("condition", since=since)
        expect(f"nothing is told of what was not read: {told}", not told)
        world.control("DELETE", "/faults")


def an_interrupt_ends_a_wait_of_apply(world):
    slow_down(world, "cloudflare")
    apply = Worker(world, [world.build / "postern", "apply", world.specs, "--auto-approve"], world.folder,
                   world.environment)
    world.workers.append(apply)
    apply.wait_for("http", status=429, timeout=30)
    began = time.monotonic()
    apply.signal(signal.SIGINT)
    code = apply.process.wait(12)
    took = time.monotonic() - began
    expect(f"SIGINT while Cloudflare is waited for: exit {code} after {took:.1f} s", code == 1 and took < 5)


def killed_again_and_again(world):
    store = store_of(world)
    for moment in range(12):
        worker = world.worker(world.specs, "--interval", "3s", "--lease", "1s", "--store", store)
        led(worker)
        time.sleep(0.08 * moment)
        worker.kill()
    worker = world.worker(world.specs, "--interval", "3s", "--lease", "1s", "--store", store)
    settled(worker)
    no_doubles(world)
    expect("everything is whole", whole(world))


def a_stopped_leader_finds_itself_replaced(world):
    with Postgres(world.folder) as server:
        stopped_leader(world, server.url)


def stopped_leader(world, store):
    first = world.worker(world.specs, *FAST, "--store", store)
    settled(first)
    second = world.worker(world.specs, *FAST, "--store", store)
    second.wait_for("pass")
    token = world.tokens()[0]
    since = first.mark()
    world.control("POST", "/state/tokens", {"id": token["id"], "expiresInSeconds": 86400})
    first.signal(signal.SIGHUP)
    first.wait_for("step begins", since=since, action="mint")
    first.signal(signal.SIGSTOP)
    led(second, timeout=20)
    eventually("the rotation is done", lambda: len(world.tokens()) == 2 and whole(world), timeout=60)
    settled(second, since=second.mark())
    writes = len(world.writes())
    first.signal(signal.SIGCONT)
    first.wait_for("not leading any more", timeout=15)
    settled(second, since=second.mark())
    ours = [w for w in world.writes()[writes:] if "login" not in w["target"]]
    expect(f"at most the request that was under way arrives late, not {len(ours)}", len(ours) <= 4)
    no_doubles(world, most=2)
    expect("everything is whole", whole(world))


# ---- several workers

def several(world, store, count):
    workers = [world.worker(world.specs, *FAST, "--store", store) for _ in range(count)]
    eventually("one leads", lambda: any(w.seen("leading") for w in workers), timeout=20)
    leader = next(w for w in workers if w.seen("leading"))
    settled(leader)
    expect("one leads, the others stand by", sum(bool(w.seen("leading")) for w in workers) == 1)
    for other in workers:
        if other is not leader:
            other.wait_for("pass", wrote=False)
            expect("who stands by writes nothing", not other.seen("step"))
    rest = [w for w in workers if w is not leader]
    killed_at = time.monotonic()
    leader.kill()
    eventually("another takes over", lambda: any(w.seen("leading") for w in rest), timeout=10)
    took = time.monotonic() - killed_at
    expect(f"within the lease's 6 s and what a busy machine adds, not {took:.1f} s", took < 8)
    second = next(w for w in rest if w.seen("leading"))
    settled(second)
    rest = [w for w in rest if w is not second]
    code, _ = second.stop()
    expect("SIGTERM: 0", code == 0)
    if rest:
        led(rest[0], timeout=5)  # it was given back
        settled(rest[0])
    no_doubles(world)
    expect("everything is whole", whole(world))


def two_workers_on_sqlite(world):
    several(world, store_of(world), 2)


def three_workers_on_sqlite(world):
    several(world, store_of(world), 3)


def three_workers_on_postgres(world):
    with Postgres(world.folder) as server:
        several(world, server.url, 3)


def two_workers_with_a_store_each(world):
    workers = [world.worker(world.specs, *FAST, "--store", "sqlite:" + str(world.folder / f"store{i}.db"))
               for i in range(2)]
    for worker in workers:
        settled(worker, timeout=150)
    no_doubles(world)
    expect("everything is whole", whole(world))
    token = world.tokens()[0]
    world.control("POST", "/state/tokens", {"id": token["id"], "expiresInSeconds": 86400})
    for worker in workers:
        worker.signal(signal.SIGHUP)
    eventually("the rotation is done", lambda: len(world.tokens()) == 2 and whole(world), timeout=90)
    for worker in workers:
        settled(worker, since=worker.mark(), timeout=150)
    no_doubles(world, most=2)


# ---- weather

def the_store_goes_and_comes_back(world):
    with Postgres(world.folder) as server:
        worker = world.worker(world.specs, *FAST, "--store", server.url)
        settled(worker)
        since = worker.mark()
        server.stop()
        worker.wait_for("not leading any more", since=since, timeout=20)
        before = len(world.writes())
        spoil_config_var(world)
        worker.signal(signal.SIGHUP)
        time.sleep(1)
        expect("without the lease nothing is written", len(world.writes()) == before)
        since = worker.mark()
        server.start()
        led(worker, since=since, timeout=30)
        settled(worker, since=since)
        expect("and then it is repaired", whole(world))


def attempts(world, word):
    return [r for r in world.writes() if word in r["target"]]


def restarted(world, worker, store):
    """The next process, after a pass of its own as the leader."""
    expect("SIGTERM: 0", worker.stop()[0] == 0)
    successor = world.worker(world.specs, *FAST, "--store", store)
    successor.wait_for("pass", wrote=True, timeout=30)
    successor.wait_for("pass", since=successor.mark(), wrote=True, timeout=30)
    return successor


def an_approval_is_waited_for_across_a_restart(world):
    store = store_of(world)
    world.control("POST", "/state/switches", {"infisical": {"approvalPaths": [CREDENTIALS]}})
    worker = world.worker(world.specs, *FAST, "--store", store)
    worker.wait_for("condition", reason="AwaitingApproval")
    worker.wait_for("pass", since=worker.mark(), wrote=True)
    before = len(attempts(world, KEY))
    expect("a write was tried", before >= 1)
    restarted(world, worker, store)
    expect("and is not tried again by another process", len(attempts(world, KEY)) == before)


def an_approval_is_waited_for_though_the_vault_goes_and_comes_back(world):
    world.control("POST", "/state/switches", {"infisical": {"approvalPaths": [CREDENTIALS]}})
    worker = world.worker(world.specs, *FAST, "--store", store_of(world))
    worker.wait_for("condition", reason="AwaitingApproval")
    worker.wait_for("pass", since=worker.mark(), wrote=True)
    before = len(attempts(world, KEY))
    expect("a write was tried", before >= 1)
    since = worker.mark()
    world.control("POST", "/faults", {"action": "reset", "service": "infisical", "times": 1000000})
    worker.wait_for("condition", since=since, resource="InfisicalVault/infisical", type="Ready", status="False")
    worker.wait_for("pass", since=worker.mark(), wrote=True)
    since = worker.mark()
    world.control("DELETE", "/faults")
    worker.wait_for("condition", since=since, reason="AwaitingApproval")
    worker.wait_for("pass", since=worker.mark(), wrote=True)
    expect("and nothing is tried again meanwhile", len(attempts(world, KEY)) == before)


def what_was_refused_is_put_off_across_a_restart(world):
    store = store_of(world)
    world.control("POST", "/faults", {"service": "heroku", "action": "answer", "method": "PATCH", "status": 422,
                                      "times": 1000, "body": {"id": "invalid_params", "message": "no such value"}})
    worker = world.worker(world.specs, *FAST, "--store", store)
    worker.wait_for("step failed", action="deliver")
    worker.wait_for("pass", since=worker.mark(), wrote=True)
    worker.wait_for("pass", since=worker.mark(), wrote=True)
    before = len(attempts(world, "config-vars"))
    successor = restarted(world, worker, store)
    expect("nothing is tried again by another process", len(attempts(world, "config-vars")) == before)
    world.control("DELETE", "/faults")
    since = successor.mark()
    successor.signal(signal.SIGHUP)
    settled(successor, since=since)
    expect("but when somebody asks", whole(world))


def a_pass_that_leaves_something_retried_is_not_good(world):
    store = store_of(world)
    world.control("POST", "/faults", {"service": "heroku", "action": "answer", "method": "PATCH", "status": 429,
                                      "headers": {"Retry-After": "20"}, "times": 1000,
                                      "body": {"id": "rate_limit", "message": "Your account reached the API limit"}})
    worker = world.worker(world.specs, *FAST, "--store", store)

    def status():
        return json.loads(world.run("status", "--store", store, "-o", "json", POSTERN_LEASE="6s").stdout)

    worker.wait_for("pass", wrote=True, interrupted=False)
    eventually("the status is saved", lambda: world.run("status", "--store", store, POSTERN_LEASE="6s").returncode == 0)
    shown = status()
    told = {c["reason"] for c in shown["conditions"] if c["weight"] in ("waiting", "failed")}
    expect(f"the delivery is retried: {told}", "Retrying" in told)
    expect("the world was seen", shown["lastWholePass"] is not None)
    # One that only looked, before it led, may have been.
    good = shown["lastGoodPass"]
    expect(f"but the pass was not good: {good}", good is None or moment(good) <= moment(shown["passBegan"]))
    world.control("DELETE", "/faults")
    eventually("then one is", lambda: status()["lastGoodPass"] not in (None, good))


def the_store_is_deleted(world):
    store = world.folder / "store.db"
    worker = world.worker(world.specs, *FAST, "--store", store_of(world))
    settled(worker)
    before = len(world.writes())
    worker.kill()
    for file in world.folder.glob("store.db*"):
        file.unlink()
    worker = world.worker(world.specs, *FAST, "--store", store_of(world))
    settled(worker)
    expect("nothing was lost with it: no write", len(world.writes()) == before)
    expect("it is there again", store.exists())
    no_doubles(world)


def each_remote_goes_and_comes_back(world):
    worker = world.worker(world.specs, *FAST, "--store", store_of(world))
    settled(worker)
    before = len(world.writes())
    for service in ("cloudflare", "infisical", "heroku", "edge"):
        world.control("POST", "/faults", {"action": "reset", "service": service, "times": 1000000, "name": service})
        since = worker.mark()
        worker.signal(signal.SIGHUP)
        worker.wait_for("pass", since=since)
        expect("the worker lives", worker.process.poll() is None)
        expect("nothing is deleted or minted meanwhile", len(world.writes()) == before)
        world.control("DELETE", "/faults")
        since = worker.mark()
        worker.signal(signal.SIGHUP)
        settled(worker, since=since)
    expect("everything is whole", whole(world))


def refused_until_somebody_asks(world):
    """What only a person can help is left alone for minutes, but not longer than until that person says so."""
    world.control("POST", "/faults", {"action": "answer", "status": 403, "service": "heroku", "method": "PATCH",
                                      "times": 0, "body": {"id": "forbidden", "message": "no"}})
    worker = world.worker(world.specs, "--interval", "1h", "--store", store_of(world))
    worker.wait_for("pass", timeout=60, wrote=True, failures=lambda n: n > 0)
    world.control("DELETE", "/faults")
    worker.signal(signal.SIGHUP)
    eventually("it is delivered", lambda: whole(world), timeout=30)


def what_fails_again_and_again_is_told_once(world):
    world.control("POST", "/faults", {"action": "answer", "status": 503, "service": "heroku", "method": "PATCH",
                                      "times": 0, "body": {"id": "unavailable", "message": "no"}})
    worker = world.worker(world.specs, "--interval", "1s", "--store", store_of(world))
    eventually("it fails three times", lambda: len(worker.seen("step failed", action="deliver")) > 2)
    told = worker.seen("step failed", level="warn", action="deliver")
    expect(f"one warning, not {len(told)}", len(told) == 1)
    for event in worker.events:
        expect("every line says pass, revision and epoch: " + json.dumps(event),
               {"pass", "revision", "epoch"} <= event.keys())


def faketime():
    return str(next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))


def clocks_that_are_wrong(world):
    """A worker whose clock is an hour ahead beside one whose clock is right: the lease does not care, and nothing is
    minted by a clock that disagrees with the remotes'."""
    store = store_of(world)
    right = world.worker(world.specs, *FAST, "--store", store)
    settled(right)
    wrong = world.worker(world.specs, *FAST, "--store", store, FAKETIME="+1h", FAKETIME_DONT_FAKE_MONOTONIC="1",
                         LD_PRELOAD=faketime())
    wrong.wait_for("pass", wrote=False)
    time.sleep(8)
    expect("the lease stays where it is", not wrong.seen("leading"))
    token = world.tokens()[0]
    right.kill()
    led(wrong, timeout=15)
    since = wrong.mark()
    world.control("POST", "/state/tokens", {"id": token["id"], "expiresInSeconds": 86400})
    wrong.signal(signal.SIGHUP)
    wrong.wait_for("condition", since=since, reason="ClockSkew")
    wrong.wait_for("pass", since=since, wrote=True, interrupted=False)
    expect("nothing is minted by a wrong clock", len(world.tokens()) == 1)
    expect("what is relied on is kept alive", wrong.seen("step", since=since, action="renew"))
    wrong.kill()
    again = world.worker(world.specs, *FAST, "--store", store)
    eventually("by a right one it is", lambda: len(world.tokens()) == 2)


def clock_of_its_own(world):
    """A file that holds how far the clock is off, and the environment of a worker that goes by it."""
    offset = world.folder / "offset"
    offset.write_text("+0s\n")
    return offset, {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "LD_PRELOAD": faketime()}


def a_clock_that_is_set_back(world):
    """What was to happen in seconds happens in seconds, not an hour later; also where somebody sets the clock just when
    the next pass is put off."""
    offset, clock = clock_of_its_own(world)
    worker = world.worker(world.specs, "--interval", "1s", "--lease", "6s", "--store", store_of(world), **clock)
    settled(worker)
    for hours in range(1, 9):
        offset.write_text(f"-{hours}h\n")
        since = worker.mark()
        for _ in range(2):
            worker.wait_for("pass", since=since, timeout=15)
            since = worker.mark()


def what_failed_is_tried_again_though_the_clock_is_set_back(world):
    offset, clock = clock_of_its_own(world)
    world.control("POST", "/faults", {"action": "answer", "status": 429, "service": "heroku", "method": "PATCH",
                                      "headers": {"Retry-After": "10"}, "times": 0,
                                      "body": {"id": "rate_limit", "message": "slow down"}})
    worker = world.worker(world.specs, *FAST, "--store", store_of(world), **clock)
    worker.wait_for("condition", reason="Retrying", resource="HerokuBinding/" + PROBE)
    offset.write_text("-1h\n")
    world.control("DELETE", "/faults")
    eventually("it is delivered", lambda: whole(world))


# ---- seeing it and asking it

def fetch(worker, path, method="GET", headers=None, body=None):
    address = next(e for e in worker.events if e["event"] == "started")["listen"]
    link = http.client.HTTPConnection(address, timeout=10)
    try:
        link.request(method, path, body, headers or {})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


def seen_from_outside(world):
    store = store_of(world)
    worker = world.worker(world.specs, *FAST, "--store", store, "--listen", "127.0.0.1:0")
    worker.wait_for("started")
    expect("healthz: 200 at once", fetch(worker, "/healthz")[0] == 200)
    settled(worker)
    expect("readyz: 200", fetch(worker, "/readyz")[0] == 200)
    metrics = fetch(worker, "/metrics")[1]
    for line in ("postern_leader 1", f'postern_token_expiry_timestamp_seconds{{token="{PROBE}"}}',
                 "postern_last_good_pass_timestamp_seconds", "postern_api_requests_total", "postern_build_info"):
        expect("metrics tell " + line, line in metrics)
    status = json.loads(fetch(worker, "/api/v1/status")[1])
    expect("status knows both tokens", sorted(t["name"] for t in status["tokens"]) == sorted(BOTH))
    shown = world.run("status", "--store", store)
    expect("postern status: 0\n" + shown.stderr, shown.returncode == 0 and PROBE in shown.stdout)
    asked = world.run("status", PROBE, "--endpoint",
                      "http://" + next(e for e in worker.events if e["event"] == "started")["listen"], "-o", "json")
    expect("postern status --endpoint: 0\n" + asked.stderr, asked.returncode == 0 and PROBE in asked.stdout)
    expect("a hook without a secret: 404", fetch(worker, "/hooks/git", "POST", body="{}")[0] == 404)
    other = world.worker(world.specs, "--store", store, "--listen", "0.0.0.0:0")
    expect("not on every address without a token", other.process.wait(20) == 1)


def ready_only_after_a_whole_pass(world):
    world.control("POST", "/faults", {"service": "infisical", "action": "hang", "times": 1000})
    worker = world.worker(world.specs, "--interval", "1h", "--lease", "6s", "--store", store_of(world), "--listen",
                          "127.0.0.1:0")
    eventually("it asks", world.requests)
    worker.signal(signal.SIGHUP)
    worker.wait_for("pass", interrupted=True)
    ready, why, *_ = fetch(worker, "/readyz")
    expect(f"after a pass that was interrupted: {ready} {why}", ready == 503)
    world.control("DELETE", "/faults")
    eventually("after a whole one", lambda: fetch(worker, "/readyz")[0] == 200)


def rotate_asks_the_leader(world):
    store = store_of(world)
    worker = world.worker(world.specs, "--interval", "1h", "--lease", "6s", "--store", store)
    settled(worker)
    old = world.tokens()[0]["id"]
    asked = world.run("rotate", PROBE, world.specs, "--auto-approve", "--store", store, POSTERN_LEASE="6s")
    expect("rotate: 0\n" + asked.stdout + asked.stderr, asked.returncode == 0)
    expect("it says whom it asked", "Asked the controller that leads" in asked.stdout)
    expect("the worker minted", [e for e in worker.seen("step", action="mint")][1:])
    expect("there is a new token beside the old", {t["id"] for t in world.tokens()} > {old})
    old = world.tokens("status-probe")[0]["id"]
    ended = world.run("rotate", "status-probe", world.specs, "--compromised", "--auto-approve", "--store", store,
                      POSTERN_LEASE="6s", FAKETIME="+1h", FAKETIME_DONT_FAKE_MONOTONIC="1", LD_PRELOAD=faketime())
    expect("rotate --compromised, by a clock that is wrong: 0\n" + ended.stdout + ended.stderr, ended.returncode == 0)
    expect("the old one is gone, and no other was made", len(world.tokens("status-probe")) == 1)
    expect("but the one", world.tokens("status-probe")[0]["id"] != old)


def rotate_ends_where_the_leader_is_blocked(world):
    store = store_of(world)
    worker = world.worker(world.specs, "--interval", "1h", "--lease", "6s", "--store", store)
    settled(worker)
    world.control("POST", "/state/heroku-apps", {"name": "raxx-console-prod", "locked": True})
    began = time.monotonic()
    asked = world.run("rotate", PROBE, world.specs, "--auto-approve", "--store", store, "--wait", "150s",
                      POSTERN_LEASE="6s")
    took = time.monotonic() - began
    said = asked.stdout + asked.stderr
    expect(f"it ends with 3, as it does alone: {asked.returncode}\n" + said, asked.returncode == 3)
    expect(f"at once, not after the whole wait: {took:.0f} s", took < 100)
    expect("with the reason\n" + said, "AppUnreadable" in said and "stands in the record" in said)
    since = worker.mark()
    world.control("POST", "/state/heroku-apps", {"name": "raxx-console-prod", "locked": False})
    worker.signal(signal.SIGHUP)
    worker.wait_for("step", action="mint", since=since)


def the_brake(world):
    worker = world.worker(world.specs, *FAST, "--store", store_of(world), "--listen", "127.0.0.1:0",
                          POSTERN_OBSERVE="1")
    worker.wait_for("pass")
    led(worker)
    worker.wait_for("pass", since=worker.mark())
    expect("nothing is written", not [w for w in world.writes() if "login" not in w["target"]])
    expect("status shows it", json.loads(fetch(worker, "/api/v1/status")[1])["observing"] is True)
    expect("metrics show it", "postern_observing 1" in fetch(worker, "/metrics")[1])


def a_key_changes_in_its_file(world):
    secrets = world.folder / "keys"
    secrets.mkdir()
    key = secrets / "heroku"
    key.write_text(world.at["herokuApiKey"] + "x\n")
    for file in world.specs.rglob("*.yaml"):
        text = file.read_text()
        if "HEROKU_API_KEY" in text:
            file.write_text(text.replace("env: HEROKU_API_KEY", "file: " + str(key)))
    worker = world.worker(world.specs, *FAST, "--store", store_of(world), "--secrets-dir", secrets)
    worker.wait_for("condition", resource=lambda r: r and r.startswith("HerokuAccount/"))
    key.write_text(world.at["herokuApiKey"] + "\n")
    # A pass that had read the old key may end first.
    eventually("without a restart everything is provisioned", lambda: whole(world))
    shutil.rmtree(secrets)


# ---- what stays in memory

def read_memory(pid):
    """Everything that the process may read or write, or nothing where this user may not look."""
    chunks = []
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                begin, end = (int(part, 16) for part in span.split("-"))
                if rights[0] != "r" or "[vvar]" in line or "[vsyscall]" in line:
                    continue
                try:
                    memory.seek(begin)
                    chunks.append((line.split()[-1] if len(line.split()) > 5 else "anonymous", memory.read(end - begin)))
                except OSError:
                    pass  # it was unmapped meanwhile
    except PermissionError:
        return None
    return chunks


def secrets_of(world, client_id):
    return {s["value"] for s in world.control("GET", "/books/secrets")
            if s["owner"] == client_id and s["kind"] == "client secret"}


def places(chunks, value):
    """Where in memory it stands; of the value itself nothing is told."""
    return [name for name, data in chunks for _ in range(data.count(value.encode()))]


def a_retired_credential_is_gone_from_memory(world):
    """Over plain HTTP and over TLS: what is left in the buffers of Asio and OpenSSL counts, too."""
    retired_credential(world)
    with World(world.build, ("--tls",)) as behind_tls:
        behind_tls.environment["POSTERN_CA_FILE"] = behind_tls.at["caFile"]
        retired_credential(behind_tls)
        expect("no leak over TLS", not behind_tls.leaks())


def retired_credential(world):
    token = world.specs / "console-self-probe" / "token.yaml"
    text = token.read_text()
    expect("the spec has an overlap", "overlap:" in text)
    token.write_text(re.sub(r"overlap: \S+", "overlap: 2s", text))
    worker = world.worker(world.specs, *FAST, "--store", store_of(world))
    settled(worker)
    old = world.tokens()[0]
    secret = secrets_of(world, old["client_id"])
    expect("the cloud gave out one secret for it", len(secret) == 1)
    memory = read_memory(worker.pid)
    if memory is None:
        raise Skipped("reading another process's memory needs root")
    expect("what is there is found: a secret that the worker goes on using",
           places(memory, world.at["infisicalClientSecret"]))
    world.control("POST", "/state/tokens", {"id": old["id"], "expiresInSeconds": 86400})
    worker.signal(signal.SIGHUP)
    eventually("the old token is gone", lambda: old["id"] not in [t["id"] for t in world.tokens()] and world.tokens(),
               timeout=90)
    for _ in range(2):  # a pass drops what the one before it read
        settled(worker, since=worker.mark())
    memory = read_memory(worker.pid)
    found = places(memory, secret.pop())
    expect(f"{len(found)} copies of the retired secret in memory: {found}", not found)
    arguments = pathlib.Path(f"/proc/{worker.pid}/cmdline").read_bytes().decode()
    expect("a secret in argv", not any(value in arguments for value in world.secret_values()))
    for task in pathlib.Path(f"/proc/{worker.pid}/task").iterdir():
        expect("it has no children, which could inherit anything", not (task / "children").read_text())
    worker.signal(signal.SIGABRT)
    worker.process.wait(12)
    cores = [f for f in world.folder.rglob("*") if f.name.startswith("core") and f.is_file()]
    expect("it leaves no core when it crashes", not cores)


# ---- on Heroku

def a_dyno_without_a_shared_store_waits_for_its_predecessor(world):
    worker = world.worker(world.specs, *FAST, "--store", store_of(world), DYNO="worker.1")
    worker.wait_for("pass", wrote=False)
    time.sleep(3)
    expect("nothing is written in the first 45 s", not [w for w in world.writes() if "login" not in w["target"]])
    settled(worker, timeout=90)
    expect("and then everything", whole(world))
    expect("45 s after its start", worker.seen("step")[0]["at"] - worker.started >= 44)


def its_own_app_restarts_it(world):
    """The second app of the binding is listed first and is the worker's own: its PATCH restarts the worker."""
    store = store_of(world)
    own = "raxx-console-staging"
    worker = world.worker(world.specs, *FAST, "--store", store, HEROKU_APP_NAME=own)
    worker.wait_for("step", action="deliver", target=lambda t: own in t)
    delivered = [e["target"] for e in worker.seen("step", action="deliver")]
    expect("its own app is the last: " + str(delivered), own in delivered[-1] and len(delivered) == 2)
    worker.signal(signal.SIGTERM)
    successor = world.worker(world.specs, *FAST, "--store", store, HEROKU_APP_NAME=own)
    expect("SIGTERM: 0", worker.process.wait(12) == 0)
    settled(successor)
    no_doubles(world)
    expect("everything is whole", whole(world))


def dynos_that_overlap(world):
    """Daily cycling: each successor starts when its predecessor is told to stop; DATABASE_URL is set anew in between."""
    with Postgres(world.folder) as server:
        old = world.worker(world.specs, *FAST, DATABASE_URL=server.url, DYNO="worker.1")
        settled(old)
        before = len(world.writes())
        for _ in range(3):
            old.signal(signal.SIGTERM)
            new = world.worker(world.specs, *FAST, DATABASE_URL=server.url, DYNO="worker.1")
            expect("SIGTERM: 0", old.process.wait(12) == 0)
            led(new, timeout=10)
            settled(new)
            server.restart()
            old = new
        expect("no write was needed", len(world.writes()) == before)


# Whatever takes a world and nothing else, but for what the cases have in common.
SHARED = (whole, store_of, spoil_config_var, retired_credential, clock_of_its_own)
CASES = [value for value in list(globals().values())
         if getattr(value, "__code__", None) and value.__code__.co_varnames[:value.__code__.co_argcount] == ("world",)
         and value not in SHARED]
