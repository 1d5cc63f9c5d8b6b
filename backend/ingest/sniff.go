package ingest

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// sniffer looks at the first bytes of each connection, so that a client which
// speaks the wrong protocol can be told, and so can its user.
type sniffer struct {
	net.Listener
	// check is given the bytes read so far, until it decides. A connection that is
	// foreign is sent the reply, which may be empty, and closed.
	check func(first []byte) (verdict verdict, reply string)
}

type verdict uint8

const (
	undecided verdict = iota
	expected
	foreign
)

func (s *sniffer) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffConn{Conn: c, check: s.check}, nil
}

// sniffConn holds back what the server writes until the client is known, because
// an HTTP/2 server speaks first and its bytes would spoil the reply.
type sniffConn struct {
	net.Conn
	check func([]byte) (verdict, string)
	first []byte // read by the one goroutine that reads

	mu      sync.Mutex
	verdict verdict
	pending []byte // written before the verdict; a server's greeting is short
}

func (c *sniffConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.check == nil || n == 0 {
		return n, err
	}
	c.first = append(c.first, p[:n]...)
	verdict, reply := c.check(c.first)
	if verdict == undecided {
		return n, err
	}
	c.check, c.first = nil, nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.verdict = verdict
	if verdict == foreign {
		c.pending = nil
		c.answer(reply)
		return 0, io.EOF
	}
	pending := c.pending
	c.pending = nil
	if _, werr := c.Conn.Write(pending); werr != nil && len(pending) > 0 {
		return n, werr
	}
	return n, err
}

func (c *sniffConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	switch c.verdict {
	case undecided:
		c.pending = append(c.pending, p...)
		c.mu.Unlock()
		return len(p), nil
	case foreign:
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// answer writes the reply and takes in what the client still sends, because to
// close with bytes unread would take the reply back.
func (c *sniffConn) answer(reply string) {
	if reply == "" {
		return
	}
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c.Conn, reply); err != nil {
		return
	}
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c.Conn, 1<<20)
}

// isTLS knows the handshake record of a ClientHello.
func isTLS(first []byte) bool {
	return first[0] == 0x16 && (len(first) == 1 || first[1] == 3)
}

func httpReply(reason string) string {
	return fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		len(reason)+1, reason)
}
