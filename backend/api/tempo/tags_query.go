package tempo

import "context"

func (h *Handler) scopesOf(ctx context.Context, in *tagsRequest) (*tagScopes, error) {
	return &tagScopes{}, nil
}

func (h *Handler) typedOf(ctx context.Context, in *tagsRequest) (*tagTyped, error) {
	return &tagTyped{}, nil
}
