// Package store keeps spans and answers questions about them, on one disk or in
// memory.
//
// When [DB.AppendRequest] returns nil on a store that was opened with
// Durability.Sync, the spans are on disk and survive kill -9 and the loss of
// power. The request goes to a log as it was received, and its spans into the
// head: columns in memory that are queried as soon as the append returns. A full
// head becomes a segment: an immutable file of dictionary-coded and bit-packed
// columns, read by mapping it, with an index of traces and rollups of durations.
// Small segments are merged; the oldest go when they are too old or too many.
// FORMAT.md has every byte, and the order of steps that makes a crash harmless.
//
// Spans of a trace may arrive in any order, late, twice or never, so a trace is
// never complete and readers get what has arrived, from the head and from all
// segments. Of spans with the same trace id and span id one is read, and which one
// does not depend on their order: that which ends last, then that with the longer
// encoding, then the greater bytes.
//
// When the disk is full or fails, appends are refused with [ErrUnavailable], what
// is stored is still read, and appends are taken again when the disk is well. A
// file that is damaged is set aside, and the rest is served.
//
// Counts, durations and calls between services are answered from rollups, without
// reading spans, and count every span once, however often it was sent, and every
// call whose ends are held, in whatever order and segments they arrived. What
// bounds that (an hour between arrivals, 50,000 spans of a trace, the retention of
// one part of a trace before another) is in FORMAT.md under Statistics. Quantiles
// have a relative error of at most 0.79 %. Sampled spans say how many they stand for,
// and count that often in what [DB.OperationStats], [DB.OperationMinutes], [DB.Edges]
// and [DB.Dependencies] say; in all that says what is held they count once.
//
// [DB.ScanTraces] and [DB.ScanSpans] put conditions to the columns, for languages
// that are none of this package's business: what [Cond] says of spans is decided by
// tables of what series have in common, dictionaries, filters and blocks of numbers
// before spans are made. Traces with spans in several places are put together first.
//
// All methods may be called at the same time. Reading holds the locks of appends
// only to copy the headers of slices. Store does not replicate, and one process
// owns a directory at a time.
package store
