package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// maxIDs is how many articles the requests are about.
const maxIDs = 1000

// articles asks for the ids that can be asked about.
func (s *sender) articles(ctx context.Context, base *url.URL) ([]string, error) {
	status, body, err := s.get(ctx, base.JoinPath("articles/v1/").String())
	if err != nil {
		return nil, fmt.Errorf("asking for the list of articles: %w", err)
	}
	var answer struct{ Articles []struct{ ID string } }
	if status != http.StatusOK || json.Unmarshal(body, &answer) != nil {
		return nil, fmt.Errorf("asking %s for the list of articles: status %d: is that the articles service?", base.Host, status)
	}
	var ids []string
	for _, a := range answer.Articles {
		if ids = append(ids, a.ID); len(ids) == maxIDs {
			break
		}
	}
	return ids, nil
}
