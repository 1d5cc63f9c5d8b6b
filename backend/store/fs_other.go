//go:build !linux

package store

import "os"

func syncFile(f *os.File) error { return f.Sync() }

func reserve(*os.File, int64) {}
