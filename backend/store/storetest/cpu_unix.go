//go:build unix

package storetest

import (
	"syscall"
	"testing"
	"time"
)

// ReportCPU reports the processor time of a benchmark that ends now and began when
// the function was called; the result is deferred. On a machine with other work it
// says more than the time that went by.
func ReportCPU(b *testing.B) func() {
	began := cpuTime()
	return func() {
		b.ReportMetric(float64((cpuTime()-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
