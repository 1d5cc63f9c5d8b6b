package jaeger

import (
	"bufio"
	"io"
	"iter"

	"github.com/throughline/throughline/backend/span"
)

// WriteTraces writes traces as a file that Jaeger's UI opens, which is what its
// API answers.
func WriteTraces(w io.Writer, traces iter.Seq2[*span.Trace, error]) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"data":[`)
	n := 0
	for t, err := range traces {
		if err != nil {
			return err
		}
		if n > 0 {
			b.WriteString(",\n")
		}
		n++
		writeTrace(b, t, true)
	}
	b.WriteString("],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}\n")
	return b.Flush()
}
