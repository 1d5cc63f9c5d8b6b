// Package articles shows articles and, when asked, the articles suggested for each.
//
// It has the three layers of Go kit: the service holds the data and calls the suggestions service, endpoints adapt it
// to requests and responses, the transport speaks HTTP and JSON. The data is read once at the start and lives in
// memory.
//
// A request for articles is answered also when the suggestions service is slow, dead or wrong: the articles it failed
// for have no "suggested" key, and a warning says how many they are.
package articles
