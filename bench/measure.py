#!/usr/bin/env python3
"""Measures a throughline server under the load program.

    bench/measure.py --server bin/throughline --load bin/otlpload [--spans 1000000] [--runs 3]

The server runs on core 0, the load and the queries on core 1. Processor seconds
are user and system time of the server from /proc, until what was sent is in
segments. RssAnon is sampled. Each run has a directory of its own, which is
removed. Needs Linux and taskset.
"""
import argparse, http.client, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, threading, time


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def anon(pid):
    return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) / 1024


class Server:
    def __init__(self, binary, data, extra=()):
        self.began = time.time()
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", binary, "serve", "--data", data, "--listen", "127.0.0.1:0",
             "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--jaeger-grpc", "", *extra],
            stderr=subprocess.PIPE, text=True)
        self.peak, self.log = 0.0, []
        for line in self.process.stderr:
            self.log.append(line)
            if "msg=ready" in line:
                break
        else:
            sys.exit("server ended: " + "".join(self.log))
        self.start_ms = (time.time() - self.began) * 1000
        self.ui = re.search(r"ui=http://(\S+)", line).group(1)
        self.grpc = re.search(r"otlp_grpc=(\S+)", line).group(1)
        threading.Thread(target=lambda: [self.log.append(l) for l in self.process.stderr], daemon=True).start()
        threading.Thread(target=self.sample, daemon=True).start()

    def sample(self):
        while self.process.poll() is None:
            try:
                self.peak = max(self.peak, anon(self.process.pid))
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
    last, since = cpu(server.process.pid), time.time()
    while True:
        time.sleep(0.25)
        now = cpu(server.process.pid)
        if any(f.endswith(".wal") or f.endswith(".tmp") for f in os.listdir(data)) or now - last > 0.011:
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
    return statistics.median(times), body


def load(args, server, *extra):
    return subprocess.run(["taskset", "-c", "1", args.load, "-grpc", server.grpc, "-spans", str(args.spans), *extra],
                          capture_output=True, text=True, check=True)


def run(args):
    data = tempfile.mkdtemp(prefix="throughline-bench-", dir=args.dir)
    try:
        server = Server(args.server, data, args.extra)
        before = cpu(server.process.pid)
        out = load(args, server, "-ids", "20", "-totals")
        sent = re.search(r"accepted=(\d+) .*wall=([\d.]+)s", out.stderr)
        at_end = cpu(server.process.pid)
        done = settle(server, data)
        million = args.spans / 1e6
        r = {"cpu": (done - before) / million, "cpu_ingest": (at_end - before) / million, "peak": server.peak,
             "wall": float(sent.group(2)), "bytes": size(data, ".seg") / args.spans,
             "segments": len([f for f in os.listdir(data) if f.endswith(".seg")])}
        ids = [l.split() for l in out.stdout.splitlines() if re.match(r"[0-9a-f]{32} ", l)]
        api = "/api/native/v1/"
        r["healthz"], _ = ask(server.ui, "/healthz")
        by_id = []
        for id, n in ids:
            ms, body = ask(server.ui, api + "traces/" + id, 15)
            assert json.loads(body)["trace"]["spanCount"] == int(n), (id, n)
            by_id.append(ms)
        r["by_id"] = statistics.median(by_id)
        r["duration"], body = ask(server.ui, api + "traces?service=payment&minDuration=50ms&limit=20")
        assert len(json.loads(body)["traces"]) == 20
        r["status500"], body = ask(server.ui, api + "traces?service=payment&attr=http.response.status_code%3D500&limit=20")
        assert len(json.loads(body)["traces"]) == 20
        r["services"], _ = ask(server.ui, api + "services", 20)
        spans = json.loads(ask(server.ui, api + "services", 1)[1])["services"]
        assert sum(s["spanCount"] for s in spans) == args.spans
        r["query_peak"] = server.peak
        server.stop()
        server = Server(args.server, data, args.extra)
        r["open_ms"] = server.start_ms
        r["cold_by_id"], body = ask(server.ui, api + "traces/" + ids[3][0], 1)
        assert json.loads(body)["trace"]["spanCount"] == int(ids[3][1])
        server.stop()
        return r
    finally:
        shutil.rmtree(data)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", required=True)
    p.add_argument("--load", required=True)
    p.add_argument("--spans", type=int, default=1_000_000)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--dir", help="where the data directories are made; a disk, not tmpfs")
    p.add_argument("extra", nargs="*", help="further flags of the server, after --")
    args = p.parse_args()
    if shutil.which("taskset") is None or not os.path.exists("/proc/self/stat"):
        sys.exit("needs Linux and taskset (package util-linux)")
    runs = [run(args) for _ in range(args.runs)]
    for key in runs[0]:
        values = [r[key] for r in runs]
        print(f"{key:12} best {min(values):9.3f}   " + " ".join(f"{v:9.3f}" for v in values))


main()
