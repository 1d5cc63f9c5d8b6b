module github.com/throughline/throughline/apps/articles

go 1.26.0
