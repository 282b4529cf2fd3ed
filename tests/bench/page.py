"""REPORT.md and its plots, from what tests/bench/report has seen."""
import pathlib

from plots import plot

# Why a target may be missed, by words of its row.
WHY = {
    "wall time over the bound": "what the bound leaves out is the processor: the miniature cloud's own time for each answer, "
                                "Postern's, and, on a machine with other work, the wait for a core. How much each of these is was not measured.",
    "provisioning 1,000 tokens, peak memory": "about 17 MiB are pages of libraries; the rest is the world as it was read, the steps "
                                              "that a judgement offers, and a list of the vault's folder while it is taken apart.",
    "all as declared": "a judgement looks at every document, binding and policy again. What it needs is looked up, not searched for, "
                       "but the maps of so large a world do not fit into the processor's caches, and so a token costs several "
                       "times what it does in a small one. Only a judgement that goes by what has changed would come well below.",
    "from nothing": "the same, once for each of the rounds in which the steps of a chain follow one another.",
}
VERDICT = {True: "met", False: "**missed**", None: ""}


def precedence():
    """Whether somebody put this session before the machine's other work; a page that hides it would not be repeatable."""
    try:
        nice = int(pathlib.Path("/proc/self/autogroup").read_text().split()[-1])
    except (FileNotFoundError, ValueError):
        return ""
    return f", its programs before all others (autogroup nice {nice})" if nice < 0 else ""


def write_page(folder, report, about):
    seen = report.seen
    about["precedence"] = precedence()
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
        f"this test's alone where that is more than 2){about['precedence']}. Release build, the miniature cloud over TLS on loopback, every answer "
        f"{1000 * about['latency']:.0f} ms late. {about['tokens']:,} tokens, each bound to 2 of 200 applications and 1 of 100 "
        "Heroku apps, unless a row says otherwise. `tests/bench/report --only WORD` measures the rows of one part again.", "",
        "| | measured | target | | `--only` |", "|---|---|---|---|---|",
        *(f"| {what} | {measured} | {target} | {VERDICT[met]} | `{part}` |" for what, measured, target, met, part in report.rows),
        "", "![wall time](growth.svg)", "", "![calls](calls.svg)", "", "![planning](core.svg)", "",
        "## What missed its target, and why", "",
        *([f"* {what}: {next((why for words, why in WHY.items() if words in what), 'not known.')}"
           for what, _, _, met, _ in report.rows if met is False] or ["Nothing."]), "",
        "## What the bound is", "",
        f"No program that makes these calls at most {about['at once']} at a time can be through before all calls x latency / "
        f"{about['at once']} ({bound:.0f} s), nor before the chain of calls that one token needs one after the other "
        f"({seen['chain']['seconds']:.1f} s, half a second of which is the wait in which another process could have written the same "
        "new record). The larger one counts. The latency is the cloud's alone: what it needs itself to answer over TLS on the same "
        "two cores is in the wall time and not in the bound.", "",
        f"Cloudflare's own budget, 1,200 calls per 5 minutes and user, is a third bound and the one that would count in earnest: "
        f"the Cloudflare calls of the {about['tokens']:,} tokens take {seen['budget'] / 60:.0f} minutes of it, whatever the "
        f"latency ({seen['budget'] / ours['seconds']:.0f} x the wall time above). It is lifted here: the cloud runs without "
        "`--limits` and tells no `Ratelimit`, so the governor has nothing to hold back. How close a fleet comes to that bound "
        "is not measured here.", "",
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
        "* \"Planning\" is measured with ten tokens to an application and to an app, however many there are (2,000 applications and "
        "1,000 apps at 10,000 tokens), and is the pure core without reading the world; `postern plan` reads it first, which costs the calls of a steady "
        "pass.", ""]
    return "\n".join(lines)
