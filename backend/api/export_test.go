package api

import "maps"

// NativePaths are the endpoints of the native API.
func NativePaths() (paths []string) {
	for path := range maps.Keys((&server{}).native()) {
		paths = append(paths, nativePath+path)
	}
	return paths
}
