package tracing_test

import (
	"io"
	"log"
)

// quiet is a log for servers whose handlers panic on purpose.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
