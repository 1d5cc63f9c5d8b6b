package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkServe starts the real program: the time from exec to the first answer
// of /readyz, and its resident memory when idle.
func BenchmarkServe(b *testing.B) {
	program := filepath.Join(b.TempDir(), "throughline")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	var ready, rss float64
	for range b.N {
		began := time.Now()
		cmd := exec.Command(program, "serve", "--data", b.TempDir(), "--listen", address, "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--jaeger-grpc", "")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		for {
			resp, err := http.Get("http://" + address + "/readyz")
			if err == nil {
				resp.Body.Close()
				break
			}
			if time.Since(began) > 30*time.Second {
				b.Fatal("not ready in 30 s")
			}
			time.Sleep(200 * time.Microsecond)
		}
		ready += time.Since(began).Seconds() * 1000
		time.Sleep(time.Second)
		rss += residentMB(b, cmd.Process.Pid)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ready/float64(b.N), "ready-ms")
	b.ReportMetric(rss/float64(b.N), "idle-MB")
}

func residentMB(b *testing.B, pid int) float64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Skip("resident memory is read from /proc")
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kB, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kB / 1024
}
