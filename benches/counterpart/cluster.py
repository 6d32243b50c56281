"""What is measured over PostgreSQL and S3, and its tables: the store by itself, and the mail server in front of it."""

import itertools
import os
import statistics

from . import process

BEGIN = "<!-- figures: written by benches/cluster -->"

APART = "apart-"  # before the name of a scenario in which the store had cores of its own
PLACES = (("", ""), (APART, ", the store on cores of its own"))
DELIVERED = 20  # accounts that mail is delivered to
SIZES = {4096: "4 KiB", 65536: "64 KiB"}
CONNECTIONS = (20, 100)
# Messages of a large mailbox, by their size.
LARGE = {4096: 10_000, 65536: 2_000}


def _users(count):
    return [f"user{n}@example.test" for n in range(1, count + 1)]


def _put(size, connections):
    """PUTs of the store alone, deliveries over LMTP, and PUTs again: a store gets slower as it fills."""
    def measure(run):
        count = 3000 // run.part if size == 4096 else 1500 // run.part
        server = run.server(_users(DELIVERED))
        try:
            found = {"before": run.bare("s3-put", size, connections, count)}
            found["lmtp"] = run.load("lmtp", "--sessions", connections, "--messages", count, "--users", DELIVERED, "--size", size,
                                     server=server, service="lmtp")
            found["after"] = run.bare("s3-put", size, connections, count)
            found["get"] = run.bare("s3-get", size, connections, count)
            return found
        finally:
            server.stop()
    return measure


def _large(size):
    """A large mailbox: its list, which asks the store for nothing, and its bodies from a server that has none of them."""
    def measure(run):
        count = LARGE[size] // run.part
        server = run.server(_users(1))
        try:
            found = {"fill": run.load("lmtp", "--sessions", 64, "--messages", count, "--size", size, "--shape", "multipart",
                                      "--to", "user1@example.test", server=server, service="lmtp")}
            server.restart()
            before = server.asked_store()
            found["list"] = run.load("imap-list", "--password", process.PASSWORD, "--rounds", 2, server=server, service="imaps")
            found["list"]["figures"]["asked_store"] = server.asked_store() - before
            objects = min(count, 3000)
            run.bare("s3-put", size, 20, objects)
            for connections in CONNECTIONS:
                found[f"get-{connections}"] = run.load("s3-get", "--size", size, "--connections", connections, "--objects", objects,
                                                       "--prefix", "bare-20", ca=os.environ["S3_TEST_CA"])
            server.restart()
            found["bodies"] = run.load("imap-bodies", "--password", process.PASSWORD, "--rounds", 1, server=server, service="imap")
            return found
        finally:
            server.stop()
    return measure


def _login(users):
    """500 clients who log in within a minute, and again while their success is remembered."""
    def measure(run):
        seconds = 60 // run.part
        logins = 500 // run.part
        count = users // run.part
        server = run.server(_users(count), hash=process.HASH_12)
        try:
            def again():
                return run.load("login", "--password", process.PASSWORD, "--users", count, "--logins", logins, "--over", seconds,
                                server=server, service="imaps")
            return {"first": again(), "again": again()} if users == 500 else {"half": again()}
        finally:
            server.stop()
    return measure


# Each with the most rounds that are worth their time.
SCENARIOS = {
    **{f"put-{size}-{connections}": (_put(size, connections), 3) for size in SIZES for connections in CONNECTIONS},
    **{f"large-{size}": (_large(size), 1) for size in SIZES},
    "login": (_login(500), 1),
    "login-half": (_login(250), 1),
}


def _values(results, scenario, load, *path):
    found = []
    for one in results["rounds"].get(scenario, []):
        here = one.get(load)
        for step in path:
            here = None if here is None else here.get(step)
        if here is not None:
            found.append(here)
    return found


def _middle(results, scenario, loads, *path):
    found = [value for load in loads for value in _values(results, scenario, load, *path)]
    return statistics.median(found) if found else None


def _cell(form, value):
    return "-" if value is None else form.format(value)


def _share(part, whole):
    return f"{part / whole:.0%}" if part and whole else "-"


