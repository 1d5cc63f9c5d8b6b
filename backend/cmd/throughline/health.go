package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func healthCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running server whether it can serve",
		Long: `Ask a running server whether it can serve: exit status 0 when it can, 1 when it
cannot or does not answer. It is for the health checks of containers, whose image
has no other program to ask with.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ready, err := url.JoinPath(server, "readyz")
			if err != nil {
				return &usageError{fmt.Errorf("--url %q: %w", server, err)}
			}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, ready, nil)
			if err != nil {
				return &usageError{fmt.Errorf("--url %q: %w", server, err)}
			}
			client := &http.Client{Timeout: 3 * time.Second}
			resp, err := client.Do(req)
			if err != nil {
				return fmt.Errorf("asking for health: %w", err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answers %s", ready, resp.Status)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&server, "url", "http://127.0.0.1:16686", "the server")
	return cmd
}
