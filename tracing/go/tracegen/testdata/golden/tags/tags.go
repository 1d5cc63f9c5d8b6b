// Package tags has interfaces under build constraints.
package tags
