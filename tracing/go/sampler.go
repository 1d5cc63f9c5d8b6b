package tracing

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The numbers of probability sampling have 56 bits, which are 14 hexadecimal digits.
const (
	samplingBits   = 56
	samplingDigits = samplingBits / 4
)

// ProbabilitySampler samples the given share of traces and says so in each span's tracestate (`ot=th:…`), so that a
// backend can count a span for as many as it stands for. It follows OpenTelemetry's "TraceState: Probability Sampling":
// a trace is sampled where its randomness, that of the trace id's last 56 bits or `rv` of the tracestate, is not below
// the threshold. Services with different shares decide consistently: what the lower share keeps, the higher keeps too.
//
// It decides for each span by itself; [sdktrace.ParentBased] makes it decide for whole traces.
func ProbabilitySampler(probability float64) sdktrace.Sampler {
	p := min(max(probability, 0), 1)
	threshold := uint64(1)<<samplingBits - uint64(math.RoundToEven(math.Ldexp(p, samplingBits)))
	return probabilitySampler{threshold, formatThreshold(threshold), fmt.Sprintf("ProbabilitySampler{%g}", p)}
}

type probabilitySampler struct {
	threshold   uint64 // of the randomness of a sampled trace; 1<<samplingBits is never reached
	th          string
	description string
}

func (s probabilitySampler) Description() string { return s.description }

func (s probabilitySampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	state := trace.SpanContextFromContext(p.ParentContext).TraceState()
	members, randomness, explicit := splitSampling(state.Get("ot"))
	if !explicit {
		randomness = binary.BigEndian.Uint64(p.TraceID[8:]) & (1<<samplingBits - 1)
	}
	if randomness < s.threshold {
		return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: withSampling(state, members)}
	}
	return sdktrace.SamplingResult{
		Decision:   sdktrace.RecordAndSample,
		Tracestate: withSampling(state, append([]string{"th:" + s.th}, members...)),
	}
}

// splitSampling returns the members of an `ot` value but for the threshold, which is that of the parent's decision, and
// the randomness, if it is explicit.
func splitSampling(ot string) (members []string, randomness uint64, explicit bool) {
	for member := range strings.SplitSeq(ot, ";") {
		if member == "" || strings.HasPrefix(member, "th:") {
			continue
		}
		if rv, ok := strings.CutPrefix(member, "rv:"); ok && len(rv) == samplingDigits && rv == strings.ToLower(rv) {
			if n, err := strconv.ParseUint(rv, 16, samplingBits); err == nil {
				randomness, explicit = n, true
			}
		}
		members = append(members, member)
	}
	return members, randomness, explicit
}

// withSampling replaces the `ot` value; a state that cannot take it stays as it is, without a threshold that is not true.
func withSampling(state trace.TraceState, members []string) trace.TraceState {
	if len(members) == 0 {
		return state.Delete("ot")
	}
	changed, err := state.Insert("ot", strings.Join(members, ";"))
	if err != nil {
		return state.Delete("ot")
	}
	return changed
}

// formatThreshold leaves out trailing zeros, as the specification wants.
func formatThreshold(threshold uint64) string {
	if threshold >= 1<<samplingBits {
		return ""
	}
	return cmp.Or(strings.TrimRight(fmt.Sprintf("%0*x", samplingDigits, threshold), "0"), "0")
}

// samplerFromEnv returns the sampler that OTEL_TRACES_SAMPLER names where it samples by a ratio, and nil for the others
// and for what cannot be read: the SDK's own reading of the variables holds there.
func samplerFromEnv() sdktrace.Sampler {
	ratio := 1.0
	if arg := env("OTEL_TRACES_SAMPLER_ARG"); arg != "" {
		var err error
		if ratio, err = strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			return nil
		}
	}
	switch strings.ToLower(env("OTEL_TRACES_SAMPLER")) {
	case "traceidratio":
		return ProbabilitySampler(ratio)
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(ProbabilitySampler(ratio))
	}
	return nil
}
