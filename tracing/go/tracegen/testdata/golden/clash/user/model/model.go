// Package model is a model of users.
package model

// User is a user.
type User struct{ ID int }
