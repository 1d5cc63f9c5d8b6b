package store

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The timeline answers as a sorted slice does, through splits, moves and removals.
func TestTimeline(t *testing.T) {
	type row struct {
		key key
		end uint64
	}
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var line timeline
		var rows []row
		for i := range 6000 {
			switch op := rng.IntN(10); {
			case op < 6 || len(rows) == 0:
				start := rng.Uint64N(5000) // many at the same time
				if seed == 1 {
					start = uint64(i) // newer than all
				}
				r := row{key{start, &trace{number: uint64(i)}}, start + rng.Uint64N(1000)}
				rows = append(rows, r)
				line.insert(r.key, r.end)
			case op < 8:
				at := rng.IntN(len(rows))
				line.remove(rows[at].key)
				rows = slices.Delete(rows, at, at+1)
			default:
				r := &rows[rng.IntN(len(rows))]
				r.end += rng.Uint64N(5000)
				line.extend(r.key, r.end)
			}
			if i%50 != 0 {
				continue
			}
			sorted := slices.SortedFunc(slices.Values(rows), func(a, b row) int {
				if b.key.less(a.key) {
					return -1
				}
				return 1
			})
			from := key{rng.Uint64N(6000), &trace{number: math.MaxUint64}}
			minEnd := rng.Uint64N(8000)
			var want []row
			for _, r := range sorted {
				if r.key.less(from) && r.end >= minEnd {
					want = append(want, r)
				}
			}
			ends := map[key]uint64{}
			for _, r := range rows {
				ends[r.key] = r.end
			}
			var got []row
			for last := from; ; {
				page := line.before(last, minEnd, make([]key, 0, 7))
				if len(page) == 0 {
					break
				}
				for _, k := range page {
					if end, ok := ends[k]; !ok {
						t.Fatalf("seed %d, step %d: a removed key came back", seed, i)
					} else if end >= minEnd {
						got = append(got, row{k, end})
					}
				}
				last = page[len(page)-1]
			}
			if !slices.Equal(want, got) {
				t.Fatalf("seed %d, step %d: %d rows, want %d", seed, i, len(got), len(want))
			}
		}
		for _, r := range rows {
			line.remove(r.key)
		}
		if len(line.blocks) != 0 {
			t.Errorf("seed %d: %d blocks are left of nothing", seed, len(line.blocks))
		}
	}
}
