package api

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// filterOf reads the parameters that /traces and /stream share. A parameter that
// is given twice, where it is not repeatable, or is not known is an error,
// because an ignored filter shows the wrong traces without a word.
func filterOf(q url.Values, known ...string) (*store.Filter, error) {
	f := &store.Filter{}
	for name, values := range q {
		if len(values) > 1 && name != "attr" {
			return nil, reply.Invalid("%s is given %d times", name, len(values))
		}
		v := values[0]
		var err error
		switch name {
		case "service":
			f.Service = &v
		case "name":
			f.Name = &v
		case "kind":
			k, ok := span.ParseKind(v)
			if !ok {
				return nil, reply.Invalid("kind %q: want unspecified, internal, server, client, producer or consumer", v)
			}
			f.Kind = &k
		case "status":
			c, ok := span.ParseStatus(v)
			if !ok {
				return nil, reply.Invalid("status %q: want unset, ok or error", v)
			}
			f.Status = &c
		case "minDuration":
			f.MinDuration, err = duration(name, v)
		case "maxDuration":
			if f.MaxDuration, err = duration(name, v); err == nil && f.MaxDuration == 0 {
				f.MaxDuration = 1 // the store takes 0 for no bound
			}
		case "attr":
			for _, pair := range values {
				key, value, ok := strings.Cut(pair, "=")
				if !ok || key == "" {
					return nil, reply.Invalid("attr %q: want key=value", pair)
				}
				f.Attributes = append(f.Attributes, store.AttributeFilter{Key: key, Value: value})
			}
		default:
			if err := knownParameter(name, known); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if f.MaxDuration != 0 && f.MinDuration > f.MaxDuration {
		return nil, reply.Invalid("minDuration %s is more than maxDuration %s", f.MinDuration, f.MaxDuration)
	}
	return f, nil
}

// only refuses parameters that are not known or are given twice.
func only(q url.Values, known ...string) error {
	for name, values := range q {
		if len(values) > 1 {
			return reply.Invalid("%s is given %d times", name, len(values))
		}
		if err := knownParameter(name, known); err != nil {
			return err
		}
	}
	return nil
}

func knownParameter(name string, known []string) error {
	for _, k := range known {
		if name == k {
			return nil
		}
	}
	return reply.Invalid("parameter %q is unknown", name)
}

func duration(name, v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, reply.Invalid("%s %q: want a duration such as 250ms or 1.5s", name, v)
	}
	return d, nil
}

// moment reads unix nanoseconds or RFC 3339; an absent one is 0.
func moment(name, v string) (uint64, error) {
	if v == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(v, 10, 64); err == nil {
		return n, nil
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil || t.Unix() < 0 {
		return 0, reply.Invalid("%s %q: want unix nanoseconds or a time such as 2026-01-02T15:04:05Z", name, v)
	}
	return uint64(t.UnixNano()), nil
}

func limitOf(v string) (int, error) {
	if v == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		return 0, reply.Invalid("limit %q: want a number from 1 to %d", v, maxLimit)
	}
	return n, nil
}
