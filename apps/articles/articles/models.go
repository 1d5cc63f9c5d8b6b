package articles

// ArticleID is 32 lower-case hexadecimal digits.
type ArticleID string

// Article is one entry of the data source.
type Article struct {
	ID     ArticleID `json:"id"`
	Author string    `json:"author"`
	Title  string    `json:"title"`
	Text   string    `json:"text"`
	// Suggested is nil, and absent in JSON, when it was not asked for or could not be had; no suggestions are [].
	Suggested []Article `json:"suggested,omitzero"`
}

// ArticleList is the answer to a request for all articles.
type ArticleList struct {
	// Articles are in the data file's order, never nil.
	Articles []Article `json:"articles"`
	// Warnings say what is missing, in sentences for people.
	Warnings []string `json:"warnings,omitempty"`
}

// ArticleDetail is the answer to a request for one article.
type ArticleDetail struct {
	Article  Article  `json:"article"`
	Warnings []string `json:"warnings,omitempty"`
}

// valid reports whether id has the form of an article's id.
func (id ArticleID) valid() bool {
	if len(id) != 32 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
