package api

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// HostCheck returns the check of Host headers for a server that listens on
// address, which keeps web pages from reaching it by DNS rebinding: a page of
// evil.example whose name is made to resolve to 127.0.0.1 still sends its own
// name.
//
// A server bound to loopback takes IP addresses, localhost and its subdomains,
// names without a dot and names under .internal, as container engines give (none
// of these can be an attacker's on the public DNS), and what allowed lists. A
// server bound to any other address takes every name, because only its operator
// knows by which names and proxies it is reached, unless allowed is not empty:
// then it checks likewise.
func HostCheck(address string, allowed []string) func(host string) bool {
	if len(allowed) == 0 && !Loopback(address) {
		return func(string) bool { return true }
	}
	return func(host string) bool {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
		if _, err := netip.ParseAddr(host); err == nil {
			return true
		}
		return !strings.Contains(host, ".") ||
			strings.HasSuffix(host, ".localhost") ||
			strings.HasSuffix(host, ".internal") ||
			slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, host) })
	}
}

// Loopback says whether an address, with or without a port, is only of this machine.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
