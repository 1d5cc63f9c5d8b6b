package exec

import (
	"testing"

	"github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/tags"
)

func TestTags(t *testing.T) {
	r := newRecorder(t)
	tags.TraceService(twin{}, r).Do(r.ctx)
	r.want(t, "tags", span{Name: "Service.Do"})
}
