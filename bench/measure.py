#!/usr/bin/env python3
"""Measures a throughline server under the load program.

    bench/measure.py --server bin/throughline --load bin/otlpload [--floor bin/floor] [--spans 1000000] [--runs 3]

The server runs on core 0; the load, the queries and this script run on core 1.
Processor seconds are user and system time of the server from /proc, from before
the load until what was sent is in segments and the server rests, so sealing and
compaction count. Memory is RssAnon, sampled every 20 ms: mapped segments are the
kernel's to drop. Queries go over HTTP on one kept connection, and each figure is
a median. Answers are checked, before and after a restart. Each run has a
directory of its own, which is removed. Needs Linux, two cores and taskset.
"""
import argparse, http.client, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

API = "/api/native/v1/"
QUERIES = {
    "healthz": "/healthz",
    "duration": API + "traces?service=payment&minDuration=50ms&limit=20",
    "status500": API + "traces?service=payment&attr=http.response.status_code%3D500&limit=20",
    "p95": API + "operations/statistics?start=1",
    "services": API + "services",
}
# On one machine, with this load of 1,000,000 spans.
PEERS = """\
| Jaeger 2, memory | 7.7 | 1666 | – | 1.6 | 12 | 14 | all lost |
| Jaeger 2, badger | 115 | 2930 | 845 | 2.6 | 87 | 14 | up to 18 % lost |
| VictoriaTraces | 22.7 | 166 | 74 | 9.5 | 32 | 36 | 25 to 100 % lost |
| Tempo 3 | 52 | 2041 | 104 | 57 | 24 | 33 | all lost |
| otel-desktop-viewer (DuckDB file) | 124 | 1072 | 592 | 67 | 30 | 76 | half lost |"""


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anon(pid):
    return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) / 1024


class Server:
    """A server, which ends with its with block."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __init__(self, binary, data, extra=()):
        began = time.time()
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", binary, "serve", "--data", data, "--listen", "127.0.0.1:0",
             "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "", "--jaeger-grpc", "", *extra],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.pid, self.peak, self.log = self.process.pid, 0.0, []
        for line in self.process.stderr:
            self.log.append(line)
            if "msg=ready" in line:
                break
        else:
            sys.exit("server ended: " + "".join(self.log))
        self.start_ms = (time.time() - began) * 1000
        self.ui = re.search(r"ui=http://(\S+)", line).group(1)
        self.grpc = re.search(r"otlp_grpc=(\S+)", line).group(1)
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        threading.Thread(target=self.sample, daemon=True).start()

    def sample(self):
        while self.process.poll() is None:
            try:
                self.peak = max(self.peak, anon(self.pid))
            except (OSError, AttributeError):
                return
            time.sleep(0.02)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def size(data, suffix=""):
    return sum(os.path.getsize(os.path.join(data, f)) for f in os.listdir(data) if f.endswith(suffix))


def settle(server, data):
    """Waits until all is in segments and the server rests."""
    last, since = cpu(server.pid), time.time()
    while True:
        time.sleep(0.25)
        now = cpu(server.pid)
        if any(f.endswith((".wal", ".tmp")) for f in os.listdir(data)) or now - last > 0.011:
            last, since = now, time.time()
        elif time.time() - since > 2:
            return now


def ask(host, path, n=50):
    """The median of n requests on one connection, in milliseconds, and the last answer."""
    c = http.client.HTTPConnection(host)
    times = []
    for _ in range(n):
        t = time.perf_counter()
        c.request("GET", path)
        body = c.getresponse().read()
        times.append((time.perf_counter() - t) * 1000)
    c.close()
    return statistics.median(times), body


def load(args, server, *extra):
    out = subprocess.run([args.load, "-grpc", server.grpc, "-spans", str(args.spans), *extra],
                         capture_output=True, text=True, check=True)
    sent = re.search(r"accepted=(\d+) .*wall=([\d.]+)s", out.stderr)
    assert int(sent.group(1)) == args.spans, out.stderr
    ids = [l.split() for l in out.stdout.splitlines() if re.match(r"[0-9a-f]{32} ", l)]
    return float(sent.group(2)), ids


def held(server):
    return sum(s["spanCount"] for s in json.loads(ask(server.ui, API + "services", 1)[1])["services"])


def queries(server, ids, spans):
    r = {}
    for name, path in QUERIES.items():
        r[name], body = ask(server.ui, path)
        if "limit=20" in path and spans >= 1_000_000:
            assert len(json.loads(body)["traces"]) == 20, path
    by_id = []
    for id, n in ids:
        ms, body = ask(server.ui, API + "traces/" + id, 15)
        assert json.loads(body)["trace"]["spanCount"] == int(n), (id, n)
        by_id.append(ms)
    r["by_id"] = statistics.median(by_id)
    return r


def run(args):
    """One run: load, rest, queries, restart."""
    with tempfile.TemporaryDirectory(prefix="throughline-bench-", dir=args.dir) as data:
        with Server(args.server, data, args.extra) as server:
            before = cpu(server.pid)
            wall, ids = load(args, server, "-ids", "20")
            at_end = cpu(server.pid)
            done = settle(server, data)
            million = args.spans / 1e6
            r = {"cpu": (done - before) / million, "cpu_ingest": (at_end - before) / million, "peak": server.peak,
                 "rate": args.spans / wall, "bytes": size(data, ".seg") / args.spans,
                 "segments": len([f for f in os.listdir(data) if f.endswith(".seg")])}
            r |= queries(server, ids, args.spans)
            r["query_peak"] = server.peak
            assert held(server) == args.spans
            server.stop()
        with Server(args.server, data, args.extra) as server:
            r["open_ms"] = server.start_ms
            r["cold_by_id"], body = ask(server.ui, API + "traces/" + ids[3][0], 1)
            assert json.loads(body)["trace"]["spanCount"] == int(ids[3][1])
        return r


def killed(args):
    """kill -9 as soon as all is acknowledged: how many spans are lost, and how long the replay takes."""
    with tempfile.TemporaryDirectory(prefix="throughline-bench-", dir=args.dir) as data:
        with Server(args.server, data, args.extra) as server:
            load(args, server)
            server.stop(signal.SIGKILL)
        with Server(args.server, data, args.extra) as server:
            return args.spans - held(server), server.start_ms


def queried(args):
    """The rate of ingest while ten clients ask ten queries a second each: the
    table's three, of which the trace by id is one that a search has just found."""
    with tempfile.TemporaryDirectory(prefix="throughline-bench-", dir=args.dir) as data, Server(args.server, data, args.extra) as server:
        over, times, slow = threading.Event(), [], {}

        def client(k):
            c = http.client.HTTPConnection(server.ui)
            names, id = ["duration", "status500", "by_id"], "1" * 32
            due, n = time.perf_counter() + k / 100, k
            while not over.is_set():
                time.sleep(max(0, due - time.perf_counter()))
                t = time.perf_counter()
                name = names[n % len(names)]
                c.request("GET", QUERIES.get(name, API + "traces/" + id))
                body = c.getresponse().read()
                took = (time.perf_counter() - t) * 1000
                if name != "by_id":
                    id = next((found["traceId"] for found in json.loads(body)["traces"]), id)
                times.append(took)
                slow.setdefault(name, []).append(took)
                due, n = max(due + 0.1, time.perf_counter() - 1), n + 1

        clients = [threading.Thread(target=client, args=(k,)) for k in range(10)]
        began = time.perf_counter()
        for c in clients:
            c.start()
        try:
            wall, _ = load(args, server)
        finally:
            over.set()
            for c in clients:
                c.join()
        # The load program takes some of this time to make what it sends.
        asked = len(times) / (time.perf_counter() - began)
        return args.spans / wall, asked, {k: statistics.median(v) for k, v in slow.items()}, max(times), server.peak


