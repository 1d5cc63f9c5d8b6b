package storetest

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"strings"
	"testing"
)

// MakeNewer gives a log or a segment the format version that comes next.
func MakeNewer(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v := binary.LittleEndian.Uint32(data[8:]) + 1
	binary.LittleEndian.PutUint32(data[8:], v)
	if strings.HasSuffix(file, ".wal") {
		sum := crc32.Checksum(data[:20], crc32.MakeTable(crc32.Castagnoli))
		binary.LittleEndian.PutUint32(data[20:], sum)
	} else {
		binary.LittleEndian.PutUint32(data[len(data)-20:], v)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
