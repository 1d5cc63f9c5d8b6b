package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/server/servertest"
	"github.com/throughline/throughline/backend/store"
)

// The scripts run the real main, in processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"throughline": main})
}

// TestScripts runs each script beside a whole server that holds the golden traces:
// $THROUGHLINE_URL is its API and $OTLP its receiver, $GOLDEN the files.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			tb := env.T().(testing.TB)
			s := servertest.Start(tb, server.Config{})
			s.SendGolden(tb)
			env.Setenv("THROUGHLINE_URL", s.Base)
			env.Setenv("OTLP", s.OTLP)
			env.Setenv("GOLDEN", filepath.Dir(servertest.Golden(tb)[0]))
			env.Setenv("TZ", "UTC")
			env.Values[testKey{}] = tb
			env.Setenv("COLUMNS", "110")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"guarded": guarded, "hold": hold, "traffic": traffic, "unhex": unhex,
		},
	})
}

// traffic URL sends a new trace, with an error, every 100 ms until the script ends.
func traffic(ts *testscript.TestScript, _ bool, args []string) {
	done, ended := make(chan struct{}), make(chan struct{})
	ts.Defer(func() {
		close(done)
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			id := make([]byte, 16)
			_, _ = rand.Read(id) // never fails
			now := time.Now().UnixNano()
			body := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"ticker"}}]},
				"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s","name":"tick","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","status":{"code":2}}]}]}]}`,
				hex.EncodeToString(id), hex.EncodeToString(id[:8]), now-5e6, now)
			if resp, err := http.Post(args[0]+"/v1/traces", "application/json", strings.NewReader(body)); err == nil {
				resp.Body.Close()
			}
		}
	}()
}

// unhex FROM TO makes a binary file of hexadecimal text.
func unhex(ts *testscript.TestScript, _ bool, args []string) {
	data, err := hex.DecodeString(string(bytes.Join(bytes.Fields([]byte(ts.ReadFile(args[0]))), nil)))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}

// guarded TOKEN starts a server that asks for a token, which becomes the one of
// $THROUGHLINE_URL.
func guarded(ts *testscript.TestScript, _ bool, args []string) {
	s := servertest.Start(ts.Value(testKey{}).(testing.TB), server.Config{APIToken: server.Token{Value: args[0]}})
	ts.Setenv("THROUGHLINE_URL", s.Base)
}

// hold DIR opens a data directory until the script ends.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	db, err := store.Open(ts.MkAbs(args[0]), store.Options{Log: slog.New(slog.DiscardHandler)})
	ts.Check(err)
	ts.Defer(func() { ts.Check(db.Close()) })
}

// testKey is the key of the test that a script is.
type testKey struct{}
