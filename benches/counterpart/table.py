"""The table of figures: median and spread of all rounds, a column a server."""

import statistics

README = "README.md"
BEGIN, END = "<!-- figures: written by benches/compare -->", "<!-- end of figures -->"

# Section, which way is better, and its lines: title, scenario, load, where the figure is, how to write it.
MORE, LESS = "more is better", "less is better"
SESSIONS = (1, 20, 100)


def _sessions(key, form):
    return [(f"{service.upper()}, {n} session{'s' if n > 1 else ''}", service, f"{service}-{n}", ("figures", key), form)
            for service in ("lmtp", "smtp") for n in SESSIONS]


ROWS = [
    ("Deliver 4 KiB messages until visible, messages/s", MORE, [
        *_sessions("visible_per_second", "{:.0f}"),
        ("LMTP, 20 sessions, 10,000 into one mailbox", "large", "one", ("figures", "visible_per_second"), "{:.0f}"),
    ]),
    ("Server CPU, ms a message delivered", LESS, [
        *_sessions("server_cpu_per_1000_messages", "{:.2f}"),
        ("LMTP, 20 sessions, 10,000 into one mailbox", "large", "one", ("figures", "server_cpu_per_1000_messages"), "{:.2f}"),
    ]),
    ("A mailbox of 10,000 messages over TLS, ms", LESS, [
        *[(f"{title}, {which}", "large", "list", ("figures", f"{key}_{step}"), "{:.1f}")
          for step, title in (("select", "SELECT"), ("envelopes", "list of all envelopes"), ("flags", "flags of all"),
                              ("structures", "BODYSTRUCTURE of all"))
          for key, which in (("first", "first after a restart"), ("again_2", "again"))],
        ("STORE of all (answers)", "large", "bulk", ("figures", "store"), "{:.0f}"),
        ("STORE of all (silent)", "large", "bulk", ("figures", "store_silent"), "{:.0f}"),
        ("COPY of all", "large", "bulk", ("figures", "copy"), "{:.0f}"),
        ("EXPUNGE of all", "large", "bulk", ("figures", "expunge"), "{:.0f}"),
    ]),
    ("All bodies of 10,000 messages of 4 KiB, one FETCH, MB/s", MORE, [
        ("clear", "large", "bodies-clear", ("figures", "megabytes_per_second"), "{:.0f}"),
        ("TLS", "large", "bodies-tls", ("figures", "megabytes_per_second"), "{:.0f}"),
    ]),
    ("Mixed IMAP commands over TLS, commands/s", MORE, [
        (f"{n} clients", "mixed", f"imap-{n}", ("figures", "commands_per_second"), "{:.0f}") for n in (20, 100)
    ]),
    ("Mixed IMAP commands over TLS", LESS, [
        *[(f"{n} clients, 95th percentile, ms", "mixed", f"imap-{n}", ("latency_ms", "all", "p95"), "{:.1f}") for n in (20, 100)],
        *[(f"{n} clients, server CPU, ms a command", "mixed", f"imap-{n}", ("figures", "server_cpu_per_1000_commands"), "{:.3f}") for n in (20, 100)],
    ]),
    ("Other work over TLS", MORE, [
        ("IMAP APPEND of 4 KiB, 20 connections, messages/s", "append", "append", ("figures", "appends_per_second"), "{:.0f}"),
        ("POP3 RETR of 4 KiB messages, 10 clients, MB/s", "pop3", "pop3", ("figures", "megabytes_per_second"), "{:.0f}"),
        ("IMAP logins/s, full TLS handshakes, cached success", "login", "login", ("figures", "logins_per_second"), "{:.0f}"),
    ]),
    ("News at a client in IDLE, ms", LESS, [
        (f"from {begin}, {title}", "notify", "notify", ("latency_ms", key, percentile), "{:.1f}")
        for key, begin in (("reply_to_exists", "the 250 to EXISTS"), ("mail_to_exists", "MAIL to EXISTS"))
        for percentile, title in (("p50", "median"), ("p99", "99th percentile"))
    ]),
    *[(f"5,000 clients in IDLE, each in its own mailbox, {title}", LESS, [
        ("memory a client (PSS), KiB", name, name, ("figures", "pss_per_client"), "{:.1f}"),
        ("memory of the empty server (PSS), MiB", name, name, ("figures", "server_pss_before", 1024), "{:.0f}"),
        ("memory with them (PSS), MiB", name, name, ("figures", "server_pss_idle", 1024), "{:.0f}"),
        ("processes", name, name, ("figures", "server_processes_idle"), "{:.0f}"),
        ("CPU while all wait, % of a core", name, name, ("figures", "server_cpu_at_rest"), "{:.1f}"),
    ]) for name, title in (("idle-tls", "TLS"), ("idle-clear", "in clear"))],
]


def value(found, load, path):
    """One figure of one round, if it was measured; a number at the end of a path divides."""
    here = found.get(load)
    for step in path:
        if here is None:
            return None
        here = here / step if isinstance(step, int) else here.get(step)
    return here


def values(rounds, server, load, path):
    found = (value(one.get(server, {}), load, path) for one in rounds)
    return [v for v in found if v is not None]


def cell(rounds, server, load, path, form):
    measured = values(rounds, server, load, path)
    if not measured:
        return "-"
    failed = any(one.get(server, {}).get(load, {}).get("failed") for one in rounds)
    middle = form.format(statistics.median(measured))
    spread = f" ({form.format(min(measured))}–{form.format(max(measured))})" if len(measured) > 1 else ""
    return f"{middle}{spread}{' with failures' if failed else ''}"


def times_better(rounds, servers, load, path, better):
    """How many times better the first server's median is than the second's."""
    if len(servers) != 2:
        return "-"
    first, second = (values(rounds, server, load, path) for server in servers)
    if not (first and second):
        return "-"
    ours, theirs = statistics.median(first), statistics.median(second)
    above, below = (ours, theirs) if better == MORE else (theirs, ours)
    return f"{above / below:.1f}" if below > 0 else "-"


def render(results, facts):
    """Markdown: what was measured on, then a table with the median and, in brackets, least and most of all rounds."""
    seen = {server for rounds in results.values() for one in rounds for server in one}
    servers = sorted(seen, key=lambda name: name != "Postrider")
    lines = [f"- {key}: {text}" for key, text in facts.items()]
    lines += ["", "Median, and in brackets least and most of all rounds; then how many times better the first median is than the second.", ""]
    lines += [f"| | {' | '.join(servers)} | times better |", f"| --- |{' ---: |' * (len(servers) + 1)}"]
    for section, better, rows in ROWS:
        body = []
        for title, scenario, load, path, form in rows:
            rounds = results.get(scenario, [])
            cells = [cell(rounds, server, load, path, form) for server in servers]
            if any(c != "-" for c in cells):
                body.append(f"| {title} | {' | '.join(cells)} | {times_better(rounds, servers, load, path, better)} |")
        if body:
            lines += [f"| **{section}** ({better}) |{' |' * (len(servers) + 1)}", *body]
    failures = sorted({f"{server}, {load}: {text}" for rounds in results.values() for one in rounds for server, loads in one.items()
                       for load, found in loads.items() for text in found.get("failed", {})})
    if failures:
        lines += ["", "Failures:", ""] + [f"- {text}" for text in failures]
    return "\n".join(lines)


def write(path, table, begin=BEGIN):
    """Puts the table between its two marks in the README."""
    text = path.read_text()
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(END)
    if not (found and closed):
        raise SystemExit(f"{path} has lost its marks {begin!r} and {END!r}")
    path.write_text(f"{head}{begin}\n{table}\n{END}{tail}")
