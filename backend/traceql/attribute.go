package traceql

import (
	"strings"
	"unicode"
)

// Scope says where an attribute is looked for.
type Scope uint8

// The scopes. An attribute without one, `.name`, is looked for on the span and
// then on its resource.
const (
	ScopeNone Scope = iota
	ScopeSpan
	ScopeResource
	ScopeEvent
	ScopeLink
	ScopeInstrumentation
)

var scopeNames = [...]string{"", "span", "resource", "event", "link", "instrumentation"}

// String is the scope as written in a query; empty for ScopeNone.
func (s Scope) String() string { return scopeNames[s] }

// Intrinsic is a field that every span has by its nature.
type Intrinsic uint8

// The intrinsics, in the spelling of [Attribute.String].
const (
	IntrinsicNone Intrinsic = iota // an attribute

	IntrinsicName                   // name
	IntrinsicStatus                 // status
	IntrinsicStatusMessage          // statusMessage
	IntrinsicKind                   // kind
	IntrinsicDuration               // duration
	IntrinsicChildCount             // span:childCount
	IntrinsicSpanID                 // span:id
	IntrinsicParentID               // span:parentID
	IntrinsicParent                 // parent: nil, nothing can be said of it but whether it is
	IntrinsicNestedSetLeft          // nestedSetLeft
	IntrinsicNestedSetRight         // nestedSetRight
	IntrinsicNestedSetParent        // nestedSetParent
	IntrinsicTraceID                // trace:id
	IntrinsicTraceDuration          // traceDuration
	IntrinsicRootName               // rootName
	IntrinsicRootService            // rootServiceName
	IntrinsicEventName              // event:name
	IntrinsicEventTimeSinceStart    // event:timeSinceStart
	IntrinsicLinkTraceID            // link:traceID
	IntrinsicLinkSpanID             // link:spanID
	IntrinsicInstrumentationName    // instrumentation:name
	IntrinsicInstrumentationVersion // instrumentation:version

	intrinsicCount
)

// intrinsics holds, by Intrinsic, the canonical spelling, the scoped one, and the type.
var intrinsics = [intrinsicCount]struct {
	name, scoped string
	typ          Type
}{
	IntrinsicName:                   {"name", "span:name", TypeString},
	IntrinsicStatus:                 {"status", "span:status", TypeStatus},
	IntrinsicStatusMessage:          {"statusMessage", "span:statusMessage", TypeString},
	IntrinsicKind:                   {"kind", "span:kind", TypeKind},
	IntrinsicDuration:               {"duration", "span:duration", TypeDuration},
	IntrinsicChildCount:             {"span:childCount", "span:childCount", TypeInt},
	IntrinsicSpanID:                 {"span:id", "span:id", TypeString},
	IntrinsicParentID:               {"span:parentID", "span:parentID", TypeString},
	IntrinsicParent:                 {"parent", "", TypeNil},
	IntrinsicNestedSetLeft:          {"nestedSetLeft", "", TypeInt},
	IntrinsicNestedSetRight:         {"nestedSetRight", "", TypeInt},
	IntrinsicNestedSetParent:        {"nestedSetParent", "", TypeInt},
	IntrinsicTraceID:                {"trace:id", "trace:id", TypeString},
	IntrinsicTraceDuration:          {"traceDuration", "trace:duration", TypeDuration},
	IntrinsicRootName:               {"rootName", "trace:rootName", TypeString},
	IntrinsicRootService:            {"rootServiceName", "trace:rootService", TypeString},
	IntrinsicEventName:              {"event:name", "event:name", TypeString},
	IntrinsicEventTimeSinceStart:    {"event:timeSinceStart", "event:timeSinceStart", TypeDuration},
	IntrinsicLinkTraceID:            {"link:traceID", "link:traceID", TypeString},
	IntrinsicLinkSpanID:             {"link:spanID", "link:spanID", TypeString},
	IntrinsicInstrumentationName:    {"instrumentation:name", "instrumentation:name", TypeString},
	IntrinsicInstrumentationVersion: {"instrumentation:version", "instrumentation:version", TypeString},
}

// byName finds an intrinsic by either spelling.
var byName = func() map[string]Intrinsic {
	m := map[string]Intrinsic{}
	for i := IntrinsicName; i < intrinsicCount; i++ {
		m[intrinsics[i].name] = i
		if s := intrinsics[i].scoped; s != "" {
			m[s] = i
		}
	}
	m["childCount"] = IntrinsicChildCount
	return m
}()

// String is the canonical spelling.
func (i Intrinsic) String() string { return intrinsics[i].name }

// Type is the type of its values.
func (i Intrinsic) Type() Type { return intrinsics[i].typ }

// Attribute names what a query reads of a span: an attribute in a scope or an
// intrinsic. It is comparable.
type Attribute struct {
	Intrinsic Intrinsic // if not IntrinsicNone, the other fields are empty
	Scope     Scope
	Parent    bool // of the span's parent: parent.name, parent.span.name, parent.resource.name
	Name      string
}

// String is the canonical spelling in a query.
func (a Attribute) String() string {
	if a.Intrinsic != IntrinsicNone {
		return a.Intrinsic.String()
	}
	var b strings.Builder
	if a.Parent {
		b.WriteString("parent.")
	}
	if a.Scope != ScopeNone {
		b.WriteString(a.Scope.String())
	}
	if a.Scope != ScopeNone || !a.Parent {
		b.WriteByte('.')
	}
	b.WriteString(quoteName(a.Name, a.Scope == ScopeNone))
	return b.String()
}

// Multiple is ScopeEvent or ScopeLink if a span has one value of each of its events
// or links, else ScopeNone.
func (a Attribute) Multiple() Scope {
	switch a.Intrinsic {
	case IntrinsicNone:
		if a.Scope == ScopeEvent || a.Scope == ScopeLink {
			return a.Scope
		}
	case IntrinsicEventName, IntrinsicEventTimeSinceStart:
		return ScopeEvent
	case IntrinsicLinkTraceID, IntrinsicLinkSpanID:
		return ScopeLink
	}
	return ScopeNone
}

// Type is the intrinsic's type, TypeAny for an attribute.
func (a Attribute) Type() Type {
	if a.Intrinsic != IntrinsicNone {
		return a.Intrinsic.Type()
	}
	return TypeAny
}

// nameRune reports whether a rune may stand in an attribute's name without quotes.
func nameRune(r rune) bool {
	return !unicode.IsSpace(r) && !strings.ContainsRune("{}()=~!<>&|^,\"", r)
}

// quote writes a name with the two escapes that names have.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// quoteName writes an attribute's name. Unscoped names must not be mistaken for a
// number or, behind parent, for a scope.
func quoteName(name string, unscoped bool) string {
	plain := name != "" && strings.IndexFunc(name, func(r rune) bool { return !nameRune(r) }) < 0
	if unscoped && plain {
		plain = name[0] < '0' || name[0] > '9'
		for _, s := range scopeNames[1:] {
			plain = plain && !strings.HasPrefix(name, s+".")
		}
	}
	if plain {
		return name
	}
	return quote(name)
}
