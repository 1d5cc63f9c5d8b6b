package span_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/backend/span"
)

// collector is a Sink that keeps everything.
type collector struct {
	spans    []span.Span
	resource *span.Resource
	scope    *span.Scope
}

func (c *collector) Resource(o span.Origin) (err error) {
	c.resource, err = o.Resource(span.Limits{})
	return err
}

func (c *collector) Scope(o span.Origin) (err error) {
	c.scope, err = o.Scope(span.Limits{})
	return err
}

func (c *collector) Span(s *span.Span) error {
	var kept span.Span
	if err := kept.ReadProto(string(s.AppendProto(nil))); err != nil {
		return err
	}
	kept.Resource, kept.Scope = c.resource, c.scope
	c.spans = append(c.spans, kept)
	return nil
}

// equalDecoders checks that a Stream does what DecodeProto and Validate do.
func equalDecoders(t *testing.T, stream *span.Stream, request string) {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var got collector
	rejected, err := stream.Decode(request, uint64(now.UnixNano()), &got)
	want, wantErr := span.DecodeProto(request, span.Limits{})
	if (err == nil) != (wantErr == nil) {
		// A stream has no limit on the whole request.
		if errors.Is(wantErr, span.ErrTooLarge) {
			return
		}
		t.Fatalf("stream: %v, whole: %v", err, wantErr)
	}
	if err != nil {
		return
	}
	want.Validate(now)
	if rejected.Count != want.Rejected.Count {
		t.Fatalf("rejected %d, want %d", rejected.Count, want.Rejected.Count)
	}
	if len(got.spans) != len(want.Spans) {
		t.Fatalf("%d spans, want %d", len(got.spans), len(want.Spans))
	}
	for i := range got.spans {
		g, w := &got.spans[i], &want.Spans[i]
		if string(g.AppendProto(nil)) != string(w.AppendProto(nil)) ||
			string(g.Resource.AppendProto(nil)) != string(w.Resource.AppendProto(nil)) ||
			string(g.Scope.AppendProto(nil)) != string(w.Scope.AppendProto(nil)) {
			t.Fatal(cmp.Diff(span.EncodeProto(want.Spans[i:i+1]), span.EncodeProto(got.spans[i:i+1])))
		}
	}
}

func TestStreamEqualsDecodeProto(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var stream span.Stream
	for range 300 {
		spans := randomSpans(rng)
		for i := range spans {
			if rng.IntN(4) > 0 {
				spans[i].StartTime = 1_700_000_000_000_000_000 + rng.Uint64N(1e12)
				spans[i].EndTime = spans[i].StartTime + rng.Uint64N(1e12)
			}
		}
		equalDecoders(t, &stream, string(span.EncodeProto(spans)))
	}
}

func FuzzStream(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		f.Add(span.EncodeProto(randomSpans(rng)))
	}
	var stream span.Stream
	f.Fuzz(func(t *testing.T, data []byte) { equalDecoders(t, &stream, string(data)) })
}
