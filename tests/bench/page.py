"""REPORT.md and its plots, from what tests/bench/report has seen."""
from plots import plot

VERDICT = {True: "met", False: "**missed**", None: ""}


def write_page(folder, report, about):
    seen = report.seen
    growth = seen["growth"]
    (folder / "growth.svg").write_text(plot(
        "Provisioning: wall time beside the bound", "tokens", "seconds", {
            "wall time, 30 ms latency": [(g["tokens"], g["took"]["seconds"]) for g in growth if g["latency"]],
            "bound at 30 ms…": [(g["tokens"], g["bound"]) for g in growth if g["latency"]],
            "processor time of postern": [(g["tokens"], g["took"]["cpu"]) for g in growth],
        }))
    per_token = seen["reads"] / about["tokens"]
    (folder / "calls.svg").write_text(plot(
        "Calls of a steady pass", "tokens", "calls", {
            "postern": [(g["tokens"], g["steady"]["all"]) for g in growth],
            "one read per object": [(g["tokens"], per_token * g["tokens"]) for g in growth],
        }))
    (folder / "core.svg").write_text(plot(
        "Planning: processor time of the pure core", "tokens, each with 3 bindings", "milliseconds", {
            "all as declared": [(c["tokens"], c["plan"]) for c in seen["core"]],
            "from nothing": [(c["tokens"], c["from nothing"]) for c in seen["core"]],
            "one judgement amid provisioning": [(c["tokens"], c["next"]) for c in seen["core"]],
            "target…": [(c["tokens"], 100) for c in seen["core"]],
        }))
    (folder / "REPORT.md").write_text(page(report, about))


def page(report, about):
    seen = report.seen
    ours, bound = seen["provisioning"], seen["bound"]
    lines = [
        "# What it costs, measured", "",
        f"Written by `tests/bench/report` in {about['took'] / 60:.0f} minutes on {about['date']}, commit `{about['commit']}`, "
        f"{about['cores']} cores, load {about['load'][0]:.1f} before and {about['load'][1]:.1f} after (the machine was not "
        "this test's alone where that is more than 2). Release build, the miniature cloud over TLS on loopback, every answer "
        f"{1000 * about['latency']:.0f} ms late. {about['tokens']:,} tokens, each bound to 2 of 200 applications and 1 of 100 "
        "Heroku apps, unless a row says otherwise. `tests/bench/report --only WORD` measures the rows of one part again.", "",
        "| | measured | target | | `--only` |", "|---|---|---|---|---|",
        *(f"| {what} | {measured} | {target} | {VERDICT[met]} | `{part}` |" for what, measured, target, met, part in report.rows),
        "", "![wall time](growth.svg)", "", "![calls](calls.svg)", "", "![planning](core.svg)", "",
        "## What the bound is", "",
        f"No program that makes these calls at most {about['at once']} at a time can be through before all calls x latency / "
        f"{about['at once']} ({bound:.0f} s), nor before the chain of calls that one token needs one after the other "
        f"({seen['chain']['seconds']:.1f} s, half a second of which is the wait in which another process could have written the same "
        "new record). The larger one counts. The latency is the cloud's alone: what it needs itself to answer over TLS on the same "
        "two cores is in the wall time and not in the bound.", "",
        f"Cloudflare's own budget, 1,200 calls per 5 minutes and user, is a third bound and the one that would count in earnest: "
        f"the Cloudflare calls of the {about['tokens']:,} tokens take {seen['budget'] / 60:.0f} minutes of it, whatever the "
        f"latency ({seen['budget'] / ours['seconds']:.0f} x the wall time above). It is lifted here: the cloud runs without "
        "`--limits` and tells no `Ratelimit`, so the governor has nothing to hold back. That the governor keeps to it and comes "
        "within 1.1 x of it is tested in virtual time (`test_reconcile`, limits_test).", "",
        "## What the others leave out", "",
        "The hand procedure and the client that keeps one object per call mint, admit, store and set, and that is all: 6 calls a "
        "token, and two knocks by hand. Postern writes an intent first, keeps the credential under a key of its own before it is "
        "used, reads back what it writes, looks before it overwrites, waits for the app's release, proves each host as a stranger "
        "and twice with the credential, and can be killed anywhere. That is what its further calls are.", "",
        "## What is not measured", "",
        "* Real vendors: their latencies, their limits, their faults. The miniature cloud answers from memory.",
        *([] if report.long else ["* 10,000 tokens end to end (`--long`, without latency): the pure core is measured to there, "
                                  "the whole program to 1,000."]),
        "* Refusals while 1,000 tokens are provisioned: the cloud's checker, which asks every consumer after every write, takes "
        "longer there than the answers do, and is on for the rotations only.",
        "* The worker at rest: `tests/bench/daemon`. Years: `tests/bench/decades`.",
        "* The hand procedure for all tokens: it is one call after another, so a part of them tells the rest.",
        "* \"Planning\" is the pure core without reading the world; `postern plan` reads it first, which costs the calls of a steady "
        "pass.", ""]
    return "\n".join(lines)
