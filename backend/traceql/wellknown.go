package traceql

// wellKnown are the attributes of which Tempo tells that a span lacks them, because
// it has columns of their own for these. The order is that of bits.
var wellKnown = func() (out []Attribute) {
	for _, name := range []string{
		"http.method", "http.url", "http.route", "http.status_code", "http.request.method", "url.path", "url.route", "server.address",
	} {
		out = append(out, Attribute{Scope: ScopeSpan, Name: name})
	}
	for _, name := range []string{
		"cluster", "namespace", "pod", "container",
		"k8s.cluster.name", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name",
	} {
		out = append(out, Attribute{Scope: ScopeResource, Name: name})
	}
	return out
}()

var wellKnownBits = func() map[Attribute]uint {
	out := map[Attribute]uint{}
	for i, a := range wellKnown {
		out[a] = 1 << i
	}
	return out
}()

// wellKnown reports whether an attribute is one of those, with its scope or without.
func (a Attribute) wellKnown() bool {
	for _, known := range wellKnown {
		if a == known || a == (Attribute{Name: known.Name}) {
			return true
		}
	}
	return false
}