def floor(args, mode):
    """Processor seconds per million spans of a server that drops what it gets."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % s.getsockname()[1]
    p = subprocess.Popen(["taskset", "-c", "0", args.floor, "-addr", address, "-mode", mode], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(tuple((address.split(":")[0], int(address.split(":")[1])))) == 0:
                    break
            time.sleep(0.05)
        before = cpu(p.pid)
        subprocess.run([args.load, "-grpc", address, "-spans", str(args.spans)], capture_output=True, check=True)
        return (cpu(p.pid) - before) / (args.spans / 1e6)
    finally:
        p.terminate()
        p.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--load", required=True)
    p.add_argument("--floor", help="the floor server, to be measured beside it")
    p.add_argument("--spans", type=int, default=1_000_000)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--dir", help="where the data directories are made; a disk, not tmpfs")
    p.add_argument("extra", nargs="*", help="further flags of the server, after --")
    args = p.parse_args()
    if shutil.which("taskset") is None or not hasattr(os, "sched_setaffinity"):
        sys.exit("needs Linux and taskset (package util-linux)")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("needs two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {1})
    runs = []
    for n in range(args.runs):
        runs.append(run(args))
        print(f"run {n + 1} of {args.runs}: {runs[-1]['cpu']:.2f} CPU-s per million spans", file=sys.stderr, flush=True)
    best = {k: (max if k == "rate" else min)(r[k] for r in runs) for k in runs[0]}
    for k in best:
        print(f"{k:12} best {best[k]:12.3f}   " + " ".join(f"{r[k]:12.3f}" for r in runs))
    lost, replay = killed(args)
    rate, qps, medians, worst, peak = queried(args)
    print(f"\nkill -9 after the last acknowledgement: {lost} of {args.spans} spans lost, ready again after {replay:.0f} ms")
    print(f"ingest while ten clients ask ten queries a second each: {rate:.0f} spans/s, {100 * (1 - rate / best['rate']):.0f} % less than "
          f"{best['rate']:.0f}; {qps:.0f} queries/s answered, worst {worst:.0f} ms, peak {peak:.0f} MB, medians " + ", ".join(f"{k} {v:.1f} ms" for k, v in medians.items()))
    print(f"p95 by operation over everything: {best['p95']:.2f} ms; cold open: {best['open_ms']:.0f} ms; /healthz: {best['healthz']:.2f} ms\n")
    print("| | CPU-s per 1 M spans | peak RSS MB | disk B/span | trace by id ms | service + min duration ms | service + status 500 ms | kill -9 after ack |")
    print("|---|---|---|---|---|---|---|---|")
    if args.spans == 1_000_000:
        print(PEERS)
    if args.floor:
        print(f"| floor: bytes received and dropped / decoded by pdata and dropped | {floor(args, 'raw'):.2f} / {floor(args, 'decode'):.2f} | | | | | | |")
    print(f"| **throughline**, {args.spans:,} spans | {best['cpu']:.2f} | {best['query_peak']:.0f} | {best['bytes']:.1f} | {best['by_id']:.2f} | "
          f"{best['duration']:.2f} | {best['status500']:.2f} | {'nothing lost' if lost == 0 else f'{lost} spans lost'} |")


main()
