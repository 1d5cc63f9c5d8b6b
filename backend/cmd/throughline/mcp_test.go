package main

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/server/servertest"
)

// TestMCP starts the real program as a client of the protocol starts it, and again
// over HTTP.
func TestMCP(t *testing.T) {
	s := servertest.Start(t, server.Config{})
	s.SendGolden(t)
	stdio := exec.Command("throughline", "mcp", "--url", s.Base)
	web := exec.Command("throughline", "mcp", "--url", s.Base, "--http", "127.0.0.1:0")
	stderr, err := web.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := web.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := web.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := web.Wait(); err != nil {
			t.Errorf("a stop is no error: %v", err)
		}
	}()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://\S+`).FindString(line)
	// A client may start it before there is a server to read.
	early, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), &sdk.CommandTransport{
		Command: exec.Command("throughline", "mcp", "--url", "http://127.0.0.1:1"),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := early.CallTool(t.Context(), &sdk.CallToolParams{Name: "services"})
	if text, _ := json.Marshal(result); err != nil || !result.IsError || !strings.Contains(string(text), "asking 127.0.0.1:1") {
		t.Errorf("no server: %s, %v", text, err)
	}
	if err := early.Close(); err != nil {
		t.Error(err)
	}
	for name, transport := range map[string]sdk.Transport{
		"stdio": &sdk.CommandTransport{Command: stdio},
		"HTTP":  &sdk.StreamableClientTransport{Endpoint: url, DisableStandaloneSSE: true},
	} {
		c, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), transport, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		result, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: "search", Arguments: map[string]any{"query": "{ status = error }"}})
		text, _ := json.Marshal(result)
		if err != nil || result.IsError || !strings.Contains(string(text), "8be7aac6d07ceea7865625143c7d9f0d") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: ending: %v", name, err)
		}
	}
}
