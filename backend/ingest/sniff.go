package ingest

import (
	"fmt"
	"io"
	"net"
	"time"
)

// sniffer looks at the first bytes of each connection, so that a client which
// speaks the wrong protocol can be told, and so can its user.
type sniffer struct {
	net.Listener
	// check is given the bytes read first, which may be few. When they are not ok
	// it may give a reply to send before the connection is closed.
	check func(first []byte) (reply string, ok bool)
}

// sniffed is how many bytes are looked at.
const sniffed = 24

func (s *sniffer) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &sniffConn{Conn: c, check: s.check}, nil
}

type sniffConn struct {
	net.Conn
	check func([]byte) (string, bool)
	first []byte
}

// Read is called by one goroutine at a time, as servers do.
func (c *sniffConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.check == nil || n == 0 {
		return n, err
	}
	c.first = append(c.first, p[:n]...)
	reply, ok := c.check(c.first)
	if !ok {
		c.check = nil
		if reply != "" {
			c.answer(reply)
		}
		return 0, io.EOF
	}
	if len(c.first) >= sniffed {
		c.check, c.first = nil, nil
	}
	return n, err
}

// answer writes the reply and takes in what the client still sends, because to
// close with bytes unread would take the reply back.
func (c *sniffConn) answer(reply string) {
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
	return len(first) > 0 && first[0] == 0x16 && (len(first) == 1 || first[1] == 3)
}

func httpReply(reason string) string {
	return fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		len(reason)+1, reason)
}
