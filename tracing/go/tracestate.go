package tracing

import (
	"strings"

	"go.opentelemetry.io/otel/trace"
)

const (
	maxStateMembers = 32
	maxStateKey     = 256
	maxStateValue   = 256
	// maxStateHeader bounds the work for a header; 32 members of full length have 16,480 bytes.
	maxStateHeader = 64 << 10
)

// opaqueStateKey is the key of an *opaqueState in a context.
type opaqueStateKey struct{}

// opaqueState is a tracestate with members that [trace.TraceState] cannot hold, because it follows the grammar of
// level 1. The span context has the members it can hold, so that samplers see theirs; the list as it came is kept in
// the context and put together with what became of the span context's on the way out.
type opaqueState struct {
	traceID trace.TraceID
	members []stateMember
	visible trace.TraceState // those of members that the span context was given
}

type stateMember struct{ key, value string }

// parseTracestate reads the values of all tracestate headers. opaque is nil when state holds all there is.
func parseTracestate(values []string, traceID trace.TraceID) (state trace.TraceState, opaque *opaqueState) {
	members, ok := splitTracestate(values)
	if !ok || len(members) == 0 {
		return state, nil
	}
	// Most lists fit as they are.
	if state, err := trace.ParseTraceState(joinMembers(members)); err == nil {
		return state, nil
	}
	var visible []stateMember
	for _, m := range members {
		if _, err := trace.ParseTraceState(m.key + "=" + m.value); err == nil {
			visible = append(visible, m)
		}
	}
	if state, err := trace.ParseTraceState(joinMembers(visible)); err == nil {
		return state, &opaqueState{traceID, members, state}
	}
	return trace.TraceState{}, &opaqueState{traceID, members, trace.TraceState{}}
}

// splitTracestate returns the members of a list, without empty ones and without those whose key came before. ok is
// false where a member is illegal or there are too many.
func splitTracestate(values []string) (members []stateMember, ok bool) {
	size, count := 0, 0
	for _, value := range values {
		if size += len(value); size > maxStateHeader {
			return nil, false
		}
		for member := range strings.SplitSeq(value, ",") {
			if member = trimOWS(member); member == "" {
				continue
			}
			key, value, found := strings.Cut(member, "=")
			if !found || !validStateKey(key) || !validStateValue(value) {
				return nil, false
			}
			if count++; count > maxStateMembers {
				return nil, false
			}
			if !containsKey(members, key) {
				members = append(members, stateMember{key, value})
			}
		}
	}
	return members, true
}

func containsKey(members []stateMember, key string) bool {
	for _, m := range members {
		if m.key == key {
			return true
		}
	}
	return false
}

// validStateKey follows level 2: a letter or digit, then up to 255 of letters, digits and _-*/@.
func validStateKey(key string) bool {
	if key == "" || len(key) > maxStateKey {
		return false
	}
	for i := range len(key) {
		c := key[i]
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			continue
		}
		if i == 0 || strings.IndexByte("_-*/@", c) < 0 {
			return false
		}
	}
	return true
}

// validStateValue wants printable ASCII without comma and equals sign; trailing space is trimmed before.
func validStateValue(value string) bool {
	if value == "" || len(value) > maxStateValue {
		return false
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == ',' || c == '=' {
			return false
		}
	}
	return true
}

// merge returns the list with what was changed in the span context's part since the extraction: new and changed
// members first, removed ones gone, the rest in its order, no more than 32.
func (o *opaqueState) merge(current trace.TraceState) string {
	// Unchanged is the rule.
	if current.String() == o.visible.String() {
		return joinMembers(o.members)
	}
	var merged []stateMember
	current.Walk(func(key, value string) bool {
		if o.visible.Get(key) != value {
			merged = append(merged, stateMember{key, value})
		}
		return true
	})
	changed := len(merged)
	for _, m := range o.members {
		switch {
		case containsKey(merged[:changed], m.key):
		case o.visible.Get(m.key) != "" && current.Get(m.key) == "": // removed
		default:
			merged = append(merged, m)
		}
	}
	return joinMembers(merged[:min(len(merged), maxStateMembers)])
}

func joinMembers(members []stateMember) string {
	n := 0
	for _, m := range members {
		n += len(m.key) + len(m.value) + 2
	}
	var b strings.Builder
	b.Grow(n)
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m.key)
		b.WriteByte('=')
		b.WriteString(m.value)
	}
	return b.String()
}