def _deliveries(results):
    lines = ["| | PUT/s of the store alone | p50, p95 ms | deliveries/s over LMTP | p50, p95 ms | share | server CPU, ms a message |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for apart, where in PLACES:
        for size, n in itertools.product(SIZES, CONNECTIONS):
            title, scenario, bare = SIZES[size], f"{apart}put-{size}-{n}", ("before", "after")
            puts = _middle(results, scenario, bare, "figures", "puts_per_second")
            mail = _middle(results, scenario, ("lmtp",), "figures", "accepted_per_second")
            if puts is None:
                continue
            times = [", ".join(_cell("{:.0f}", _middle(results, scenario, loads, "latency_ms", name, p)) for p in ("p50", "p95"))
                     for loads, name in ((bare, "put"), (("lmtp",), "message"))]
            cpu = _middle(results, scenario, ("lmtp",), "figures", "server_cpu_per_1000_messages")
            lines.append(f"| {title}, {n} connections{where} | {puts:.0f} | {times[0]} | {mail:.0f} | {times[1]} | {_share(mail, puts)} | {_cell('{:.2f}', cpu)} |")
    return lines


def _bodies(results):
    lines = ["| | GET/s of the store alone, 20 connections | 100 connections | bodies/s over IMAP | MB/s | share of the better |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for (apart, where), size in itertools.product(PLACES, SIZES):
        title, scenario = SIZES[size], f"{apart}large-{size}"
        gets = [_middle(results, scenario, (f"get-{n}",), "figures", "gets_per_second") for n in CONNECTIONS]
        bodies = _middle(results, scenario, ("bodies",), "figures", "messages_per_second")
        if bodies is None:
            continue
        rate = _middle(results, scenario, ("bodies",), "figures", "megabytes_per_second")
        lines.append(f"| {LARGE[size]:,} of {title}{where} | {gets[0]:.0f} | {gets[1]:.0f} | {bodies:.0f} | {rate:.1f} | {_share(bodies, max(gets))} |")
    return lines


def _listing(results):
    names = [("SELECT, first after a restart", "first_select", "{:.1f} ms"), ("list of all envelopes, first", "first_envelopes", "{:.1f} ms"),
             ("flags of all, first", "first_flags", "{:.1f} ms"), ("BODYSTRUCTURE of all, first", "first_structures", "{:.1f} ms"),
             ("list of all envelopes, again", "again_1_envelopes", "{:.1f} ms"), ("requests to the store in all this", "asked_store", "{:.0f}")]
    lines = []
    for apart, where in PLACES:
        if not _values(results, f"{apart}large-4096", "list"):
            continue
        lines = lines or ["| A mailbox of 10,000 messages over TLS | |", "| --- | ---: |"]
        for title, key, form in names:
            lines.append(f"| {title}{where} | {_cell(form, _middle(results, f'{apart}large-4096', ('list',), 'figures', key))} |")
    return lines


def _logins(results):
    lines = ["| 500 logins over 60 s, hashes of cost 12 | in | refused | p50 ms | p95 ms | p99 ms | slowest ms | server CPU, s |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for title, scenario, load in (("500 users, the first time", "login", "first"), ("the same again, successes remembered", "login", "again"),
                                  ("250 users, each twice", "login-half", "half")):
        def look(*path):
            return _middle(results, scenario, (load,), *path)
        if look("figures", "logins") is None:
            continue
        times = " | ".join(_cell("{:.0f}", look("latency_ms", "all", p)) for p in ("p50", "p95", "p99", "max"))
        lines.append(f"| {title} | {look('figures', 'logins'):.0f} | {look('figures', 'refused'):.0f} | {times} | {look('figures', 'server_cpu'):.1f} |")
    return lines


def render(results):
    """Markdown: what was measured on, then the tables."""
    loads = [load for rounds in results["rounds"].values() for one in rounds for load in one.values()]
    busy = [load["busy_before"] for load in loads]
    facts = {
        "Machine": f"{results['machine']}; servers, store and generator share the cores where nothing else is said",
        "File system": results["file_system"],
        "Versions": ", ".join(results["versions"]),
        "Rounds": ", ".join(f"{name} {len(rounds)}" for name, rounds in results["rounds"].items()) + "; medians",
        "Others on the machine": f"cores busy in the second before a load: median {statistics.median(busy):.0%}, most {max(busy):.0%}",
        "Command": results["command"],
    }
    lines = [f"- {key}: {text}" for key, text in facts.items()]
    for table in (_deliveries, _bodies, _listing, _logins):
        rows = table(results)
        if len(rows) > 2 and not all(row.endswith("| - |") for row in rows[2:]):
            lines += ["", *rows]
    failures = sorted({f"{name}: {text}, {count} times" for name, rounds in results["rounds"].items() for one in rounds
                       for load in one.values() for text, count in load["failed"].items()})
    if failures:
        lines += ["", "Failures:", ""] + [f"- {text}" for text in failures]
    return "\n".join(lines)
