module github.com/throughline/throughline/tracing/go

go 1.26.0
